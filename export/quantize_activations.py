"""Activations: marker --> QuantizeLinear -> DequantizeLinear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .graph import set_nodes
from .markers import markers, point_of

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

    from ..models.ranges import ActivationRange, Ranges
    from .targets import Dialect


def quantize_activations(graph: GraphProto, ranges: Ranges, dialect: Dialect) -> None:
    """Replaces every marker in place; a point that stands at several places has one grid."""
    from onnx import helper, numpy_helper

    nodes: list[NodeProto] = []
    written: set[str] = set()
    marked = {node.output[0] for node in markers(graph)}
    for node in graph.node:
        if node.output[0] not in marked:
            nodes.append(node)
            continue
        point, value = point_of(node), node.output[0]
        constants = [f"{point}.scale", f"{point}.zero_point"]
        if point not in written:
            written.add(point)
            range_ = ranges.activations[point]
            zero = dialect.signed_zero if range_.signed else dialect.unsigned_zero
            numbers = (step(range_, dialect), dialect.dtype(zero))
            graph.initializer.extend(
                numpy_helper.from_array(np.asarray(number), name)
                for name, number in zip(constants, numbers, strict=True)
            )
        codes = f"{node.name}/codes"
        nodes += [
            helper.make_node(
                "QuantizeLinear", [node.input[0], *constants], [codes], name=f"{node.name}/quantize"
            ),
            helper.make_node(
                "DequantizeLinear", [codes, *constants], [value], name=f"{node.name}/dequantize"
            ),
        ]
    set_nodes(graph, nodes)


def step(range_: ActivationRange, dialect: Dialect) -> np.float32:
    """The value of one code, computed in float32 as `FakeQuantize` does."""
    return np.float32(range_.amax) / np.float32(127 if range_.signed else dialect.levels)
