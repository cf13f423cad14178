"""A layer kept in float stays in float in ONNX Runtime, which else rounds its weights itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import Tensor

from edgestill.export.fusion import fusion_report
from edgestill.export.keep_float import keep_float
from edgestill.export.runtime import infer, open_session

KINDS = ("Conv", "ConvTranspose", "Gemm")


def between_quantizers(op: str) -> tuple[ModelProto, Tensor, Tensor]:
    """images -> Q -> DQ -> `op` with float weights -> Q -> DQ -> logits; and the float answer."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(-100, 100, (3, 4, 1, 1), generator=generator) * 0.02  # on the grid
    shape = (5, 4) if op == "Gemm" else (4, 5, 1, 1) if op == "ConvTranspose" else (5, 4, 1, 1)
    weight = torch.randn(shape, generator=generator) * 0.05
    # One step for all channels that holds this one is coarser than all weights of the others.
    weight.transpose(0, 1 if op == "ConvTranspose" else 0)[0] *= 1000
    matrix = weight.flatten(1).T if op == "ConvTranspose" else weight.flatten(1)
    options = {"transB": 1} if op == "Gemm" else {"kernel_shape": [1, 1]}
    before = [helper.make_node("Flatten", ["images"], ["flat"])] if op == "Gemm" else []
    after = [helper.make_node("Flatten", ["float"], ["logits"])]
    nodes = [
        *before,
        helper.make_node("QuantizeLinear", ["flat" if before else "images", "s", "z"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "s", "z"], ["x"]),
        helper.make_node(op, ["x", "weight"], ["y"], "kept", **options),
        helper.make_node("QuantizeLinear", ["y", "fine", "middle"], ["y_codes"]),
        helper.make_node("DequantizeLinear", ["y_codes", "fine", "middle"], ["float"]),
        *after,
    ]
    constants = [
        numpy_helper.from_array(np.asarray(np.float32(0.02)), "s"),
        numpy_helper.from_array(np.asarray(np.uint8(128)), "z"),
        numpy_helper.from_array(np.asarray(np.float32(0.02)), "fine"),
        numpy_helper.from_array(np.asarray(np.uint8(128)), "middle"),
        numpy_helper.from_array(weight.numpy(), "weight"),
    ]
    graph = helper.make_graph(
        nodes,
        "kept",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 4, 1, 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 5])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return model, images, images.flatten(1) @ matrix.T


@pytest.mark.parametrize("op", KINDS)
def test_onnx_runtime_rounds_a_float_layer_unless_it_is_told_not_to(
    op: str, tmp_path: Path
) -> None:
    model, images, answer = between_quantizers(op)
    rounded = infer(open_session(model.SerializeToString()), images.numpy())

    assert keep_float(model.graph) == 1

    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, tmp_path / "kept.onnx")
    found = infer(open_session(tmp_path / "kept.onnx"), images.numpy())
    expected = ((answer / 0.02).round().clamp(-128, 127) * 0.02).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert fusion_report(tmp_path / "kept.onnx", "ort-x86").int8 == 0
    # What it would have been: the reason why the rewrite exists. Only without an integer kernel
    # are the weights rounded and the products float all the same.
    assert np.abs(rounded - expected)[:, 1:].max() > 0.05


def test_a_quantized_layer_is_left_alone() -> None:
    model, _, _ = between_quantizers("Conv")
    graph = model.graph
    codes = numpy_helper.from_array(np.ones((5, 4, 1, 1), dtype=np.int8), "weight_codes")
    graph.initializer.append(codes)
    graph.node.insert(
        0, helper.make_node("DequantizeLinear", ["weight_codes", "s"], ["dequantized"])
    )
    next(node for node in graph.node if node.op_type == "Conv").input[1] = "dequantized"

    assert keep_float(graph) == 0
