"""The latency of a whole network from a table of blocks: a fitted time for every layer, summed.

A network takes what the runtime takes for itself and what its layers take one after the other; a
layer takes a fitted time for each of its terms (latency_terms.py). The fit sees the entries alone:
each is the same sum, with what goes in and comes out of its file besides. Every entry counts by its
fastest round, since on a machine with other work the slower ones tell of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .latency_layers import TimedLayer, Whole
from .latency_range import Covered
from .latency_table import FORMAT, FitRecord, LatencyTable, TableError
from .latency_terms import block_terms, known_terms, summed

if TYPE_CHECKING:
    from .latency_table import Block, Entry

__all__ = ["Fit", "TimedLayer", "fitted", "with_fit"]

LEVEL = 0.9
"""Share of what is predicted that is to lie within the interval told."""
FAR_SLOWER = 1.12
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
        TableError: kinds of blocks are missing.
    """
    record = with_fit(table).fit
    assert record is not None  # with_fit gives one
    return Fit(record=record, blocks=tuple(entry.block for entry in table.entries))


def with_fit(table: LatencyTable) -> LatencyTable:
    """The table with a fit to its entries: itself where it has one of terms that are known here.

    Raises:
        TableError: kinds of blocks are missing.
    """
    if table.fit is not None and table.fit.ms.keys() <= known_terms():
        return table
    from .latency_solve import left_out_errors, times_of

    blocks = [entry.block for entry in table.entries]
    groups = Covered(blocks).groups
    if missing := [called for group, called in NEEDED.items() if group not in groups]:
        raise TableError(
            f"no network's latency can be fitted to this table: it has no {', no '.join(missing)};"
            " edgestill calibrate measures what is missing"
        )
    fastest = [min(entry.rounds_p50_ms) for entry in table.entries]
    metered = [entry.energy_mj for entry in table.entries if entry.energy_mj is not None]
    errors = left_out_errors(blocks, fastest)
    record = FitRecord(
        ms=times_of(blocks, fastest),
        energy_mj=times_of(blocks, metered) if len(metered) == len(blocks) else None,
        median_error=round(float(errors[len(errors) // 2]), 4),
        error=round(float(errors[int(LEVEL * len(errors))]), 4),
        level=LEVEL,
    )
    return table.model_copy(update={"edgestill_latency_table": FORMAT, "fit": record})


def far_slower(table: LatencyTable) -> list[Entry]:
    """The entries that took more than FAR_SLOWER of what the table's fit has them take."""
    assert table.fit is not None
    found = []
    for entry in table.entries:
        terms = block_terms(entry.block).items()
        predicted = sum(much * table.fit.ms.get(name, 0.0) for name, much in terms)
        if min(entry.rounds_p50_ms) > FAR_SLOWER * predicted:
            found.append(entry)
    return found


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
