"""DQ(s) -> HardSigmoid -> Q --> DQ(s / 6) -> Add(DQ(0.5)) -> Q: the saturation of Q is the clip.

clip(x / 6 + 1/2, 0, 1) is a sum of two quantized values whose output codes end at 0 and at most at
1. ONNX Runtime has an integer addition and no integer hard sigmoid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .graph import constants, producers, readers, set_nodes

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


def integer_hard_sigmoid(graph: GraphProto) -> int:
    """Rewrites in place every such chain and returns how many; the others keep their float node.

    A chain stays if its codes reach beyond 1, where saturation would not clip.
    """
    from onnx import helper, numpy_helper

    made_by, known = producers(graph), constants(graph)
    nodes: list[NodeProto] = []
    rewritten = 0
    for node in graph.node:
        if node.op_type != "HardSigmoid" or not _chain(graph, node):
            nodes.append(node)
            continue
        rewritten += 1
        slope, offset = _numbers(node)
        x = made_by[node.input[0]]
        zero = numpy_helper.to_array(known[x.input[2]])
        highest = np.iinfo(zero.dtype).max
        flat, half = f"{node.name}/sloped", f"{node.name}/offset"
        scale = numpy_helper.to_array(known[x.input[1]]) * np.float32(slope)
        made = {
            f"{flat}.scale": np.asarray(scale, dtype=np.float32),
            f"{half}.codes": np.asarray(highest, dtype=zero.dtype),
            f"{half}.scale": np.asarray(offset / highest, dtype=np.float32),
            f"{half}.zero_point": np.zeros((), dtype=zero.dtype),
        }
        graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in made.items())
        nodes += [
            helper.make_node(
                "DequantizeLinear",
                [x.input[0], f"{flat}.scale", x.input[2]],
                [flat],
                name=f"{flat}/dequantize",
            ),
            helper.make_node(
                "DequantizeLinear",
                [f"{half}.codes", f"{half}.scale", f"{half}.zero_point"],
                [half],
                name=f"{half}/dequantize",
            ),
            helper.make_node("Add", [flat, half], [node.output[0]], name=node.name),
        ]
    set_nodes(graph, nodes)
    return rewritten


def _chain(graph: GraphProto, node: NodeProto) -> bool:
    """Whether `node` stands between a DQ and one Q whose codes end at 0 and at most at 1."""
    from onnx import numpy_helper

    known = constants(graph)
    before = producers(graph).get(node.input[0])
    after = readers(graph).get(node.output[0], [])
    if before is None or before.op_type != "DequantizeLinear" or len(after) != 1:
        return False
    if after[0].op_type != "QuantizeLinear":
        return False
    scale, zero = (numpy_helper.to_array(known[name]) for name in after[0].input[1:3])
    kind = np.iinfo(zero.dtype)
    # One float32 rounding: amax = 1 has the step 1 / 255.
    reaches = float(scale) * (kind.max - int(zero))
    return int(zero) == kind.min and reaches <= 1 + 2**-22


def _numbers(node: NodeProto) -> tuple[float, float]:
    """Slope and offset of the node; 0.2 and 0.5 are ONNX's own."""
    told = {item.name: float(item.f) for item in node.attribute}
    return told.get("alpha", 0.2), told.get("beta", 0.5)
