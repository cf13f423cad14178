"""float32 ONNX --> float16 inside, float32 at the ends: precision lies in the types."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto


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
    return converted
