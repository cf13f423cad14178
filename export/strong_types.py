"""float32 beside INT8 --> float16 beside INT8, Q/DQ steps included; images and logits float32.

In a strongly typed TensorRT network (the only kind from 11 on, known since 10) every type stands in
the ONNX file: QuantizeLinear takes the type of its step, DequantizeLinear gives it, and a step of
another type than the network beside it would make that network float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .half import half_precision

if TYPE_CHECKING:
    from onnx import ModelProto

FIRST_OPSET_WITH_HALF_STEPS = 19


def half_floats(model: ModelProto) -> ModelProto:
    """`model` with float16 for float32 everywhere inside, at opset 19 or later."""
    from onnx import version_converter

    (standard,) = (item for item in model.opset_import if not item.domain)
    if standard.version < FIRST_OPSET_WITH_HALF_STEPS:
        model = version_converter.convert_version(model, FIRST_OPSET_WITH_HALF_STEPS)
    return half_precision(model)
