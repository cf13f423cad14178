"""A hard sigmoid becomes one integer addition, and every code of it is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgestill.export.fusion import fusion_report
from edgestill.export.integer_hard_sigmoid import integer_hard_sigmoid
from edgestill.export.runtime import infer, open_session

STEP = 0.0625


def chain(kind: type[np.int8] | type[np.uint8], amax: float = 1.0) -> ModelProto:
    """images (N, 256, 1, 1) -> Q -> DQ -> HardSigmoid -> Q -> DQ -> logits (N, 256)."""
    lowest = np.iinfo(kind).min
    constants = {
        "s": np.float32(STEP),
        "z": kind(lowest + 128),
        "out_s": np.float32(amax) / np.float32(255),
        "out_z": kind(lowest),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "s", "z"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "s", "z"], ["x"]),
        helper.make_node("HardSigmoid", ["x"], ["y"], "gate", alpha=1 / 6, beta=0.5),
        helper.make_node("QuantizeLinear", ["y", "out_s", "out_z"], ["y_codes"]),
        helper.make_node("DequantizeLinear", ["y_codes", "out_s", "out_z"], ["gated"]),
        helper.make_node("Flatten", ["gated"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 256, 1, 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 256])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("amax", [1.0, 0.7])
def test_all_256_codes_are_those_of_the_definition(
    kind: type[np.int8] | type[np.uint8], amax: float, tmp_path: Path
) -> None:
    model = chain(kind, amax)
    x = (np.arange(256, dtype=np.float32) - 128) * np.float32(STEP)

    assert integer_hard_sigmoid(model.graph) == 1

    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, tmp_path / "model.onnx")
    found = infer(open_session(tmp_path / "model.onnx"), x.reshape(1, 256, 1, 1))[0]
    exact = np.clip(x.astype(np.float64) / 6 + 0.5, 0, 1).clip(max=amax) / (amax / 255)
    # A code may differ only where the exact value is within float32's rounding of a tie.
    off = np.abs(found / (amax / 255) - exact)
    assert off.max() <= 0.5 + 1e-4
    target = "ort-x86" if kind is np.uint8 else "ort-arm64"
    assert fusion_report(tmp_path / "model.onnx", target).float_islands == ()


def test_codes_beyond_one_would_not_be_clipped_so_the_node_stays() -> None:
    model = chain(np.uint8, amax=1.01)

    assert integer_hard_sigmoid(model.graph) == 0

    assert "HardSigmoid" in {node.op_type for node in model.graph.node}
