"""Tables for people, on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .headline import headline
from .summary import COLUMNS, Summary, rows
from .wording import NOT_MEASURED, number

if TYPE_CHECKING:
    from ..deploy.session import Measurement
    from ..export.check_report import CheckReport

STYLES = {"pass": "green", "fail": "bold red", "error": "bold red", "skipped": "yellow"}


def closing_table(summary: Summary) -> None:
    """Teacher, student and every INT8 file with their figures; the reasons for nulls below."""
    console = _console()
    answer = headline(summary)
    console.print(answer.sentence, style="bold", markup=False)
    if answer.caution:
        console.print(answer.caution, style="yellow", markup=False)
    console.print(_table(COLUMNS, [row.cells() for row in rows(summary)], title=summary.recipe))
    for name, limit in summary.budget.items():
        verdict = {True: "met", False: "MISSED", None: NOT_MEASURED}[limit.met]
        value = "?" if limit.value is None else f"{limit.value:,}"
        console.print(f"budget {name}: {value} of {limit.limit:,}, {verdict}")
    reasons = dict.fromkeys(why for row in rows(summary) for why in row.reasons.values())
    for why in reasons:
        console.print(f"not measured: {why}", style="dim")


def check_table(report: CheckReport) -> None:
    """Every line of a check with its verdict."""
    console = _console()
    table = Table("verdict", "line", "found", "expected", "why")
    for line in report.lines:
        verdict = Text(line.verdict, style=STYLES[line.verdict])
        table.add_row(verdict, line.name, line.found, line.expected, line.why)
    console.print(table)
    console.print(f"{report.model}: {report.verdict}", markup=False)


def measurement_table(model: Path, measurement: Measurement) -> None:
    """A file's latency and energy, and how they were measured."""
    console = _console()
    latency = measurement.latency_ms
    heads = (*latency, "energy mJ")
    energy = number(measurement.energy_mj)
    console.print(_table(heads, [(*map(number, latency.values()), energy)], title=f"{model} (ms)"))
    console.print(
        f"{measurement.runs:,} runs in {measurement.engine}; energy: {measurement.energy_source}",
        style="dim",
    )


def _table(heads: tuple[str, ...], body: list[tuple[str, ...]], *, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for index, head in enumerate(heads):
        table.add_column(head, justify="left" if index == 0 else "right", overflow="fold")
    for cells in body:
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _console() -> Console:
    # A pipe has no width; 80 columns would fold the table's figures apart.
    console = _Console(highlight=False)
    return console if console.is_terminal else _Console(highlight=False, width=120)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # for the command to end as others do, not with a gate's exit code
