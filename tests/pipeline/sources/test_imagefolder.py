"""Real folders of real JPEG and PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgestill.models.errors import BadInput
from edgestill.pipeline.sources.imagefolder import ImageFolder

PICTURES = np.random.default_rng(1).integers(0, 256, (6, 9, 9, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of three pictures for training; one JPEG each to test."""
    for row, pixels in enumerate(PICTURES):
        name = ("cat", "dog")[row // 3]
        path = tmp_path / "train" / name / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    for name in ("cat", "dog"):
        (tmp_path / "test" / name).mkdir(parents=True)
        Image.fromarray(PICTURES[0]).save(tmp_path / "test" / name / "a.JPG", "JPEG")
    return tmp_path


def test_folders_are_classes_in_the_order_of_their_names(folder: Path) -> None:
    split = ImageFolder(folder).train()
    assert split.class_names == ("cat", "dog")
    assert split.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert all(np.array_equal(split.read(row), PICTURES[row]) for row in range(6))


def test_pictures_in_nested_folders_belong_to_the_class(folder: Path) -> None:
    deep = folder / "train" / "cat" / "more" / "deep.png"
    deep.parent.mkdir()
    Image.fromarray(PICTURES[5]).save(deep)
    assert ImageFolder(folder).train().labels.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_notes_and_hidden_files_are_passed_over(folder: Path) -> None:
    (folder / "train" / "cat" / "notes.txt").write_text("not a picture")
    (folder / "train" / "cat" / "._1.png").write_bytes(b"left by another system")
    (folder / "train" / ".cache").mkdir()
    assert len(ImageFolder(folder).train()) == 6


def test_the_test_folder_is_read_only_when_asked_for(folder: Path) -> None:
    (folder / "test" / "cat" / "b.jpg").write_bytes(b"broken")
    source = ImageFolder(folder)
    split = source.train()
    split.read(0)
    test = source.test(split.class_names)
    assert test.labels.tolist() == [0, 0, 1]
    with pytest.raises(BadInput, match=r"test/cat/b\.jpg \(row 1\): not a readable image"):
        test.read(1)


def test_val_stands_in_where_there_is_no_test(folder: Path) -> None:
    (folder / "test").rename(folder / "val")
    source = ImageFolder(folder)
    assert source.has_test
    assert len(source.test(("cat", "dog"))) == 2


def test_without_test_and_val_the_source_has_no_test_split(folder: Path) -> None:
    (folder / "test").rename(folder / "elsewhere")
    assert not ImageFolder(folder).has_test


def test_a_class_unknown_to_training_is_refused(folder: Path) -> None:
    (folder / "test" / "dog").rename(folder / "test" / "wolf")
    with pytest.raises(BadInput, match=r"test/wolf: no class 'wolf' in .*train"):
        ImageFolder(folder).test(("cat", "dog"))


def test_a_picture_outside_of_a_class_folder_has_no_label(folder: Path) -> None:
    Image.fromarray(PICTURES[0]).save(folder / "train" / "stray.png")
    with pytest.raises(BadInput, match=r"train/stray\.png: no label"):
        ImageFolder(folder).train()


def test_a_class_folder_without_pictures_is_refused(folder: Path) -> None:
    (folder / "train" / "eel").mkdir()
    with pytest.raises(BadInput, match=r"train/eel: class folder without an image"):
        ImageFolder(folder).train()


def test_a_single_class_is_refused(folder: Path) -> None:
    (folder / "train" / "dog").rename(folder / "elsewhere")
    with pytest.raises(BadInput, match="single class"):
        ImageFolder(folder).train()


def test_a_folder_without_train_says_what_is_there(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"no folder .*train: .* holds cat, dog; expected train/"):
        ImageFolder(folder / "train").train()


def test_a_file_that_vanished_is_named(folder: Path) -> None:
    split = ImageFolder(folder).train()
    (folder / "train" / "cat" / "1.png").unlink()
    with pytest.raises(BadInput, match=r"cat/1\.png \(row 1\): cannot be read \(No such file"):
        split.read(1)
