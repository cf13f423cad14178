"""float32 ONNX --> float16 inside, float32 at the ends: precision lies in the types."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from .graph import outputs, reread, unused_name

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

LARGEST = 65504.0


def half_precision(model: ModelProto) -> ModelProto:
    """`model` with float16 weights and arithmetic; inputs and outputs stay float32.

    Weights beyond float16's range are clipped to it, and those below its smallest step become that
    step, as ONNX Runtime's own converter does; parity is the caller's to check.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    with warnings.catch_warnings():
        # One warning per weight tensor that has values below float16's smallest step.
        warnings.simplefilter("ignore", UserWarning)
        converted: ModelProto = convert_float_to_float16(
            model, keep_io_types=True, max_finite_val=LARGEST
        )
    OnnxModel.graph_topological_sort(converted.graph)  # it adds its casts at the end
    _name_casts(converted.graph)
    return converted


def _name_casts(graph: GraphProto) -> None:
    """graph_input_cast0, graph_output_cast0 --> images/half, logits/float, nodes and values."""
    inputs, given = {value.name for value in graph.input}, outputs(graph)
    for node in list(graph.node):
        if node.op_type != "Cast" or not node.name.startswith("graph_"):
            continue
        if node.input[0] in inputs:
            node.name = unused_name(graph, f"{node.input[0]}/half")
            value, name = node.output[0], node.name
            node.output[0] = name
        elif node.output[0] in given:
            node.name = f"{node.output[0]}/float"
            value, name = node.input[0], unused_name(graph, f"{node.output[0]}/half")
            for other in graph.node:
                for position, made in enumerate(other.output):
                    if made == value:
                        other.output[position] = name
        else:
            continue
        reread(graph.node, value, name)
