"""How each line of a report counts, so that every format tells the verdict of the report."""

from __future__ import annotations

from typing import Literal

from .check_report import CheckReport, Line

Outcome = Literal["pass", "fail", "error", "open"]
"""fail and error: the check fails by this line. open: it says nothing either way, and may."""

PREFIX = {"skipped": "not checked: ", "undecided": "undecided: "}


def outcomes(report: CheckReport) -> list[tuple[Line, Outcome]]:
    """Every line and how it counts; some line fails or broke exactly if the check failed.

    Where no line failed and the check did, a line `check` is added that says why.
    """
    found: list[tuple[Line, Outcome]] = [(line, _outcome(report, line)) for line in report.lines]
    if not report.ok and not any(counts in ("fail", "error") for _, counts in found):
        found.append((Line(name="check", verdict="fail", why=report.verdict), "fail"))
    return found


def message(line: Line) -> str:
    """Found, expected and why, as one line of text.

    >>> message(Line(name="opset_max", verdict="fail", found="21", expected="at most 18"))
    'found 21; expected at most 18'
    >>> message(Line(name="top1_drop", verdict="skipped", why="no labels were given"))
    'not checked: no labels were given'
    """
    parts = [
        f"found {line.found}" if line.found else "",
        f"expected {line.expected}" if line.expected else "",
        line.why,
    ]
    text = "; ".join(" ".join(part.split()) for part in parts if part)
    return PREFIX.get(line.verdict, "") + text


def encodable(text: str) -> str:
    """`text` with ? for what UTF-8 has no bytes for, as in a file name that was not UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _outcome(report: CheckReport, line: Line) -> Outcome:
    if line.verdict == "skipped":
        may = report.allow_skipped and line.name not in report.unchecked
        return "open" if may else "fail"
    if line.verdict == "undecided":
        return "open" if report.allow_undecided else "fail"
    return line.verdict
