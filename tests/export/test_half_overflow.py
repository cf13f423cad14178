"""A value beyond float16 is found inside a file, though ONNX Runtime's outputs are sound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgestill.export.check import check_model
from edgestill.export.contract import Contract
from edgestill.export.half import half_precision

Write = Callable[..., Path]


def scaled(write: Write, factor: float) -> Path:
    """The classifier in float16, its images multiplied and divided by `factor` on the way in."""
    up = numpy_helper.from_array(np.array(factor, np.float32), "up")
    down = numpy_helper.from_array(np.array(1 / factor, np.float32), "down")
    nodes = [
        helper.make_node("Mul", ["images", "up"], ["large"], "up"),
        helper.make_node("Mul", ["large", "down"], ["seen"], "down"),
    ]
    path = write("scaled", before=nodes, constants=[up, down])
    onnx.save(half_precision(onnx.load(path)), path)
    return path


@pytest.mark.parametrize(("factor", "verdict"), [(60_000.0, "fail"), (100.0, "pass")])
def test_what_is_beyond_float16_inside_is_not_finite(
    write_classifier: Write, factor: float, verdict: str
) -> None:
    path = scaled(write_classifier, factor)
    assert any(t.data_type == TensorProto.FLOAT16 for t in onnx.load(path).graph.initializer)

    line = check_model(path, contract=Contract()).line("finite")

    assert line.verdict == verdict
    if verdict == "fail":
        assert "float16 values inside" in line.found
