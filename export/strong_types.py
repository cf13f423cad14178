"""float32 beside INT8 --> float16 beside INT8, Q/DQ steps included; images and logits float32.

In a strongly typed TensorRT network (the only kind from 11 on, known since 10) every type stands in
the ONNX file: QuantizeLinear takes the type of its step, DequantizeLinear gives it, and a step of
another type than the network beside it would make that network float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..models.errors import BadInput
from .half import LARGEST, half_precision

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

# A relative error of the step that moves the last code, 127, by half a code.
LARGEST_STEP_ERROR = 1 / 254
FIRST_OPSET_WITH_HALF_STEPS = 19


IR_VERSION = 9
"""The one that came with opset 19."""


def half_floats(model: ModelProto) -> ModelProto:
    """`model` with float16 for float32 everywhere inside, at opset 19 or later.

    Raises `BadInput` for a node with a number that float16 does not hold.
    """
    from onnx import version_converter

    _refuse_what_is_lost(model.graph)
    (standard,) = (item for item in model.opset_import if not item.domain)
    if standard.version < FIRST_OPSET_WITH_HALF_STEPS:
        model = version_converter.convert_version(model, FIRST_OPSET_WITH_HALF_STEPS)
        model.ir_version = max(model.ir_version, IR_VERSION)
    return half_precision(model)


def _refuse_what_is_lost(graph: GraphProto) -> None:
    """Numbers and values beyond 65504; activation steps so small that rounding moves the codes."""
    from onnx import TensorProto, numpy_helper

    floats = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT
    }
    for node in graph.node:
        for name in node.input:
            largest = float(np.abs(floats.get(name, np.zeros(1))).max(initial=0))
            if largest > LARGEST:
                raise BadInput(
                    f"{node.name} has a {largest:.3g}; float16 ends at 65504: use float32"
                )
        if node.op_type == "QuantizeLinear":
            step = floats[node.input[1]]
            if (highest := 127 * float(step)) > LARGEST:
                raise BadInput(
                    f"{node.name} has values up to {highest:.3g}; float16 ends at 65504: "
                    "use float32"
                )
            if abs(float(np.float16(step)) / float(step) - 1) > LARGEST_STEP_ERROR:
                raise BadInput(
                    f"{node.name} has the step {float(step):.3g}, which float16 cannot hold to one "
                    "code in 254: use float32"
                )
