"""ScatterND(reduction="none") --> ScatterND

torch's exporter writes the default out. TensorRT's parser stopped at the attribute whatever it
says, from 10.0 until the release of 10.9 whose changelog names it, so on JetPack 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .graph import nested_nodes

if TYPE_CHECKING:
    from onnx import GraphProto

SCATTERS = ("ScatterND", "ScatterElements")


def drop_scatter_default(graph: GraphProto) -> int:
    """Takes the attribute away where it says what is so without it; returns how often."""
    count = 0
    for node in nested_nodes(graph):
        told = [a for a in node.attribute if a.name == "reduction" and a.s == b"none"]
        if node.op_type in SCATTERS and told:
            node.attribute.remove(told[0])
            count += 1
    return count
