"""Small ONNX files for measuring: a convolution, float or with Q/DQ, of a free or fixed batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_convolution(
    path: Path, *, batch: int | str = "batch", quantized: bool = False, channels: int = 4
) -> Path:
    """x (batch, 3, 8, 8) -> y (batch, channels, 6, 6)."""
    weight = np.random.default_rng(0).normal(size=(channels, 3, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["fed", "w"], ["y"])]
    if quantized:
        nodes[:0] = [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["fed"]),
        ]
    else:
        nodes.insert(0, helper.make_node("Identity", ["x"], ["fed"]))
    constants = {"w": weight, "scale": np.float32(0.1), "zero": np.int8(0)}
    graph = helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, channels, 6, 6])],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in constants.items()
            if quantized or name == "w"
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path
