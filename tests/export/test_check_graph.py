"""Reading the graph: nothing hides in a branch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgestill.export.check import check_model
from edgestill.export.contract import Contract

Write = Callable[..., Path]


def test_operators_inside_a_branch_are_seen(write_classifier: Write) -> None:
    values = [helper.make_tensor_value_info("seen", TensorProto.FLOAT, None)]
    hidden = helper.make_node("Secret", ["images"], ["seen"], domain="else.where")
    plain = helper.make_node("Identity", ["images"], ["seen"])
    branches = {
        "then_branch": helper.make_graph([hidden], "then", [], values),
        "else_branch": helper.make_graph([plain], "else", [], values),
    }
    path = write_classifier(
        "branch",
        before=[helper.make_node("If", ["flag"], ["seen"], **branches)],
        constants=[numpy_helper.from_array(np.array(False), "flag")],
    )

    report = check_model(path, contract=Contract())

    assert report.line("operators").found == "unknown: else.where::Secret"


def test_a_function_of_a_domain_is_not_every_operator_of_it(write_classifier: Write) -> None:
    path = write_classifier(
        "function",
        before=[
            helper.make_node("Ours", ["images"], ["half"], domain="else.where"),
            helper.make_node("Other", ["half"], ["seen"], domain="else.where"),
        ],
    )
    model = onnx.load(path)
    body = [helper.make_node("Relu", ["x"], ["y"])]
    opset = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("else.where", "Ours", ["x"], ["y"], body, opset))
    onnx.save(model, path)

    report = check_model(path, contract=Contract())

    assert report.line("operators").found == "unknown: else.where::Other"


def test_quantizers_are_counted_by_whole_names(write_classifier: Write) -> None:
    """Two whose names differ behind a blank, in uint8, which TensorRT refuses; one is right."""
    kinds = {"the first": np.uint8(3), "the second": np.uint8(5), "third": np.int8(0)}
    nodes, constants, value = (
        [],
        [numpy_helper.from_array(np.asarray(0.1, np.float32), "scale")],
        "images",
    )
    for number, (name, zero) in enumerate(kinds.items()):
        constants.append(numpy_helper.from_array(np.asarray(zero), f"zero{number}"))
        scales = ["scale", f"zero{number}"]
        end = "seen" if number == 2 else f"x{number}"
        nodes += [
            helper.make_node("QuantizeLinear", [value, *scales], [f"q{number}"], f"{name} Q"),
            helper.make_node("DequantizeLinear", [f"q{number}", *scales], [end], f"{name} DQ"),
        ]
        value = end
    path = write_classifier("quantized", before=nodes, constants=constants)

    line = check_model(path, contract=Contract(), target="tensorrt").line("quantizers")

    assert line.verdict == "fail"
    assert line.figures == {"wrong": 4, "total": 6}
    assert line.found == "2 of 6 Q/DQ nodes"
