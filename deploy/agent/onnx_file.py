"""What TensorRT has to be told of an ONNX file: its inputs, and the number types it holds.

Read straight from the protocol buffer (field numbers: onnx.proto), as a board has no onnx package;
weights are stepped over, not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

from .errors import AgentError

FLOAT16 = 10  # TensorProto.DataType
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types


@dataclass(frozen=True)
class OnnxFile:
    """What the file declares."""

    inputs: dict[str, list[int | str | None]]
    """Name -> shape: a size, the name of a free axis, or None for one without a name."""
    quantized: bool
    """Whether it has QuantizeLinear or DequantizeLinear nodes."""
    half: bool
    """Whether an input or a weight is float16."""


def read_onnx(path: Path) -> OnnxFile:
    """The facts of the file.

    Raises:
        AgentError: it cannot be read, or is no ONNX model.
    """
    try:
        data = memoryview(path.read_bytes())
    except OSError as error:
        raise AgentError(
            "request", f"cannot read the model file {path}: {error.strerror}"
        ) from None
    try:
        graph = _only(data, 7)
        return _facts(graph)
    except (IndexError, ValueError):
        raise AgentError("request", f"{path.name} is no ONNX model") from None


def _facts(graph: memoryview) -> OnnxFile:
    operators: set[str] = set()
    types: set[int | memoryview] = set()
    weights: set[str] = set()
    declared: dict[str, list[int | str | None]] = {}
    for number, value in _fields(graph):
        if isinstance(value, int):
            continue
        if number == 1:  # NodeProto.op_type
            operators.update(_texts(value, 4))
        elif number == 5:  # TensorProto.data_type and .name
            types.update(each for key, each in _fields(value) if key == 2)
            weights.update(_texts(value, 8))
        elif number == 11:  # ValueInfoProto.name and .type.tensor_type
            tensor = _only(_only(value, 2), 1)
            types.update(each for key, each in _fields(tensor) if key == 1)
            declared[_texts(value, 1)[0]] = _shape(tensor)
    if not operators:
        raise ValueError("no nodes")
    # Before IR version 4 every weight was declared as an input, too.
    inputs = {name: shape for name, shape in declared.items() if name not in weights}
    quantized = any(name in operators for name in ("QuantizeLinear", "DequantizeLinear"))
    return OnnxFile(inputs, quantized, FLOAT16 in types)


def _shape(tensor: memoryview) -> list[int | str | None]:
    sizes: list[int | str | None] = []
    for shape in _messages(tensor, 2):
        for dimension in _messages(shape, 1):
            size: int | str | None = None
            for number, value in _fields(dimension):
                if number == 1 and isinstance(value, int):
                    size = value
                elif number == 2 and not isinstance(value, int):
                    size = str(value, "utf-8") or None
            sizes.append(size)
    return sizes


def _messages(data: memoryview, wanted: int) -> list[memoryview]:
    found = [value for number, value in _fields(data) if number == wanted]
    return [value for value in found if not isinstance(value, int)]


def _only(data: memoryview, wanted: int) -> memoryview:
    return _messages(data, wanted)[0]


def _texts(data: memoryview, wanted: int) -> Sequence[str]:
    return [str(value, "utf-8") for value in _messages(data, wanted)]


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, whole number or bytes) of each field; IndexError or ValueError: no message."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if kind == VARINT:
            value, position = _varint(data, position)
            yield key >> 3, value
            continue
        if kind == BYTES:
            size, position = _varint(data, position)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind}")
        if position + size > len(data):
            raise ValueError("cut off")
        yield key >> 3, data[position : position + size]
        position += size


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
