"""A default that is written out goes, one that means something stays, and nothing else changes."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
from onnx import helper

from edgestill.export.scatter_default import drop_scatter_default
from edgestill.export.tensorrt_lint import tensorrt_lint

from .tensorrt_cases import model, node


def test_the_default_goes_and_the_file_is_read_by_tensorrt_10_3() -> None:
    proto = model(
        [
            node("ScatterND", "x", "places", "row", gives=["kept"], reduction="none"),
            helper.make_node("ScatterND", ["kept", "places", "row"], ["y"], reduction="add"),
        ],
        shape=[2, 3],
        constants={"places": np.array([[1]]), "row": np.ones((1, 3), np.float32)},
        opset=18,
    )
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    before = ort.InferenceSession(proto.SerializeToString()).run(None, {"x": x})

    assert drop_scatter_default(proto.graph) == 1

    after = ort.InferenceSession(proto.SerializeToString()).run(None, {"x": x})
    np.testing.assert_array_equal(after[0], before[0])
    told = [str(finding) for finding in tensorrt_lint(proto, "10.3")]
    assert told == ["y (ScatterND): reduction is 'add'; it adds up nothing there"]
