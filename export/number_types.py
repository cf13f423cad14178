"""The coarsest numbers that a file computes in, read from its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .graph import inner_nodes, nested_nodes, producers

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

NumberTypes = Literal["float32", "float16", "INT8"]
QUANTIZERS = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}


def number_types(model: ModelProto) -> NumberTypes:
    """INT8 where anything is quantized, float16 where a half-precision tensor occurs, float32.

    What no output depends on does not count: it would loosen what the others are held to.
    """
    from onnx import TensorProto

    halves = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
    nodes = [*_read(model.graph), *nested_nodes(*model.functions)]
    kinds = {node.op_type for node in nodes}
    if kinds & QUANTIZERS or any("Integer" in k or k.startswith("QLinear") for k in kinds):
        return "INT8"
    casts = (a.i for node in nodes if node.op_type == "Cast" for a in node.attribute)
    read = {name for node in nodes for name in node.input}
    held = (each.data_type for each in model.graph.initializer if each.name in read)
    ends = (*model.graph.input, *model.graph.output)
    values = (value.type.tensor_type.elem_type for value in ends)
    return "float16" if halves & {*casts, *held, *values} else "float32"


def _read(graph: GraphProto) -> list[NodeProto]:
    """The nodes that an output depends on, with those inside of them."""
    made_by = producers(graph)
    waiting, seen = [value.name for value in graph.output], set()
    found: dict[int, NodeProto] = {}
    while waiting:
        name = waiting.pop()
        node = made_by.get(name)
        if name in seen or node is None:
            continue
        seen.add(name)
        found[id(node)] = node
        waiting += node.input
        for inner in inner_nodes(node):
            found[id(inner)] = inner
            waiting += inner.input
    return list(found.values())
