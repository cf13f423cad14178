"""Real parquet files: what is read, and each way in which one can be wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from edgestill.models.errors import BadInput
from edgestill.pipeline.sources.parquet import Parquet

PICTURES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
LABELS = [row % 4 for row in range(20)]


def png(pixels: np.ndarray) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def write(
    path: Path,
    images: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
    *,
    metadata: dict[str, str] | None = None,
    row_group: int = 6,
    **columns: Sequence[Any],
) -> Path:
    """A parquet file of 20 pictures in 4 classes, or of what is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = columns or {
        "image": [png(one) for one in PICTURES] if images is None else images,
        "label": LABELS if labels is None else labels,
    }
    table = pa.table(held).replace_schema_metadata(metadata)
    pq.write_table(table, path, row_group_size=row_group)
    return path


def test_images_come_row_by_row_across_files_and_row_groups(tmp_path: Path) -> None:
    images = [png(one) for one in PICTURES]
    write(tmp_path / "train-0.parquet", images[:13], LABELS[:13])
    write(tmp_path / "train-1.parquet", images[13:], LABELS[13:])
    split = Parquet(tmp_path).train()
    assert split.labels.tolist() == LABELS
    for row in (19, 0, 12, 13, 5, 6):
        assert np.array_equal(split.read(row), PICTURES[row])
    assert split.where(15) == f"{tmp_path / 'train-1.parquet'}, row 2"


def test_hugging_face_structs_are_read(tmp_path: Path) -> None:
    features = {"label": {"names": ["ant", "bee", "cow", "dog"], "_type": "ClassLabel"}}
    write(
        tmp_path / "train.parquet",
        [{"bytes": png(one), "path": None} for one in PICTURES],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    split = Parquet(tmp_path).train()
    assert np.array_equal(split.read(7), PICTURES[7])
    assert split.class_names == ("ant", "bee", "cow", "dog")


def test_class_names_come_from_the_metadata(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", metadata={"classes": "ant,bee,cow,dog"})
    assert Parquet(tmp_path).train().class_names == ("ant", "bee", "cow", "dog")


def test_images_too_large_to_hold_are_mapped_and_the_same(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet")
    split = Parquet(tmp_path, held_bytes=0).train()
    assert all(np.array_equal(split.read(row), PICTURES[row]) for row in (17, 3, 0, 19))


def test_the_test_files_are_not_opened_for_training(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet")
    (tmp_path / "test.parquet").write_bytes(b"no parquet at all")
    source = Parquet(tmp_path)
    split = source.train()
    assert source.has_test
    assert np.array_equal(split.read(4), PICTURES[4])
    with pytest.raises(BadInput, match=r"test\.parquet: not a readable parquet file"):
        source.test(split.class_names)


Make = Callable[[Path], object]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p.mkdir(), r"no train\*\.parquet in .*, which holds nothing"),
        (lambda p: None, r"no train\*\.parquet in .*, which is absent"),
        (
            lambda p: write(p / "train.parquet", img=[b"x"], label=[0]),
            r"train\.parquet: no column 'image'; found img, label; rename 'img' to 'image'",
        ),
        (
            lambda p: write(p / "train.parquet", image=[b"x"], fine=[0]),
            r"train\.parquet: no column 'label'; found image, fine",
        ),
        (
            lambda p: write(p / "train.parquet", ["a.png", "b.png"], [0, 1]),
            r"train\.parquet, row 0: column 'image' holds string; expected the bytes",
        ),
        (
            lambda p: write(p / "train.parquet", labels=[*LABELS[:9], None, *LABELS[10:]]),
            r"train\.parquet, row 9: label is missing",
        ),
        (
            lambda p: write(p / "train.parquet", labels=[*LABELS[:9], -1, *LABELS[10:]]),
            r"train\.parquet, row 9: label is -1",
        ),
        (
            lambda p: write(p / "train.parquet", labels=[str(one) for one in LABELS]),
            r"train\.parquet, row 0: label is '0'",
        ),
        (
            lambda p: write(p / "train.parquet", labels=[2] * 20),
            r"train\.parquet has a single class: .*train\.parquet, row 0 on is 2",
        ),
        (
            lambda p: write(
                p / "train.parquet", pa.array([], pa.binary()), pa.array([], pa.int64())
            ),
            r"train\.parquet holds no images",
        ),
        (
            lambda p: write(p / "train.parquet", metadata={"classes": "ant,bee"}),
            r"train\.parquet, row 2: label is 2, but .*train\.parquet declares 2 classes",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, make: Make, message: str) -> None:
    folder = tmp_path / "set"
    make(folder)
    with pytest.raises(BadInput, match=message):
        Parquet(folder).train()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"broken", r"train-1\.parquet, row 2: not a readable image of 6 bytes"),
        (None, r"train-1\.parquet, row 2: image is missing"),
    ],
)
def test_a_wrong_image_is_refused_by_file_and_row(
    tmp_path: Path, image: bytes | None, message: str
) -> None:
    images = [png(one) for one in PICTURES]
    write(tmp_path / "train-0.parquet", images[:10], LABELS[:10])
    write(tmp_path / "train-1.parquet", [*images[10:12], image, *images[13:]], LABELS[10:])
    split = Parquet(tmp_path).train()
    with pytest.raises(BadInput, match=message):
        split.read(12)


def test_a_damaged_page_is_named_with_the_row_it_starts_at(tmp_path: Path) -> None:
    path = write(tmp_path / "train.parquet", row_group=10)
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    with path.open("r+b") as file:
        file.seek(column.dictionary_page_offset or column.data_page_offset)
        file.write(bytes([255] * 40))
    split = Parquet(tmp_path).train()
    with pytest.raises(BadInput, match=r"train\.parquet, row 10: column 'image' is damaged"):
        split.read(0)


def test_files_of_both_splits_are_listed(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet")
    (tmp_path / "test.parquet").write_bytes(b"unread")
    assert sorted(Parquet(tmp_path).files()) == ["test.parquet", "train.parquet"]
