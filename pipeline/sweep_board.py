"""A sweep as it goes on, on stderr: a line a run on a terminal, a line a change elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from .console import line_of
from .events import JSON, listening

if TYPE_CHECKING:
    from rich.table import Table

STYLES = {"running": "bold", "trained": "green", "done": "green", "failed": "bold red"}
LINES = 30  # of a live table; what has been done leaves it first


@contextmanager
def board_shown(names: Sequence[str], *, quiet: bool) -> Iterator[None]:
    """Within the block, events of the sweep and of this process appear on stderr."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or quiet:
        with listening(Lines(names, quiet=quiet)):
            yield
        return
    from rich.live import Live

    board = Board(names)
    with Live(board.table(), console=console, refresh_per_second=4, transient=True) as live:

        def told(kind: str, fields: dict[str, JSON]) -> None:
            if kind == "sweep_run" and fields["status"] != "note":
                board.note(str(fields["name"]), str(fields["status"]), str(fields["text"]))
                live.update(board.table())
            elif (line := line_of_sweep(kind, fields)) is not None:
                console.print(line, markup=False)

        with listening(told):
            yield


def line_of_sweep(kind: str, fields: dict[str, JSON]) -> str | None:
    """The line that an event is worth without a live table, None if it is worth none."""
    if kind != "sweep_run":
        return line_of(kind, fields)
    status = "" if fields["status"] in ("running", "note") else f"{fields['status']}  "
    return f"{fields['name']}  {status}{fields['text']}"


class Lines:
    """Plain lines, without epochs and what is reused; `quiet` leaves notes and failures."""

    def __init__(self, names: Sequence[str], *, quiet: bool) -> None:
        self._places = {name: f"[{number}/{len(names)}] " for number, name in enumerate(names, 1)}
        self._quiet = quiet

    def __call__(self, kind: str, fields: dict[str, JSON]) -> None:
        if kind not in ("sweep_run", "note"):
            return
        status = fields.get("status", "note")
        if status == "running" and " " in str(fields["text"]):  # more than a stage that begins
            return
        if self._quiet and status not in ("note", "again", "failed"):
            return
        place = self._places.get(str(fields.get("name")), "")
        print(f"{place}{line_of_sweep(kind, fields)}", file=sys.stderr, flush=True)


class Board:
    """The live table's content: where each run is."""

    def __init__(self, names: Sequence[str]) -> None:
        self._runs = {name: ("waiting", "") for name in names}
        self._began = monotonic()

    def note(self, name: str, status: str, text: str) -> None:
        self._runs[name] = status, text

    def table(self) -> Table:
        """One line a run; of a large sweep those that are under way and the next ones."""
        from rich.table import Table
        from rich.text import Text

        over = sum(status in ("done", "failed") for status, _ in self._runs.values())
        seconds = monotonic() - self._began
        table = Table(
            title=f"{over} of {len(self._runs)} runs, {seconds / 60:.1f} min",
            title_justify="left",
            box=None,
            show_header=False,
            pad_edge=False,
        )
        for name, (status, text) in self.shown():
            table.add_row(name, Text(status, style=STYLES.get(status, "dim")), Text(text))
        return table

    def shown(self) -> list[tuple[str, tuple[str, str]]]:
        """The runs that have a line, in the order of the grid."""
        rank = {"running": 0, "again": 0, "failed": 1, "waiting": 2, "trained": 3, "done": 4}
        kept = sorted(self._runs, key=lambda name: rank[self._runs[name][0]])[:LINES]
        return [(name, told) for name, told in self._runs.items() if name in kept]
