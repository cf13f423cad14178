"""Every rule that keeps an operation in float, against the graph that ONNX Runtime makes of it.

Each case breaks one rule of a network that is all integer otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgestill.export.fusion import Fusion, fusion_report

NUMBERS: dict[str, Any] = {
    "s": np.float32(0.1),
    "u8": np.uint8(0),
    "u8_middle": np.uint8(128),
    "i8": np.int8(0),
    "s_six": np.float32(6 / 255),
    "s_seven": np.float32(7 / 255),
    "zero": np.float32(0),
    "six": np.float32(6),
    "weight": np.full((16, 4, 1, 1), 0.3, dtype=np.float32),
    "w_codes": np.full((16, 4, 1, 1), 3, dtype=np.int8),
    "w_scale": np.full(16, 0.1, dtype=np.float32),
    "w_zero": np.zeros(16, dtype=np.int8),
}


def quantized(value: str, scale: str = "s", zero: str = "u8_middle") -> list[NodeProto]:
    """value -> Q -> DQ -> value_q."""
    constants = [scale, zero]
    return [
        helper.make_node("QuantizeLinear", [value, *constants], [f"{value}_c"]),
        helper.make_node("DequantizeLinear", [f"{value}_c", *constants], [f"{value}_q"]),
    ]


IMAGES = quantized("images")
WEIGHT = [
    helper.make_node("DequantizeLinear", ["w_codes", "w_scale", "w_zero"], ["weight_q"], axis=0)
]
CONV = helper.make_node("Conv", ["images_q", "weight_q"], ["y"], "conv")
RELU, CLIP = (
    helper.make_node("Relu", ["y"], ["z"], "relu"),
    helper.make_node("Clip", ["y", "zero", "six"], ["z"], "clip"),
)
ADD = helper.make_node("Add", ["images_q", "images_q"], ["y"], "add")

CASES: dict[str, tuple[str, str, list[NodeProto]]] = {
    "no kernel": (
        "gate",
        "ONNX Runtime has no integer kernel for HardSwish",
        [*IMAGES, helper.make_node("HardSwish", ["images_q"], ["y"], "gate"), *quantized("y")],
    ),
    "no kernel for a transposed convolution": (
        "up",
        "ONNX Runtime has no integer kernel for ConvTranspose",
        [
            *IMAGES,
            helper.make_node("ConvTranspose", ["images_q", "up_weight"], ["y"], "up"),
            *quantized("y"),
        ],
    ),
    "float input": (
        "add",
        "its input 'images' is not quantized",
        [*IMAGES, helper.make_node("Add", ["images_q", "images"], ["y"], "add"), *quantized("y")],
    ),
    "float weight": (
        "conv",
        "its weight 'weight' is not quantized",
        [
            *IMAGES,
            helper.make_node("Conv", ["images_q", "weight"], ["y"], "conv"),
            helper.make_node("HardSwish", ["y"], ["z"], "gate"),
            *quantized("z"),
        ],
    ),
    "the output is not quantized": (
        "conv",
        "its output is not quantized: gate reads it",
        [
            *IMAGES,
            *WEIGHT,
            CONV,
            helper.make_node("HardSwish", ["y"], ["z"], "gate"),
            *quantized("z"),
        ],
    ),
    "the output leaves": (
        "add",
        "its output is not quantized",
        [*IMAGES, helper.make_node("Add", ["images_q", "images_q"], ["y_q"], "add")],
    ),
    "relu above the lowest code": (
        "conv",
        "the zero point after Relu is not the lowest code",
        [*IMAGES, *WEIGHT, CONV, RELU, *quantized("z")],
    ),
    "clip within the codes": (
        "conv",
        "Clip to [0, 6] cuts off codes, which reach from 0 to 7",
        [*IMAGES, *WEIGHT, CONV, CLIP, *quantized("z", "s_seven", "u8")],
    ),
    "two types": (
        "add",
        "its input has uint8 codes and its output int8 codes",
        [*IMAGES, ADD, *quantized("y", "s", "i8")],
    ),
}
WHOLE = {
    "conv": [*IMAGES, *WEIGHT, CONV, *quantized("y")],
    "relu": [*IMAGES, *WEIGHT, CONV, RELU, *quantized("z", "s", "u8")],
    "clip": [*IMAGES, *WEIGHT, CONV, CLIP, *quantized("z", "s_six", "u8")],
    "add": [*IMAGES, ADD, *quantized("y")],
    "sigmoid": [
        *IMAGES,
        helper.make_node("Sigmoid", ["images_q"], ["y"], "sigmoid"),
        *quantized("y"),
    ],
}


def report(nodes: list[NodeProto], path: Path, target: str = "ort-x86") -> Fusion:
    numbers = NUMBERS | {"up_weight": np.ones((4, 2, 2, 2), dtype=np.float32)}
    used = {name for node in nodes for name in node.input}
    last = nodes[-1].output[0]
    graph = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 4, 8, 8])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in numbers.items()
            if name in used
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, path)
    return fusion_report(path, target)


@pytest.mark.parametrize("case", CASES)
def test_the_rule_that_keeps_it_in_float_is_named(case: str, tmp_path: Path) -> None:
    name, reason, nodes = CASES[case]

    # On x86-64 ONNX Runtime makes the second type the first.
    target = "ort-arm64" if case == "two types" else "ort-x86"
    found = report(nodes, tmp_path / "m.onnx", target).float_islands

    assert {island.name: island.reason for island in found}[name] == reason


@pytest.mark.parametrize("case", WHOLE)
def test_where_no_rule_is_broken_nothing_is_float(case: str, tmp_path: Path) -> None:
    assert report(WHOLE[case], tmp_path / "m.onnx").float_islands == ()
