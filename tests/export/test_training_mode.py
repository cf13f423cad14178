"""Operators of training are found in the graph, for ONNX Runtime may drop them before it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgestill.export.check import check_model
from edgestill.export.contract import Contract
from edgestill.export.training_mode import left_in_training

Write = Callable[..., Path]
ON = numpy_helper.from_array(np.array(True), "on")
OFF = numpy_helper.from_array(np.array(False), "off")
HALF = numpy_helper.from_array(np.array(0.5, np.float32), "half")


def dropout(*inputs: str) -> NodeProto:
    return helper.make_node("Dropout", [*inputs], ["seen"], "drop")


def test_a_dropout_that_drops_is_found_although_onnxruntime_removes_it(
    write_classifier: Write,
) -> None:
    path = write_classifier("on", before=[dropout("images", "half", "on")], constants=[HALF, ON])

    line = check_model(path, contract=Contract()).line("deterministic")

    assert line.verdict == "fail"
    assert line.found == "drop (Dropout) is in training mode"


@pytest.mark.parametrize(
    ("inputs", "constants"), [(("images",), ()), (("images", "half", "off"), (HALF, OFF))]
)
def test_a_dropout_that_hands_on_is_none(
    write_classifier: Write, inputs: tuple[str, ...], constants: tuple[TensorProto, ...]
) -> None:
    path = write_classifier("off", before=[dropout(*inputs)], constants=constants)

    assert check_model(path, contract=Contract()).line("deterministic").verdict == "pass"


def test_batch_norm_in_training_mode_is_found() -> None:
    node = helper.make_node("BatchNormalization", list("xsbmv"), list("yab"), training_mode=1)
    graph = helper.make_graph([node], "graph", [], [])

    assert left_in_training(helper.make_model(graph)) == [
        "y (BatchNormalization) is in training mode"
    ]


def test_operators_inside_a_branch_are_found() -> None:
    inner = helper.make_graph(
        [helper.make_node("RandomNormal", [], ["r"], shape=[1])], "branch", [], []
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    model = helper.make_model(helper.make_graph([node], "graph", [], []))

    assert left_in_training(model) == ["r (RandomNormal) draws by chance"] * 2
    assert isinstance(model, onnx.ModelProto)
