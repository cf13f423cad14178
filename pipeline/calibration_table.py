"""What a latency table holds, for people: where most and least is done in a millisecond."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..deploy.latency_fit import entry_ms, speed_of
from ..deploy.yardstick import moved
from ..export.single_block import Block
from .table import figures_table, tables_console
from .wording import NOT_MEASURED, count, number

if TYPE_CHECKING:
    from ..deploy.latency_table import Entry, FitRecord, LatencyTable

SHOWN = 5
"""Of the fastest and of the slowest blocks."""


def calibration_table(table: LatencyTable) -> None:
    """Print the fastest and the slowest blocks by MACs a millisecond, and what is doubtful."""
    console = tables_console()
    setting = (table.power_mode, f"{table.engine} {table.engine_version}", table.precision)
    console.print(f"{table.device}: {', '.join(filter(None, setting))}", markup=False)
    metered = any(entry.energy_mj is not None for entry in table.entries)
    heads = ("fastest, slowest", "MACs", "ms", "MACs/ms", *(["energy mJ"] * metered))
    speed_ms = speed_of(table)
    times = [(entry, entry_ms(entry, speed_ms)) for entry in table.singles]
    rows = [(*_figures(entry, ms), *_energy(entry, metered)) for entry, ms in extremes(times)]
    console.print(figures_table(heads, rows))
    empty_us = 1000 * min(ms for entry, ms in times if entry.blocks[0].kind == "identity")
    console.print(f"an inference of nothing takes {number(empty_us)} us", markup=False)
    if table.fit is not None:
        console.print(fit_line(table.fit), markup=False)
    if table.yardstick_ms:
        console.print(speed_line(moved(table.yardstick_ms)), markup=False)
    energy = "energy: " if metered else f"energy {NOT_MEASURED}: "
    console.print(energy + table.energy_source, style="dim", markup=False)
    for line in doubts(table.entries):
        console.print(line, style="yellow", markup=False)


def fit_line(fit: FitRecord) -> str:
    """How well the fit predicts what it has not seen."""
    return (
        f"networks are predicted by a fit to these blocks; {fit.networks} that it has not seen were"
        f" off by {fit.median_error:.0%} (half of them); {fit.level:.0%} of others are to be within"
        f" {fit.error:.0%}"
    )


def speed_line(factor: float) -> str:
    """How steady the device was."""
    return (
        f"its own speed changed by a factor of {factor:.2f} meanwhile, by a yardstick timed beside"
        " every window; these times and the fit are at the middle one of its speeds"
    )


def extremes(times: Sequence[tuple[Entry, float]]) -> list[tuple[Entry, float]]:
    """Of entries with their times in ms the SHOWN fastest and as many of the slowest that do any
    MACs, the fastest first."""
    counted = [(entry, ms) for entry, ms in times if entry.macs]
    ranked = sorted(counted, key=lambda timed: timed[1] / timed[0].macs)
    return ranked if len(ranked) <= 2 * SHOWN else [*ranked[:SHOWN], *ranked[-SHOWN:]]


def doubts(entries: Sequence[Entry]) -> Iterator[str]:
    """At how many entries each kind of flag stands."""
    for kind in dict.fromkeys(flag.kind for entry in entries for flag in entry.flags):
        flagged = sum(any(flag.kind == kind for flag in entry.flags) for entry in entries)
        yield f"note: {kind}: {flagged} of {len(entries)} entries"


def _figures(entry: Entry, ms: float) -> tuple[str, ...]:
    name = Block(**entry.blocks[0].model_dump()).name
    return name, count(entry.macs), number(ms), count(entry.macs / ms)


def _energy(entry: Entry, metered: bool) -> tuple[str, ...]:
    return (number(entry.energy_mj),) if metered else ()
