"""Whole data sets, from real files to batches: splits, sizes, laziness, streaming."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from edgestill.models.errors import BadInput
from edgestill.pipeline.data import Data, open_data
from edgestill.pipeline.events import JSON, listening
from edgestill.pipeline.recipe import DataSettings

CPU = torch.device("cpu")
CIFAR = Path(
    os.environ.get("EDGESTILL_CIFAR10", Path(__file__).parents[3] / "shared" / "data" / "cifar10")
)


def jpeg(pixels: np.ndarray) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "JPEG")
    return sink.getvalue()


def write_parquet(path: Path, count: int, *, seed: int, size: int = 12) -> list[bytes]:
    """`count` JPEGs of noise in three classes; their bytes."""
    chance = np.random.default_rng(seed)
    images = [jpeg(one) for one in chance.integers(0, 256, (count, size, size, 3), np.uint8)]
    table = pa.table({"image": images, "label": [row % 3 for row in range(count)]})
    pq.write_table(table, path, row_group_size=64)
    return images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """300 training and 40 test JPEGs of 12x12 in three classes."""
    write_parquet(tmp_path / "train.parquet", 300, seed=0)
    write_parquet(tmp_path / "test.parquet", 40, seed=1)
    return tmp_path


def opened(folder: Path, *, resident_bytes: int | None = None, **changes: Any) -> Data:
    told: dict[str, Any] = {"source": "parquet:.", "image_size": 12, "batch_size": 32} | changes
    settings = DataSettings(**told)
    return open_data(settings, device=CPU, base=folder, resident_bytes=resident_bytes)


def images_of(batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    return torch.cat([images for images, _ in batches])


def test_validation_is_carved_by_class_and_the_rest_trains(folder: Path) -> None:
    data = opened(folder)
    assert np.bincount(data.train.labels).tolist() == [90, 90, 90]
    assert np.bincount(data.validation.labels).tolist() == [10, 10, 10]
    assert len(data.test.labels) == 40
    assert (data.num_classes, data.class_names, data.channels) == (3, ("0", "1", "2"), 3)


def test_no_image_is_in_two_splits(folder: Path) -> None:
    data = opened(folder)
    splits = (data.train.plain(), data.validation, data.test)
    seen = [[image.numpy().tobytes() for image in images_of(split)] for split in splits]
    assert [len(one) for one in seen] == [270, 30, 40]
    assert len({*seen[0], *seen[1], *seen[2]}) == 340  # the pictures are noise: all differ


def test_the_split_seed_changes_the_splits_and_nothing_else_does(folder: Path) -> None:
    first = images_of(opened(folder).validation)
    again = images_of(opened(folder, batch_size=64, crop=0, flip=False).validation)
    other = images_of(opened(folder, split_seed=1).validation)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, other)


def test_streamed_epochs_are_bit_identical_to_resident_ones(folder: Path) -> None:
    resident = opened(folder)
    streamed = opened(folder, resident_bytes=0)
    assert (streamed.mean, streamed.std) == (resident.mean, resident.std)
    for epoch in range(2):
        pairs = zip(streamed.train.epoch(epoch), resident.train.epoch(epoch), strict=True)
        for (images, labels), (images_too, labels_too) in pairs:
            assert torch.equal(images, images_too)
            assert torch.equal(labels, labels_too)
    assert torch.equal(images_of(streamed.test), images_of(resident.test))


def test_mean_and_deviation_are_those_of_the_training_images(folder: Path) -> None:
    seen = images_of(opened(folder).train.plain())
    # float32 images summed in float64: rounding of single pixels averages out, seen 2e-8
    assert seen.double().mean((0, 2, 3)).abs().max() < 1e-6
    assert (seen.double().std((0, 2, 3), correction=0) - 1).abs().max() < 1e-6


def test_a_given_mean_and_deviation_are_used(folder: Path) -> None:
    data = opened(folder, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    assert (data.mean, data.std) == ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    assert data.train.mean == data.test.mean == data.mean


def test_a_broken_test_file_does_not_disturb_training(folder: Path) -> None:
    expected = images_of(opened(folder).train.epoch(0))
    (folder / "test.parquet").write_bytes(b"PAR1 and then nothing sensible")
    data = opened(folder)
    assert torch.equal(images_of(data.train.epoch(0)), expected)
    images_of(data.validation)
    with pytest.raises(BadInput, match=r"test\.parquet: not a readable parquet file"):
        data.test  # noqa: B018  the reading is the point


def test_the_users_function_is_asked_for_test_only_when_test_is_used(tmp_path: Path) -> None:
    (tmp_path / "own_lazy.py").write_text(
        "import numpy as np\n"
        "asked = []\n"
        "def load(split):\n"
        "    asked.append(split)\n"
        "    return np.zeros((60, 12, 12, 3), np.uint8), np.arange(60) % 3\n"
    )
    data = opened(tmp_path, source="own_lazy:load")
    images_of(data.train.epoch(0))
    images_of(data.validation)
    import own_lazy  # type: ignore[import-not-found]

    assert own_lazy.asked == ["train"]
    assert len(data.test.labels) == 60
    assert own_lazy.asked == ["train", "test"]


def test_images_of_a_carved_test_split_are_not_read_for_training(tmp_path: Path) -> None:
    images = write_parquet(tmp_path / "train.parquet", 300, seed=0)
    data = opened(tmp_path)
    carved = data._test_rows
    assert carved is not None
    assert len(carved) == 60
    broken = [b"broken" if row in carved else one for row, one in enumerate(images)]
    table = pa.table({"image": broken, "label": [row % 3 for row in range(300)]})
    pq.write_table(table, tmp_path / "train.parquet")
    data = opened(tmp_path)
    assert len(images_of(data.train.epoch(0))) + len(images_of(data.validation)) > 200
    with pytest.raises(BadInput, match=rf"train\.parquet, row {carved[0]}: not a readable image"):
        data.test  # noqa: B018


@pytest.mark.parametrize("resident_bytes", [None, 0])
def test_a_broken_image_is_named_by_file_and_row(
    tmp_path: Path, resident_bytes: int | None
) -> None:
    images = write_parquet(tmp_path / "train.parquet", 90, seed=0)
    images[71] = images[71][:200]
    table = pa.table({"image": images, "label": [row % 3 for row in range(90)]})
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(BadInput, match=r"train\.parquet, row 71: not a readable image of 200 byt"):
        data = opened(tmp_path, resident_bytes=resident_bytes, test=0.02, split_seed=3)
        images_of(data.train.plain())
        images_of(data.validation)


def mixed(folder: Path) -> None:
    images = write_parquet(folder / "train.parquet", 90, seed=0)
    images[40] = jpeg(np.full((20, 30, 3), 128, np.uint8))
    table = pa.table({"image": images, "label": [row % 3 for row in range(90)]})
    pq.write_table(table, folder / "train.parquet")
    write_parquet(folder / "test.parquet", 9, seed=1)


def test_mixed_sizes_are_refused_by_file_and_row(tmp_path: Path) -> None:
    mixed(tmp_path)
    message = r"train\.parquet, row 40: image is 30x20, but .*train\.parquet, row \d+ is 12x12; set"
    with pytest.raises(BadInput, match=message):
        data = opened(tmp_path)
        images_of(data.train.plain())
        images_of(data.validation)


def test_mixed_sizes_are_resized_on_request(tmp_path: Path) -> None:
    mixed(tmp_path)
    data = opened(tmp_path, resize=True, mean=(0.0,) * 3, std=(1.0,) * 3)
    seen = torch.cat([images_of(data.train.plain()), images_of(data.validation)])
    assert seen.shape == (90, 3, 12, 12)
    grey = (seen - 128 / 255).abs().flatten(1).amax(1)
    assert (grey < 0.01).sum() == 1  # the one large picture, all grey


def test_a_test_split_of_another_size_is_refused(folder: Path) -> None:
    write_parquet(folder / "test.parquet", 9, seed=1, size=16)
    with pytest.raises(BadInput, match=r"test\.parquet, row 0: image is 16x16, but .*train"):
        opened(folder).test  # noqa: B018


def test_images_of_one_size_are_resized_and_that_is_told(folder: Path) -> None:
    heard: list[JSON] = []
    with listening(lambda kind, fields: heard.append(fields.get("text"))):
        data = opened(folder, image_size=8)
        (images, _), *_ = data.train.epoch(0)
    assert images.shape[1:] == (3, 8, 8)
    assert heard == ["images of 12x12 are resized to 8x8"]


def test_limits_take_the_first_of_a_seeded_order(folder: Path) -> None:
    data = opened(folder, train_limit=100, test_limit=15)
    assert len(data.train.labels) + len(data.validation.labels) == 100
    assert len(data.test.labels) == 15
    other = opened(folder, train_limit=100, test_limit=15, split_seed=1)
    assert not torch.equal(images_of(data.test), images_of(other.test))


def test_a_limit_that_leaves_nothing_to_validate_on_is_refused(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"2 images are left .* data\.validation = 0\.1 takes 0"):
        opened(folder, train_limit=2)


def test_digits_are_split_and_enlarged() -> None:
    data = open_data(DataSettings(source="digits", flip=False), device=CPU, base=Path())
    counts = [len(one.labels) for one in (data.train, data.validation, data.test)]
    assert counts == [1294, 144, 359]
    (images, _), *_ = data.train.epoch(0)
    assert images.shape == (128, 3, 32, 32)
    assert torch.equal(images[:, 0] > images[:, 0].mean(), images[:, 1] > images[:, 1].mean())


needs_cifar = pytest.mark.skipif(
    not (CIFAR / "train.parquet").is_file(),
    reason=f"CIFAR-10's parquet files are not in {CIFAR}; set EDGESTILL_CIFAR10",
)


@needs_cifar
def test_cifar_has_its_classes_and_counts() -> None:
    settings = DataSettings(source=f"parquet:{CIFAR}", mean=(0.5,) * 3, std=(0.2,) * 3)
    data = open_data(settings, device=CPU, base=Path())
    assert data.class_names[:3] == ("airplane", "automobile", "bird")
    assert np.bincount(data._split.labels).tolist() == [5000] * 10
    assert np.bincount(data.test.labels).tolist() == [1000] * 10


@needs_cifar
def test_cifar_streams_the_batches_it_would_hold() -> None:
    settings = DataSettings(source=f"parquet:{CIFAR}", train_limit=1500)
    first, second = (
        open_data(settings, device=CPU, base=Path(), resident_bytes=limit).train.epoch(0)
        for limit in (None, 0)
    )
    for (images, labels), (images_too, labels_too) in zip(first, second, strict=True):
        assert torch.equal(images, images_too)
        assert torch.equal(labels, labels_too)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gets_the_epoch_of_a_cpu_resident_and_streamed(folder: Path) -> None:
    settings = DataSettings(source="parquet:.", image_size=12, batch_size=32)
    expected = images_of(open_data(settings, device=CPU, base=folder).train.epoch(1))
    for limit in (None, 0):
        device = torch.device("cuda")
        data = open_data(settings, device=device, base=folder, resident_bytes=limit)
        seen = images_of(data.train.epoch(1)).cpu()
        # The same bytes; a GPU fuses the product and the sum, one float32 rounding apart.
        torch.testing.assert_close(seen, expected, rtol=0, atol=1e-6)
