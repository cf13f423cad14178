"""What a measurement must know of an ONNX file beforehand: its batch, and whether it is INT8."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..models.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class OnnxFacts:
    """Facts of one file."""

    batch: int | None
    """Size of the inputs' first axis; None where it is free, or no input has one."""
    quantized: bool
    """Whether it has quantize and dequantize nodes."""


def onnx_facts(path: Path) -> OnnxFacts:
    """The facts of the ONNX file at `path`; weights kept outside of it are not read.

    Raises:
        BadInput: there is no such file, or it is no ONNX model.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs

    if path.is_dir():
        raise BadInput(f"{path} is a folder; expected an ONNX model")
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected an ONNX model")
    try:
        # By default the suffix would choose the format: a .json would be read as text.
        graph = onnx.load(path, format="protobuf", load_external_data=False).graph
    except (DecodeError, RuntimeError, ValueError, OSError):
        raise BadInput(f"{path}: not an ONNX model") from None
    if not graph.node:
        raise BadInput(f"{path}: not an ONNX model, it has no nodes")
    weights = {each.name for each in graph.initializer}
    first = [
        each.type.tensor_type.shape.dim[0]
        for each in graph.input
        if each.name not in weights and each.type.tensor_type.shape.dim
    ]
    fixed = [axis.dim_value for axis in first if axis.HasField("dim_value")]
    kinds = {node.op_type for node in graph.node}
    return OnnxFacts(
        batch=fixed[0] if fixed else None,
        quantized=bool(kinds & {"QuantizeLinear", "DequantizeLinear", "QLinearConv"}),
    )
