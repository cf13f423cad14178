"""What TensorRT executes in INT8: told by a built engine, or predicted from its placement rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import BadInput
from .engine_layers import read_engine_layers
from .fusion import PRODUCTS, Fusion, Island
from .graph import constants, producers

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


def from_engine(model: ModelProto, engine_layers: Path) -> Fusion:
    """What the engine whose inspector wrote `engine_layers` does with the products of `model`."""
    layers = read_engine_layers(engine_layers)
    holds = {name: layer for layer in layers for name in layer.onnx_nodes}
    products = [node for node in model.graph.node if node.op_type in PRODUCTS]
    if products and not any(node.name in holds for node in products):
        raise BadInput(
            f"{engine_layers} names none of the model's {len(products)} convolutions and products: "
            "it is of another network's engine"
        )
    islands = []
    for node in products:
        layer = holds.get(node.name)
        if layer is None:
            reason = "no layer of the engine names it"
        elif layer.int8:
            continue
        else:
            reason = f"the engine computes it in {layer.precision}, in {layer.kind} {layer.name}"
        islands.append(Island(name=node.name, op=node.op_type, reason=reason))
    return Fusion(
        int8=len(products) - len(islands),
        total=len(products),
        source="engine",
        qdq_left=sum(layer.converts for layer in layers),
        float_islands=tuple(islands),
    )


def predicted(graph: GraphProto) -> Fusion:
    """TensorRT: a product runs in INT8 if all its inputs come from symmetric int8 DQ nodes."""
    made_by = producers(graph)
    layers = [node for node in graph.node if node.op_type in PRODUCTS]
    islands = [
        Island(name=node.name or node.output[0], op=node.op_type, reason=reason)
        for node in layers
        if (reason := _why_not(node, graph, made_by))
    ]
    return Fusion(
        int8=len(layers) - len(islands),
        total=len(layers),
        source="predicted",
        qdq_left=None,
        float_islands=tuple(islands),
    )


def _why_not(node: NodeProto, graph: GraphProto, made_by: dict[str, NodeProto]) -> str:
    for name, what in zip(node.input[:2], ("input", "weight"), strict=False):
        source = made_by.get(name)
        if source is None or source.op_type != "DequantizeLinear":
            return f"its {what} is not quantized"
        if problem := _asymmetric(source, graph):
            return f"its {what} has {problem}, TensorRT takes int8 with zero point 0"
    return ""


def _asymmetric(dequantize: NodeProto, graph: GraphProto) -> str:
    from onnx import TensorProto, numpy_helper

    zero = constants(graph).get(dequantize.input[2]) if len(dequantize.input) > 2 else None
    if zero is None:
        return ""
    if zero.data_type != TensorProto.INT8:
        return f"{TensorProto.DataType.Name(zero.data_type).lower()} codes"
    return "a zero point" if numpy_helper.to_array(zero).any() else ""
