"""DQ(step) -> float Conv -> Q --> DQ(the step, once per channel) -> float Conv -> Q.

ONNX Runtime from 1.21 on rounds the float weights of a convolution, transposed convolution or Gemm
between DQ and Q to int8 itself, with one step for the whole layer, and so undoes what was kept in
float for its accuracy. It leaves layers alone whose input has a step per channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .graph import attribute, constants, producers, set_nodes

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

ROUNDED = ("Conv", "ConvTranspose", "Gemm")


def keep_float(graph: GraphProto) -> int:
    """Gives every float layer that reads a DQ one of its own, in place; returns how many."""
    from onnx import helper, numpy_helper

    made_by, known = producers(graph), constants(graph)
    nodes: list[NodeProto] = []
    kept = 0
    for node in graph.node:
        x = made_by.get(node.input[0]) if node.input else None
        if (
            node.op_type in ROUNDED
            and x is not None
            and x.op_type == "DequantizeLinear"
            and node.input[1] in known
        ):
            kept += 1
            value = f"{node.name}/input"
            channels = _input_channels(node, tuple(known[node.input[1]].dims))
            for role, name in zip(("scale", "zero_point"), x.input[1:3], strict=True):
                repeated = np.repeat(numpy_helper.to_array(known[name]), channels)
                graph.initializer.append(numpy_helper.from_array(repeated, f"{value}.{role}"))
            nodes.append(
                helper.make_node(
                    "DequantizeLinear",
                    [x.input[0], f"{value}.scale", f"{value}.zero_point"],
                    [value],
                    name=f"{value}/dequantize",
                    axis=1,
                )
            )
            node.input[0] = value
        nodes.append(node)
    set_nodes(graph, nodes)
    return kept


def _input_channels(node: NodeProto, shape: tuple[int, ...]) -> int:
    """The size of axis 1 of the layer's input, read off its weight's shape."""
    if node.op_type == "ConvTranspose":
        return shape[0]
    if node.op_type == "Gemm":
        return shape[1] if attribute(node, "transB", 0) else shape[0]
    return shape[1] * attribute(node, "group", 1)
