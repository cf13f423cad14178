"""Reports of a check as Markdown, for a job's summary or a comment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .check_outcome import encodable, outcomes
from .check_report import CheckReport, Line

MARKS = {
    "pass": "pass",
    "fail": "**FAIL**",
    "error": "**ERROR**",
    "undecided": "*undecided*",
    "skipped": "*skipped*",
}

HEAD = ("| line | verdict | found | expected | why |", "| --- | --- | --- | --- | --- |")


def markdown(reports: Sequence[CheckReport], *, passes: bool = True) -> str:
    """A section per model: the verdict with its counts, and a table of the lines.

    `passes`: also the lines that passed.
    """
    if len(reports) == 1:
        return _section(reports[0], "##", passes)
    sections = [_section(report, "###", passes) for report in reports]
    return "\n".join([f"## {headline(reports)}", "", *sections])


def markdown_list(reports: Sequence[CheckReport]) -> str:
    """The verdict alone, an item per model."""
    return "".join(f"- {_code(each.model)}: {_text(each.verdict)}\n" for each in reports)


def headline(reports: Sequence[CheckReport]) -> str:
    """How many models hold their contract."""
    good = sum(report.ok for report in reports)
    return f"edgestill check: {good} of {len(reports)} models hold their contract"


def _section(report: CheckReport, heading: str, passes: bool) -> str:
    about = [f"inputs: {_text(report.inputs)}", f"target: {report.target or 'none given'}"]
    if report.reference:
        about.append(f"reference: {_code(report.reference)}")
    tools = ", ".join(f"{name} {number}" for name, number in report.tools.items())
    counted = outcomes(report)
    rows = [_row(line, counts == "fail") for line, counts in counted if passes or counts != "pass"]
    return "\n".join(
        [
            f"{heading} edgestill check {_code(Path(report.model).name)}",
            "",
            f"**{_text(report.verdict)}**",
            "",
            *([*HEAD, *rows] if rows else ["Every line passed."]),
            "",
            f"{'; '.join(about)}; {_text(tools)}; sha256 `{report.sha256[:12]}`",
            "",
        ]
    )


def _row(line: Line, fails: bool) -> str:
    mark = MARKS[line.verdict]
    if fails and line.verdict != "fail":
        mark = f"**FAIL** ({line.verdict})"
    cells = [_text(line.name), mark, *map(_text, (line.found, line.expected, line.why))]
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """One line that Markdown shows as it is: names in a model are no tags, links or mentions."""
    text = " ".join(encodable(text).split())
    text = re.sub(r"([\\|`*\[\]~])", r"\\\1", text)
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # in the middle of a word it is plain
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("@", "&#64;")


def _code(text: str) -> str:
    text = " ".join(encodable(text).split())
    return _text(text) if "`" in text else f"`{text}`"
