"""What a stage may hand to the report."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from edgestill.pipeline.material import GraphBlock, Material


def test_arrays_and_lists_are_the_same_graph() -> None:
    graph = np.arange(4.0).reshape(2, 2)

    from_array = GraphBlock.model_validate({"name": "a", "teacher": graph, "student": graph})

    assert from_array.teacher == from_array.student == [[0.0, 1.0], [2.0, 3.0]]


def test_a_key_that_the_report_does_not_know_is_no_reason_to_fail() -> None:
    line = {"name": "opset", "verdict": "pass", "figures": {"version": 18}}

    assert Material.model_validate({"check_lines": [line], "new": 1}).check_lines[0].name == "opset"


def test_a_key_that_the_report_needs_is_asked_for() -> None:
    with pytest.raises(ValidationError, match="verdict"):
        Material.model_validate({"check_lines": [{"name": "opset"}]})
