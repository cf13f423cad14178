"""An ONNX model to its file, whole, or with its weights in one file beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import BadInput

if TYPE_CHECKING:
    from onnx import ModelProto

LARGEST_BYTES = 2**31 - 1
"""What protobuf writes as one message."""
SMALLEST_OUTSIDE = 1024
"""Bytes of a tensor from which on it moves to the side file; shapes and steps stay."""
EXTERNAL_DATA = "edgestill.external_data"
"""Key of the metadata that names the side file."""
PAGE = 4096
"""Offsets are multiples of it, so that a runtime can map the weights instead of reading them."""


def write_onnx(model: ModelProto, path: Path, *, external_data: bool = False) -> None:
    """`path`, the same bytes for the same model; with `external_data` also `side_path(path)`.

    Raises `BadInput` if a single file would be larger than 2 GiB.
    """
    side = side_path(path)
    if external_data:
        with _weights_in(model, side):
            path.write_bytes(model.SerializeToString(deterministic=True))
        return
    if (size := bytes_of(model)) > LARGEST_BYTES:
        raise BadInput(
            f"{path.name} would take {size:,} bytes and one ONNX file holds 2 GiB; keep its"
            " weights in a file beside it (--external-data)"
        )
    side.unlink(missing_ok=True)  # of an earlier export; nothing reads it any more
    path.write_bytes(model.SerializeToString(deterministic=True))


def move_onnx(path: Path, to: Path) -> None:
    """Moves a file of `write_onnx`, on the same disk; `to` names its weights where they then lie.

    Weights of an earlier file at `to` are replaced with it.
    """
    side, there = side_path(path), side_path(to)
    if not side.exists():
        os.replace(path, to)
        there.unlink(missing_ok=True)
        return
    if side.name != there.name:
        _rename_weights(path, there.name)
    os.replace(side, there)
    os.replace(path, to)


def _rename_weights(path: Path, name: str) -> None:
    """Has the file say that its weights lie in `name`, in its metadata too."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for item in tensor.external_data:
            if item.key == "location":
                item.value = name
    for item in model.metadata_props:
        if item.key == EXTERNAL_DATA:
            item.value = name
    path.write_bytes(model.SerializeToString(deterministic=True))


def bytes_of(model: ModelProto) -> int:
    """Bytes of the weights; ByteSize() fails for a model that protobuf cannot write."""
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer)


def side_path(path: Path) -> Path:
    """Where the weights of `path` lie if they do not lie in it: model.onnx.data."""
    return path.with_name(f"{path.name}.data")


@contextmanager
def _weights_in(model: ModelProto, side: Path) -> Iterator[None]:
    """Within the block the weights of `model` lie in `side`, which it writes."""
    from onnx import TensorProto

    moved: list[tuple[TensorProto, bytes]] = []
    with side.open("wb") as file:
        for tensor in model.graph.initializer:
            data = tensor.raw_data
            if len(data) < SMALLEST_OUTSIDE:
                continue
            file.seek(-file.tell() % PAGE, 1)
            place = {"location": side.name, "offset": file.tell(), "length": len(data)}
            file.write(data)
            moved.append((tensor, data))
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
    try:
        yield
    finally:
        for tensor, data in moved:
            del tensor.external_data[:]
            tensor.ClearField("data_location")
            tensor.raw_data = data
