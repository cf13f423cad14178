"""Reading the graph: nothing hides in a branch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
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
