"""The coarsest numbers that a file computes in, read from its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .graph import nested_nodes

if TYPE_CHECKING:
    from onnx import ModelProto

NumberTypes = Literal["float32", "float16", "INT8"]
QUANTIZERS = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}


def number_types(model: ModelProto) -> NumberTypes:
    """INT8 where anything is quantized, float16 where a half-precision tensor occurs, float32."""
    from onnx import TensorProto

    halves = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
    nodes = list(nested_nodes(model.graph, *model.functions))
    kinds = {node.op_type for node in nodes}
    if kinds & QUANTIZERS or any("Integer" in k or k.startswith("QLinear") for k in kinds):
        return "INT8"
    casts = (a.i for node in nodes if node.op_type == "Cast" for a in node.attribute)
    held = (tensor.data_type for tensor in model.graph.initializer)
    ends = (*model.graph.input, *model.graph.output)
    values = (value.type.tensor_type.elem_type for value in ends)
    return "float16" if halves & {*casts, *held, *values} else "float32"
