"""Check lines of several files as one table."""

from __future__ import annotations

from edgestill.pipeline.check_grid import check_grid
from edgestill.pipeline.material import CheckLine


def line(name: str, target: str, **more: object) -> CheckLine:
    given = {"name": name, "target": target, "verdict": "pass", "found": 18} | more
    return CheckLine.model_validate(given)


def test_answers_that_agree_become_one_cell() -> None:
    grid = check_grid([line("opset", "a"), line("opset", "b")])

    assert grid.files == ("a", "b")
    assert len(grid.rows[0].cells) == 1


def test_a_verdict_that_differs_keeps_its_own_cell() -> None:
    grid = check_grid([line("opset", "a"), line("opset", "b", verdict="fail")])

    assert [cell and cell.verdict for cell in grid.rows[0].cells] == ["pass", "fail"]


def test_a_file_without_the_line_has_an_empty_cell() -> None:
    grid = check_grid([line("opset", "a"), line("opset", "b"), line("zero", "b")])

    first, second = grid.rows[1].cells
    assert first is None
    assert second is not None


def test_expectations_that_differ_name_their_files() -> None:
    lines = [line("opset", "a", expected="<= 22"), line("opset", "b", expected="<= 20")]

    assert check_grid(lines).rows[0].expected == "a: <= 22; b: <= 20"


def test_a_shared_expectation_that_names_each_file_is_said_once() -> None:
    lines = [line("operators", file, expected=f"known to {file}") for file in ("ort", "trt")]

    assert check_grid(lines).rows[0].expected == "known to target"
