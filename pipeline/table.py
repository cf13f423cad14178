"""Tables for people, on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..models.budget import figure
from .headline import headline
from .rows import COLUMNS, TIMED_COLUMNS, rows, timed_rows
from .summary import Summary
from .wording import NOT_MEASURED

if TYPE_CHECKING:
    from ..export.check_report import CheckReport

STYLES = {
    "pass": "green",
    "fail": "bold red",
    "error": "bold red",
    "undecided": "yellow",
    "skipped": "yellow",
}


def closing_table(summary: Summary) -> None:
    """Teacher, student and every INT8 file with their figures; the reasons for nulls below."""
    console = tables_console()
    answer = headline(summary)
    console.print(answer.sentence, style="bold", markup=False)
    if answer.caution:
        console.print(answer.caution, style="yellow", markup=False)
    console.print(
        figures_table(COLUMNS, [row.cells() for row in rows(summary)], title=summary.recipe)
    )
    for place in summary.places:
        timed = timed_rows(summary, place)
        cells = [row.cells() for row in timed]
        console.print(figures_table(TIMED_COLUMNS, cells, title=f"on {place}"))
        for setting in dict.fromkeys(row.conditions.setting for row in timed):
            console.print(setting, style="dim", markup=False)
    for name, line in summary.budget.items():
        verdict = {True: "met", False: "MISSED", None: NOT_MEASURED}[line.met]
        value, most = figure(name, line.value), figure(name, line.limit)
        why = f": {summary.why_null(f'budget.{name}')}" if line.value is None else ""
        console.print(f"budget {name}: {value} of {most}, {verdict}{why}", markup=False)
    reasons = dict.fromkeys(why for row in rows(summary) for why in row.reasons.values())
    reasons |= dict.fromkeys(
        f"energy on {place}: {row.why_no_energy}"
        for place in summary.places
        for row in timed_rows(summary, place)
        if row.energy_mj is None
    )
    for why in reasons:
        console.print(f"not measured: {why}", style="dim")


def check_table(report: CheckReport) -> None:
    """Every line of a check with its verdict."""
    console = tables_console()
    table = Table("verdict", "line", "found", "expected", "why")
    for line in report.lines:
        verdict = Text(line.verdict, style=STYLES[line.verdict])
        table.add_row(verdict, *map(Text, (line.name, line.found, line.expected, line.why)))
    console.print(table)
    console.print(f"{report.model}: {report.verdict}", markup=False)


def figures_table(
    heads: tuple[str, ...], body: list[tuple[str, ...]], *, title: str = "", names: int = 1
) -> Table:
    """`names` columns of names on the left, figures on the right."""
    table = Table(title=title or None, title_justify="left")
    for index, head in enumerate(heads):
        table.add_column(head, justify="left" if index < names else "right", overflow="fold")
    for cells in body:
        table.add_row(*(Text(cell) for cell in cells))
    return table


def tables_console(width: int = 120) -> Console:
    """For stdout; `width` columns in a pipe, which has none: 80 would fold figures apart."""
    console = _Console(highlight=False)
    return console if console.is_terminal else _Console(highlight=False, width=width)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # for the command to end as others do, not with a gate's exit code
