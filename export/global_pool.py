"""ReduceMean over height and width --> GlobalAveragePool (the exporter writes the former).

Runtimes have an integer kernel for the pooling and none for the reduction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .graph import attribute, constants, copied, readers, set_nodes, unused_name
from .markers import DOMAIN

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


def pool_globally(graph: GraphProto) -> int:
    """Rewrites every such ReduceMean in place and returns how many there were.

    ReduceMean(axes 2 and 3 of 4) --> GlobalAveragePool; without kept axes a Flatten follows, behind
    the marker if there is one, because integer pooling wants its quantization right after it.
    """
    from onnx import helper

    nodes: list[NodeProto] = []
    moved: set[str] = set()
    rewritten = 0
    for node in graph.node:
        if node.output[0] in moved:
            continue
        if not _is_global(graph, node):
            nodes.append(node)
            continue
        rewritten += 1
        source, result = node.input[0], node.output[0]
        if attribute(node, "keepdims", 1):
            nodes.append(helper.make_node("GlobalAveragePool", [source], [result]))
            continue
        pooled = unused_name(graph, f"{result}_pooled")
        nodes.append(helper.make_node("GlobalAveragePool", [source], [pooled]))
        read_by = readers(graph).get(result, [])
        if len(read_by) == 1 and read_by[0].domain == DOMAIN:
            marker = copied(read_by[0])
            result = marker.output[0]
            moved.add(result)
            marker.input[0], marker.output[0] = pooled, unused_name(graph, f"{pooled}_marked")
            nodes.append(marker)
            pooled = marker.output[0]
        nodes.append(helper.make_node("Flatten", [pooled], [result], axis=1))
    set_nodes(graph, nodes)
    return rewritten


def _is_global(graph: GraphProto, node: NodeProto) -> bool:
    from onnx import numpy_helper

    if node.op_type != "ReduceMean" or len(node.input) < 2:
        return False
    axes = constants(graph).get(node.input[1])
    typed = (*graph.value_info, *graph.input)
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in typed}
    if axes is None or ranks.get(node.input[0]) != 4:
        return False
    return sorted(int(axis) % 4 for axis in numpy_helper.to_array(axes).ravel()) == [2, 3]
