"""What TensorRT cannot express, refused while writing: by node, with the reason.

Sources: the operator table of TensorRT's ONNX parser, and what its import of QuantizeLinear and
DequantizeLinear asserts (int8, zero points all zero, steps all positive), 8.6 to 11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..models.errors import BadInput
from .check_graph import NOT_IN_TENSORRT
from .graph import constants

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto


def refuse_what_tensorrt_refuses(graph: GraphProto) -> None:
    """Raises `BadInput` for the first node that TensorRT's parser would stop at."""
    known = constants(graph)
    for node in graph.node:
        if reason := _reason(node, known):
            raise BadInput(f"TensorRT cannot take {node.name} ({node.op_type}): {reason}")


def _reason(node: NodeProto, known: dict[str, TensorProto]) -> str:
    import numpy as np
    from onnx import TensorProto, numpy_helper

    if node.op_type in NOT_IN_TENSORRT:
        return "its ONNX parser has no such operator; use another target or replace the layer"
    if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
        return ""
    zero = known[node.input[2]]
    if zero.data_type != TensorProto.INT8 or numpy_helper.to_array(zero).any():
        return "codes are int8 with zero point 0 there"
    steps = numpy_helper.to_array(known[node.input[1]])
    if not (np.isfinite(steps).all() and (steps > 0).all()):
        return f"its step is {steps.min():.3g}; steps are positive numbers there"
    return ""
