"""A record of inputs and outputs is read back as it was written; anything else is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestill.export.recorded import read_recorded, record
from edgestill.models.errors import BadInput

IMAGES = np.arange(24, dtype=np.float32).reshape(2, 12)
LOGITS = np.array([[1.0, 2.0], [4.0, 3.0]], np.float32)
LABELS = np.array([1, 0])


def test_what_is_recorded_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "good.npz"

    record(path, {"images": IMAGES}, {"logits": LOGITS}, LABELS)
    found = read_recorded(path)

    assert np.array_equal(found.inputs["images"], IMAGES)
    assert np.array_equal(found.outputs["logits"], LOGITS)
    assert found.labels is not None and np.array_equal(found.labels, LABELS)


def test_samples_alone_are_named_by_the_input(tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    np.savez(path, images=IMAGES)

    found = read_recorded(path)

    assert list(found.inputs) == ["images"]
    assert not found.outputs
    assert found.labels is None


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({}, "no arrays"),
        ({"outputs/logits": LOGITS}, r"outputs/?logits|logits \(2, 2\)"),
        ({"images": IMAGES, "labels": np.array([1, 2, 3])}, "as many rows"),
        ({"images": np.array(["a", "b"])}, "expected numbers"),
        ({"images": np.array([{}, {}], dtype=object)}, "not an .npz file of numbers"),
        ({"images": np.float32(1)}, "as many rows"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, arrays: dict[str, Any], says: str) -> None:
    path = tmp_path / "odd.npz"
    np.savez(path, **arrays)

    with pytest.raises(BadInput, match=says):
        read_recorded(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"text", b"\x80\x04."])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.npz"
    path.write_bytes(content)

    with pytest.raises(BadInput, match=r"odd\.npz: not an \.npz file"):
        read_recorded(path)


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    with path.open("wb") as file:
        np.save(file, IMAGES)

    with pytest.raises(BadInput, match="a single array"):
        read_recorded(path)
