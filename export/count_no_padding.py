"""AveragePool(ceil, padding counted) --> Pad -> AveragePool(ceil, padding not counted).

Where ceil_mode lets the last window reach beyond the padded image, ONNX Runtime's integer average
(its float one does not) counts numbers that are not there if it counts the padding. Zeros that the
image itself holds are counted alike by both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .graph import attribute, set_nodes

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


def count_no_padding(graph: GraphProto) -> int:
    """Rewrites such pools in place and returns how many; they compute the same numbers."""
    from onnx import helper, numpy_helper

    nodes: list[NodeProto] = []
    rewritten = 0
    for node in graph.node:
        counted = attribute(node, "ceil_mode", 0) and attribute(node, "count_include_pad", 0)
        if node.op_type == "AveragePool" and counted:
            rewritten += 1
            told = {item.name: item for item in node.attribute}
            told["count_include_pad"].i = 0
            pads = list(told["pads"].ints) if "pads" in told else []
            if any(pads):
                told["pads"].ints[:] = [0] * len(pads)
                ends = [0, 0, *pads[: len(pads) // 2], 0, 0, *pads[len(pads) // 2 :]]
                padded = f"{node.name}/padded"
                graph.initializer.append(numpy_helper.from_array(np.array(ends), f"{padded}.pads"))
                nodes.append(
                    helper.make_node(
                        "Pad", [node.input[0], f"{padded}.pads"], [padded], name=f"{node.name}/pad"
                    )
                )
                node.input[0] = padded
        nodes.append(node)
    set_nodes(graph, nodes)
    return rewritten
