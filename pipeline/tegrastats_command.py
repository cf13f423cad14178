"""`edgestill tegrastats LOG`: a recorded log as numbers, line by line and as a whole."""

from __future__ import annotations

import codecs
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO, cast

from ..deploy.agent.tegrastats import LONGEST_LINE, parse_line
from ..models.errors import BadInput
from .table import figures_table, tables_console
from .tegrastats_figures import LogFigures
from .wording import NOT_MEASURED, number, percent

NOT_A_LOG = 10_000
"""Lines without one that can be read, after which a file is not read on."""
LONGEST_TEXT = 16 * 2**20
"""Characters without an end of line, after which a file is not read on."""
SHOWN = 10
"""Numbers of unreadable lines named to people; JSON has all."""


def tegrastats_command(log: Path, as_json: bool, interval_ms: float | None) -> None:
    """Print a log's figures; as JSON, first each line as an object, then {"summary": ...}.

    log: as `tegrastats` or its --logfile wrote it; "-" is stdin.
    interval_ms: between two lines; None: from the time stamps.

    Raises:
        BadInput: there is no such file, not one line of it can be read, or one has no end.
    """
    if interval_ms is not None and not (math.isfinite(interval_ms) and interval_ms > 0):
        raise BadInput(f"--interval-ms {interval_ms:g}: expected milliseconds, more than nought")
    figures, held = LogFigures(), list[str]()
    with _opened(log) as stream:
        for at, line in _lines(stream, log):
            fields = parse_line(line)
            figures.add(fields, at)
            if as_json:
                told = fields or {"unreadable": line[:80]}
                held.append(json.dumps({"line": at, **told}))
            if len(figures.unreadable) < figures.lines:
                # The first line that can be read: so it is a log, and stdout may have lines.
                print(*held, sep="\n", end="\n" if held else "")
                held.clear()
            elif figures.lines == NOT_A_LOG:
                break
    if len(figures.unreadable) == figures.lines:
        found = f"{figures.lines:,} lines, none from tegrastats" if figures.lines else "it is empty"
        raise BadInput(f"{log}: {found}; expected lines such as: RAM 519/7607MB ... VDD_IN 5971mW")
    summary = figures.summary(interval_ms)
    if as_json:
        print(json.dumps({"summary": summary}))
    else:
        _print(log, summary)


@contextmanager
def _opened(log: Path) -> Iterator[TextIO]:
    if str(log) == "-":
        yield _text(cast(BufferedReader, sys.stdin.buffer))
        return
    if not log.exists():
        raise BadInput(f"{log}: no such file; expected a log of tegrastats, or - for stdin")
    if log.is_dir():
        raise BadInput(f"{log} is a folder; expected a log of tegrastats, or - for stdin")
    with log.open("rb") as file:
        yield _text(file)


def _text(file: BufferedReader) -> TextIO:
    """Decoded; PowerShell's `>` writes UTF-16. Lines end as they do on any system."""
    start = file.peek(2)[:2]
    encoding = "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    return TextIOWrapper(file, encoding=encoding, errors="replace", newline=None)


def _lines(stream: TextIO, log: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, each with its number; of one without an end, the beginning."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 2):
        number += 1
        ended, length = line.endswith("\n"), len(line)
        while not ended and (rest := stream.readline(LONGEST_LINE)):
            ended, length = rest.endswith("\n"), length + len(rest)
            if length > LONGEST_TEXT:
                told = f"line {number} is longer than {LONGEST_TEXT:,} characters"
                raise BadInput(f"{log}: {told}; expected a log of tegrastats")
        if not ended and line[-1].isdigit():
            # tegrastats was stopped as it wrote; whether this number lacks digits is not known.
            line += "?"
        if line.strip():
            yield number, line.rstrip("\n")


def _print(log: Path, summary: dict[str, Any]) -> None:
    console = tables_console()
    length = "" if summary["seconds"] is None else f" over {number(summary['seconds'])} s"
    console.print(f"{log}: {summary['lines']:,} lines{length}", style="bold", markup=False)
    if summary["unreadable"]:
        lines = summary["unreadable_lines"]
        more = ", ..." if len(lines) > SHOWN else ""
        named = ", ".join(map(str, lines[:SHOWN])) + more
        console.print(f"{summary['unreadable']:,} unreadable: {named}", style="yellow")
    powers = dict(summary["power_mw"])
    if summary["total"]:
        powers["total"] = summary["total"]
    if powers:
        heads = ("rail", "mean mW", "min mW", "max mW", "energy mJ")
        keys = ("mean_mw", "min_mw", "max_mw", "energy_mj")
        body = [(name, *(number(each[key]) for key in keys)) for name, each in powers.items()]
        console.print(figures_table(heads, body, title="power"))
    if summary["total"]:
        console.print(f"total: {summary['total']['rule']}", style="dim", markup=False)
    if summary["celsius"]:
        body = [
            (name, number(each["mean"]), number(each["max"]))
            for name, each in summary["celsius"].items()
        ]
        console.print(figures_table(("sensor", "mean", "max"), body, title="temperature, Celsius"))
    for name, key in (("GPU", "gpu_load_percent"), ("CPU", "cpu_load_percent")):
        load = summary[key]
        console.print(f"{name} load: {NOT_MEASURED if load is None else percent(load / 100)}")
    if summary["time_source"]:
        console.print(f"time: {summary['time_source']}", style="dim", markup=False)
    for why in dict.fromkeys(summary["not_measured"].values()):
        console.print(f"not measured: {why}", style="dim", markup=False)
