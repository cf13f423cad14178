"""The latency of a whole network from a table of blocks: a fitted time for every layer, summed.

A network takes what the runtime takes for itself and what its layers take one after the other; a
layer takes a fitted time for each of its terms (latency_terms.py). The fit sees single blocks: each
is the same sum, with what goes in and comes out of its file besides. The table's chains are whole
networks that it does not see; how far off they are says what to expect of others. All times are at
one speed of the machine, the middle one of those it had (yardstick.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log
from statistics import median
from typing import TYPE_CHECKING

from .latency_layers import TimedLayer, Whole, layers_of
from .latency_range import Covered
from .latency_table import FitRecord, LatencyTable, TableError
from .latency_terms import known_terms, summed
from .yardstick import steady_ms, typical_ms

if TYPE_CHECKING:
    from .latency_table import Block, Entry

__all__ = ["Fit", "TimedLayer", "entry_ms", "fitted", "speed_of", "with_fit"]

LEVEL = 0.9
"""Share of what is predicted that is to lie within the interval told."""
NEEDED = {
    "image": "conv3x3 of an image",
    "conv": "conv3x3",
    "conv1x1": "conv1x1",
    "depthwise": "depthwise3x3",
    "global_pool": "global_pool",
    "linear": "linear",
}
"""The groups of layers that every network is made of -> what a person calls their blocks."""


def fitted(table: LatencyTable) -> Fit:
    """The fit that stands in the table; where none of this version does, one made of its entries.

    Raises:
        TableError: kinds of blocks are missing, or all chains.
    """
    record = with_fit(table).fit
    assert record is not None  # with_fit gives one
    return Fit(record=record, blocks=tuple(entry.blocks[0] for entry in table.singles))


def with_fit(table: LatencyTable) -> LatencyTable:
    """The table with a fit to its entries: itself where it has one of terms that are known here.

    Raises:
        TableError: kinds of blocks are missing, or all chains.
    """
    if table.fit is not None and table.fit.ms.keys() <= known_terms():
        return table
    from .latency_solve import interval_of, times_of

    singles = table.singles
    blocks = [entry.blocks[0] for entry in singles]
    groups = Covered(blocks).groups
    missing = [called for group, called in NEEDED.items() if group not in groups]
    if not table.chains:
        missing.append("whole network")
    if missing:
        raise TableError(
            f"no network's latency can be fitted to this table: it has no {', no '.join(missing)};"
            " edgestill calibrate measures what is missing"
        )
    speed_ms = speed_of(table)
    measured = [entry_ms(entry, speed_ms) for entry in singles]
    times = times_of(blocks, measured)
    metered = [entry.energy_mj for entry in singles if entry.energy_mj is not None]
    errors = [
        log(summed(times, _layers(entry)) / entry_ms(entry, speed_ms)) for entry in table.chains
    ]
    middle, most = interval_of(errors, LEVEL)
    record = FitRecord(
        ms=times,
        energy_mj=times_of(blocks, metered) if len(metered) == len(blocks) else None,
        networks=len(errors),
        median_error=round(middle, 4),
        error=round(most, 4),
        level=LEVEL,
    )
    return table.model_copy(update={"fit": record})


def speed_of(table: LatencyTable) -> float | None:
    """What the yardstick took in the middle, ms: the speed that the fit's times are at. None where
    there was none."""
    return typical_ms(table.yardstick_ms) if table.yardstick_ms else None


def entry_ms(entry: Entry, speed_ms: float | None) -> float:
    """What the file takes at that speed of the machine; of its rounds the middle one without."""
    if entry.yardstick_ms is None or speed_ms is None:
        return median(entry.rounds_p50_ms)
    return steady_ms(entry.rounds_p50_ms, entry.yardstick_ms, speed_ms)


def _layers(chain: Entry) -> list[TimedLayer]:
    return [layer for block in chain.blocks for layer in layers_of(block)]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Predicts whole networks, or columns of them."""

    record: FitRecord
    blocks: tuple[Block, ...]
    """What it was fitted to."""

    def ms(self, layers: Sequence[TimedLayer]) -> Whole:
        """Latency of the network that `layers` make; a column (R,) where they have columns."""
        return summed(self.record.ms, layers)

    def energy_mj(self, layers: Sequence[TimedLayer]) -> Whole | None:
        """Energy of an inference; None where nothing could be metered."""
        energies = self.record.energy_mj
        return None if energies is None else summed(energies, layers)

    def interval(self, value: Whole) -> tuple[Whole, Whole]:
        """Lowest and highest that a network predicted to take `value` is to take, in a share
        `level` of cases."""
        return value / (1 + self.record.error), value * (1 + self.record.error)

    @property
    def level(self) -> float:
        return self.record.level

    def extrapolates(self, layers: Sequence[TimedLayer]) -> list[str]:
        """In which ways the layers lie outside of what was measured, one line each."""
        return self._covered.outside(layers)

    @cached_property
    def _covered(self) -> Covered:
        return Covered(self.blocks)
