"""The check lines of several files as one table: a row for each check, a column for each file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .material import CheckLine


@dataclass(frozen=True, kw_only=True)
class GridRow:
    """One check over all files."""

    name: str
    expected: str
    cells: tuple[CheckLine | None, ...]
    """One for each file of the grid, or a single one where all files gave the same answer."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    files: tuple[str, ...]
    rows: tuple[GridRow, ...]


def check_grid(lines: Sequence[CheckLine]) -> Grid:
    """The grid of `lines`; checks and files in the order in which they are first met."""
    files = tuple(dict.fromkeys(line.target for line in lines))
    checks: dict[str, dict[str, CheckLine]] = {}
    for line in lines:
        checks.setdefault(line.name, {})[line.target] = line
    return Grid(
        files=files,
        rows=tuple(
            GridRow(name=name, expected=_expected(found), cells=_cells(found, files))
            for name, found in checks.items()
        ),
    )


def text(value: object) -> str:
    """A figure of a check line: floats with at most four digits, null as a dash.

    >>> text(0.013888), text(18), text(None)
    ('0.01389', '18', '-')
    """
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cells(found: dict[str, CheckLine], files: Sequence[str]) -> tuple[CheckLine | None, ...]:
    answers = {(line.verdict, text(line.found), line.why) for line in found.values()}
    if len(answers) == 1 and len(found) == len(files):
        return (found[files[0]],)
    return tuple(found.get(file) for file in files)


def _expected(found: dict[str, CheckLine]) -> str:
    """What was expected, said once for all files that share it."""
    shared: dict[str, list[str]] = {}
    for file, line in found.items():
        expected = text(line.expected)
        if file:
            expected = expected.replace(file, "target")
        shared.setdefault(expected, []).append(file)
    if len(shared) == 1:
        return next(iter(shared))
    return "; ".join(f"{', '.join(files)}: {expected}" for expected, files in shared.items())
