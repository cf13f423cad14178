"""Who lost, when and why: the table of the candidates that were tried, and where it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgestill.pipeline.material import Candidate, Material
from edgestill.pipeline.report import render
from edgestill.pipeline.summary import Summary
from edgestill.pipeline.trial_table import trial_table


def candidate(spec: str, *rungs: tuple[int, float | None], **told: Any) -> Candidate:
    course = [{"epochs": epochs, "error": error} for epochs, error in rungs]
    facts = {"spec": spec, "macs": 900, "params": 90, "fits": True, "rungs": course}
    return Candidate.model_validate(facts | told)


TRIED = [
    candidate("early", (2, 0.5), dropped_after_epochs=2, why="too many errors"),
    candidate("best", (2, 0.3), (6, 0.25), chosen=True, why="the least errors"),
    candidate("gone", (2, None), dropped_after_epochs=2, why="its training diverged"),
    candidate("late", (2, 0.4), (6, 0.26), dropped_after_epochs=6),
]


def test_the_chosen_one_stands_first_then_those_that_stayed_longest() -> None:
    table = trial_table([*TRIED, candidate("never tried")])

    assert [row.candidate.spec for row in table.rows] == ["best", "late", "early", "gone"]
    assert table.epochs == (2, 6)


def test_a_row_has_the_error_after_each_rung_and_says_when_it_was_dropped() -> None:
    best, late, early, gone = trial_table(TRIED).rows

    assert best.errors == ("30.00 %", "25.00 %")
    assert early.errors == ("50.00 %", "-")
    assert gone.errors == ("diverged", "-")
    assert [row.dropped for row in (best, late, gone)] == [
        "chosen",
        "after 6 epochs",
        "after 2 epochs",
    ]


def test_both_reports_show_who_lost_when_and_why(
    summary: Summary, material: Material, tmp_path: Path
) -> None:
    html, markdown = render(summary, material.model_copy(update={"candidates": TRIED}), tmp_path)

    page, text = html.read_text(encoding="utf-8"), markdown.read_text(encoding="utf-8")
    assert "Why this student" in page and "too many errors" in page
    assert "| architecture | MACs | params | after 2 | after 6 | dropped | why |" in text
    assert "| early | 900 | 90 | 50.00 % | - | after 2 epochs | too many errors |" in text


def test_without_a_trial_there_is_no_such_section(
    summary: Summary, material: Material, tmp_path: Path
) -> None:
    for path in render(summary, material, tmp_path):
        assert "Why this student" not in path.read_text(encoding="utf-8")


def test_names_from_outside_stay_text(summary: Summary, material: Material, tmp_path: Path) -> None:
    hostile = [candidate("<script>|", (1, 0.5), why="<b>|`"), *TRIED]

    html, markdown = render(summary, material.model_copy(update={"candidates": hostile}), tmp_path)

    assert "<script>" not in html.read_text(encoding="utf-8")
    assert "&lt;script>\\|" in markdown.read_text(encoding="utf-8")
