"""What a search keeps of the networks it has weighed: a few rows each time, never the chunks.

A chunk is compared with what is kept already before anything is sorted, so that most of it is
dropped by one comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .budget import Limit
from .cost import Cost
from .layer import Whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[Any]

NEAREST_REJECTED = 5
ROW, MACS, PARAMS, LIVE, UNEVEN = range(5)
ABOUT = 20
"""Networks whose MACs are less than one part in so many below the most are of about that size."""


@dataclass
class Weighed:
    """The largest, the frontier and the nearest misses of the chunks taken in so far."""

    top: int
    count: int = 0
    fitting: int = 0
    largest: dict[int, Column] = field(default_factory=dict)
    """By unevenness: (5, R) of row, MACs, parameters, live bytes and unevenness, by size."""
    frontier: Column | None = None
    """(5, R) of the same; both MACs and parameters fall."""
    over: dict[str, Column] = field(default_factory=dict)
    """By limit: (2, R) of the factor by which it is exceeded, and the row; nearest first."""

    def add(self, rows: Column, cost: Cost, limits: Sequence[Limit], unevenness: Whole = 0) -> None:
        """Takes in one chunk: its rows (R,), what they cost, how that stands to the budget, and how
        uneven they are."""
        import numpy as np

        fits = np.ones(rows.shape, bool)
        for limit in limits:
            fits &= limit.met
        self.count += len(rows)
        fitting = int(np.count_nonzero(fits))
        self.fitting += fitting
        if fitting:
            columns: Sequence[Whole] = (
                rows, cost.macs, cost.params, cost.peak_activation_bytes, unevenness
            )  # fmt: skip
            found = np.stack([np.broadcast_to(column, rows.shape)[fits] for column in columns])
            for uneven in np.unique(found[UNEVEN]):
                self._keep_largest(int(uneven), found[:, found[UNEVEN] == uneven])
            self._keep_frontier(found)
        if fitting < len(rows):
            self._keep_nearest(rows, ~fits, limits)

    def best(self) -> Column:
        """(5, R) as above, the `top` first of those that fit, in the order that `search` tells."""
        import numpy as np

        found = np.concatenate(list(self.largest.values()), axis=1)
        about = ABOUT * found[MACS] > (ABOUT - 1) * found[MACS].max()
        first = np.where(about, found[UNEVEN], np.iinfo(np.int64).max)
        return _by_size(found, first)[:, : self.top]

    def _keep_largest(self, uneven: int, found: Column) -> None:
        import numpy as np

        kept = self.largest.get(uneven)
        if kept is not None and kept.shape[1] == self.top:
            found = found[:, found[MACS] >= kept[MACS, -1]]
        if found.shape[1] > self.top:
            least = np.partition(found[MACS], -self.top)[-self.top]
            found = found[:, found[MACS] >= least]
        if found.shape[1]:
            self.largest[uneven] = _by_size(_joined(kept, found))[:, : self.top]

    def _keep_frontier(self, found: Column) -> None:
        import numpy as np

        if self.frontier is not None:
            macs, params = self.frontier[MACS, ::-1], self.frontier[PARAMS, ::-1]
            larger = np.searchsorted(macs, found[MACS], side="right")
            beaten_from = np.append(params, np.iinfo(np.int64).max)[larger]
            found = found[:, found[PARAMS] < beaten_from]
        if found.shape[1]:
            self.frontier = _unbeaten(_by_size(_joined(self.frontier, found)))

    def _keep_nearest(self, rows: Column, misses: Column, limits: Sequence[Limit]) -> None:
        import numpy as np

        factors = [np.broadcast_to(limit.value / limit.limit, rows.shape) for limit in limits]
        worst = factors[0]
        for factor in factors[1:]:
            worst = np.maximum(worst, factor)
        farthest = [self._farthest(limit.name) for limit in limits]
        left = np.flatnonzero(misses & (worst <= max(farthest)))
        for limit, factor, most in zip(limits, factors, farthest, strict=True):
            binds = factor[left] == worst[left]  # of equals the limit that is named first
            nearest = left[binds & (worst[left] <= most)]
            left = left[~binds]
            if len(nearest):
                over = np.stack([worst[nearest], rows[nearest]])
                self.over[limit.name] = _nearest(_joined(self.over.get(limit.name), over))

    def _farthest(self, name: str) -> float:
        """The factor from which on a network is no longer among the nearest that `name` binds."""
        kept = self.over.get(name)
        full = kept is not None and kept.shape[1] == NEAREST_REJECTED
        return float(kept[0, -1]) if full and kept is not None else float("inf")

    def nearest(self) -> list[tuple[str, int]]:
        """The limit that binds and the row, of the nearest misses; the nearest limit's first."""
        limits = sorted(self.over.items(), key=lambda kept: kept[1][0, 0])
        return [(name, int(row)) for name, over in limits for row in over[1]]


def _by_size(found: Column, *first: Column) -> Column:
    """Largest network first; sorted by `first` before that, if it is given."""
    import numpy as np

    keys = (found[ROW], found[LIVE], -found[PARAMS], -found[MACS], *first)
    return found[:, np.lexsort(keys)]


def _unbeaten(largest_first: Column) -> Column:
    """Those with fewer parameters than all that are larger."""
    import numpy as np

    params = largest_first[PARAMS]
    least_before = np.minimum.accumulate(np.concatenate([[params[0] + 1], params[:-1]]))
    return largest_first[:, params < least_before]


def _nearest(over: Column) -> Column:
    import numpy as np

    factor, row = over
    if len(factor) > NEAREST_REJECTED:
        farthest = np.partition(factor, NEAREST_REJECTED - 1)[NEAREST_REJECTED - 1]
        over = over[:, factor <= farthest]
        factor, row = over
    return over[:, np.lexsort((row, factor))[:NEAREST_REJECTED]]


def _joined(kept: Column | None, more: Column) -> Column:
    import numpy as np

    return more if kept is None else np.concatenate([kept, more], axis=1)
