"""Opset and IR version fitted to a runtime: the same numbers, or which operator forbids it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference

from edgestill.export.fit_opset import fit_opset, fit_within, opset_of
from edgestill.export.graph import copied
from edgestill.export.runtime import open_session
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.errors import BadInput
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet

SHAPE = (2, 4, 6, 6)


def graph_of(
    op: str, constants: Sequence[Any] = (), *, outputs: int = 1, **attributes: Any
) -> onnx.ModelProto:
    """`op` of opset 18 on images (2, 4, 6, 6) and constants; None leaves an input out."""
    tensors = [
        numpy_helper.from_array(np.asarray(value), f"c{index}")
        for index, value in enumerate(constants)
        if value is not None
    ]
    names = ["" if value is None else f"c{index}" for index, value in enumerate(constants)]
    made = [f"out{index}" for index in range(outputs)]
    node = helper.make_node(op, ["images", *names], made, name="the_node", **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in made],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    inferred = shape_inference.infer_shapes(model)
    return inferred if op != "QuantizeLinear" else model


def given(model: onnx.ModelProto) -> list[NDArray[Any]]:
    images = np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)
    found: list[NDArray[Any]]
    found = open_session(model.SerializeToString()).run(None, {"images": images})
    return found


FLOAT2 = np.array([1, 1, 2, 2], np.float32)
SAYABLE = {
    "mean of axes": graph_of("ReduceMean", [np.array([2, 3], np.int64)], keepdims=0),
    "largest of all": graph_of("ReduceMax"),
    "equal parts": graph_of("Split", outputs=2, axis=1, num_outputs=2),
    "parts of sizes": graph_of("Split", [np.array([1, 3], np.int64)], outputs=2, axis=1),
    "padding": graph_of("Pad", [np.array([0, 0, 1, 1, 0, 0, 2, 2], np.int64), np.float32(7)]),
    "enlarging": graph_of("Resize", [None, FLOAT2], mode="linear", antialias=0),
}


@pytest.mark.parametrize("name", SAYABLE)
def test_an_operator_of_opset_18_is_said_as_of_17_with_the_same_numbers(name: str) -> None:
    before = given(SAYABLE[name])

    older = fit_opset(copied(SAYABLE[name]), 17)

    onnx.checker.check_model(older, full_check=True)
    assert opset_of(older) == 17
    for was, now in zip(before, given(older), strict=True):
        np.testing.assert_array_equal(now, was)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (graph_of("Mish"), "the_node is a Mish, which came with opset 18"),
        (graph_of("Split", outputs=3, axis=1, num_outputs=3), "its parts may be unequal"),
        (
            graph_of("Pad", [np.array([1, 1], np.int64), None, np.array([2], np.int64)]),
            "it pads some axes alone",
        ),
        (
            graph_of(
                "Resize", [None, np.array([1, 1, 0.5, 0.5], np.float32)], mode="linear", antialias=1
            ),
            "it smooths what it makes smaller",
        ),
        (
            graph_of("Resize", [None, np.array([2, 2], np.float32)], axes=[2, 3]),
            "it resizes some axes alone",
        ),
    ],
)
def test_what_has_no_older_form_is_refused_with_node_and_reader(
    model: onnx.ModelProto, message: str
) -> None:
    with pytest.raises(BadInput, match=message) as refused:
        fit_within(model, opset_max=17, ir_max=8, reader="tensorrt-8.6")
    assert "tensorrt-8.6 reads up to opset 17" in str(refused.value)


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    network = build(WideResNet.scaled(depth=10, width=0.5, image_size=8), seed=0).eval()
    return onnx_from_model(network, (3, 8, 8))


@pytest.mark.parametrize("opset", [16, 17, 19, 20, 21])
def test_a_whole_network_computes_the_same_in_every_opset(
    model: onnx.ModelProto, opset: int
) -> None:
    images = {"images": np.random.default_rng(0).standard_normal((2, 3, 8, 8), dtype=np.float32)}
    before = open_session(model.SerializeToString()).run(None, images)

    fitted = fit_opset(copied(model), opset)

    onnx.checker.check_model(fitted, full_check=True)
    assert opset_of(fitted) == opset
    assert [node.name for node in fitted.graph.node] == [node.name for node in model.graph.node]
    after = open_session(fitted.SerializeToString()).run(None, images)
    np.testing.assert_array_equal(after, before)


def test_what_a_runtime_reads_already_is_left_as_it_is() -> None:
    model = graph_of("Relu")
    before = model.SerializeToString()

    fitted = fit_within(model, opset_max=20, ir_max=10)

    assert fitted.SerializeToString() == before


def test_an_ir_version_that_is_newer_than_need_be_is_lowered() -> None:
    model = graph_of("Relu")
    model.ir_version = 12

    assert fit_within(model, opset_max=18, ir_max=9).ir_version == 8


def test_an_opset_whose_ir_version_is_too_new_is_refused() -> None:
    model = fit_opset(graph_of("Relu"), 21)

    with pytest.raises(BadInput, match=r"came with IR version 10; onnxruntime-1\.17 reads up to 9"):
        fit_within(model, opset_max=21, ir_max=9, reader="onnxruntime-1.17")


@pytest.mark.parametrize("opset", [1, 6, 999])
def test_an_opset_that_this_onnx_does_not_know_is_refused(opset: int) -> None:
    with pytest.raises(BadInput, match=f"opset {opset}: this onnx"):
        fit_opset(graph_of("Relu"), opset)


def test_float16_steps_are_refused_below_their_opset() -> None:
    model = graph_of("QuantizeLinear", [np.float16(0.1), np.int8(0)])
    model.opset_import[0].version = 19

    with pytest.raises(BadInput, match="its step is float16"):
        fit_opset(model, 18)
