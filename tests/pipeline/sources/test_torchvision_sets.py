"""torchvision's sets, from files in their real formats, written here; nothing is downloaded."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from edgestill.models.errors import BadInput
from edgestill.pipeline.sources.torchvision_sets import SETS, TorchvisionSet

PICTURES = np.random.default_rng(2).integers(0, 256, (30, 28, 28), np.uint8)
LABELS = np.arange(30) % 10


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """MNIST's four IDX files with 30 pictures a split."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split in ("train", "t10k"):
        head = struct.pack(">4i", 2051, 30, 28, 28)
        (raw / f"{split}-images-idx3-ubyte").write_bytes(head + PICTURES.tobytes())
        head = struct.pack(">2i", 2049, 30)
        labels = LABELS.astype(np.uint8).tobytes()
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(head + labels)
    return tmp_path


def test_mnist_is_read_as_grey_rgb(mnist: Path) -> None:
    split = TorchvisionSet("MNIST", mnist).train()
    assert split.labels.tolist() == LABELS.tolist()
    assert split.class_names[1] == "1 - one"
    assert np.array_equal(split.read(11), np.repeat(PICTURES[11][:, :, None], 3, axis=2))


def test_svhn_comes_with_channels_last(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    pictures = np.random.default_rng(3).integers(0, 256, (32, 32, 3, 12), np.uint8)
    labels = np.arange(1, 13) % 10  # SVHN writes the digit 0 as 10
    for name in ("train", "test"):
        held = {"X": pictures, "y": np.where(labels == 0, 10, labels)[:, None]}
        scipy_io.savemat(tmp_path / f"{name}_32x32.mat", held)
    with pytest.MonkeyPatch.context() as patch:
        # The md5 of the real files is not ours to forge.
        patch.setattr("torchvision.datasets.SVHN._check_integrity", lambda self: True)
        split = TorchvisionSet("SVHN", tmp_path).train()
    assert split.labels.tolist() == labels.tolist()
    assert np.array_equal(split.read(4), pictures[..., 4])


def test_a_broken_test_file_does_not_disturb_training(mnist: Path) -> None:
    (mnist / "MNIST" / "raw" / "t10k-images-idx3-ubyte").write_bytes(b"broken")
    source = TorchvisionSet("MNIST", mnist)
    split = source.train()
    assert len(split) == 30
    with pytest.raises(BadInput, match="torchvision:MNIST cannot be read below"):
        source.test(split.class_names)


@pytest.mark.parametrize("name", sorted(SETS))
def test_an_absent_set_is_refused_with_the_way_to_fetch_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=rf"import {name} as D; .*download=True") as caught:
        TorchvisionSet(name, tmp_path).train()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(SETS))
def test_every_set_is_one_of_torchvisions(name: str) -> None:
    from torchvision import datasets

    assert hasattr(datasets, name)


def test_an_unknown_set_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="did you mean torchvision:CIFAR10"):
        TorchvisionSet("Cifar10", tmp_path)


def test_the_files_of_both_splits_are_listed(mnist: Path) -> None:
    files = TorchvisionSet("MNIST", mnist).files()
    assert len(files) == 4
    assert "MNIST/raw/t10k-images-idx3-ubyte" in files
