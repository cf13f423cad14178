"""The largest network of a family that keeps a budget, found by weighing its whole space; no torch.

"Largest" is: most MACs, then most parameters; of equals the one with less live memory, then the
one that the family's space names first. The space is weighed in columns, chunk by chunk, so that
its size is bounded by patience alone: `benchmarks/search.py` says how many networks a second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .budget import Budget, Limit, spelled
from .cost import Cost
from .errors import BadInput, GateFailed
from .families import Spec, family_named
from .space import Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[Any]

NEAREST_REJECTED = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network and what it costs."""

    spec: Spec
    cost: Cost


@dataclass(frozen=True, slots=True)
class Rejected:
    """A network over the budget, and the limit that it exceeds by the greatest factor."""

    spec: Spec
    cost: Cost
    binds: Limit


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search weighed and what came of it."""

    best: tuple[Candidate, ...]
    """The largest that fit, largest first: as many as were asked for, or as there are."""
    weighed: int
    fitting: int
    frontier: tuple[Candidate, ...]
    """Of those that fit, the ones no other beats with more MACs for no more parameters; by size."""
    rejected: tuple[Rejected, ...]
    """For each limit that binds, the few networks that miss it most narrowly, nearest first."""


def search(
    family: str,
    budget: Budget,
    *,
    num_classes: int,
    image_size: int,
    in_channels: int = 3,
    top: int = 1,
) -> Found:
    """The `top` largest networks that fit; `GateFailed` with the limit that binds if none does."""
    if top < 1:
        raise BadInput(f"top must be 1 or more, found {top}")
    kind = family_named(family)
    space = kind.space(num_classes=num_classes, image_size=image_size, in_channels=in_channels)
    weighed = Weighed(top)
    for chunk in space.chunks():
        weighed.add(chunk.rows, kind.priced(chunk.shape), budget)
    if not weighed.fitting:
        nearest = weighed.rejected(space, budget)
        raise GateFailed(_nothing_fits(family, nearest[0], image_size, num_classes))
    return Found(
        best=_candidates(space, weighed.best),
        weighed=weighed.count,
        fitting=weighed.fitting,
        frontier=_candidates(space, weighed.frontier[::-1]),
        rejected=weighed.rejected(space, budget),
    )


@dataclass
class Weighed:
    """What is kept of the chunks weighed so far: a few rows each, never the chunks."""

    top: int
    count: int = 0
    fitting: int = 0
    best: Column | None = None
    """(R, 4) of row, MACs, parameters and live bytes, largest network first."""
    frontier: Any = None
    over: dict[str, Column] = field(default_factory=dict)
    """By limit: (R, 2) of the factor by which it is exceeded, and the row; nearest first."""

    def add(self, rows: Column, cost: Any, budget: Budget) -> None:
        """Takes in one chunk: its rows (R,) and the columns of what they cost."""
        import numpy as np

        self.count += len(rows)
        factors = {
            limit.name: np.broadcast_to(
                (0 if limit.value is None else limit.value) / limit.limit, rows.shape
            )
            for limit in budget.limits(cost)
        }
        excess = np.stack(list(factors.values())) if factors else np.zeros((1, len(rows)))
        fits = (excess <= 1).all(axis=0)
        self.fitting += int(fits.sum())
        kept = [
            np.broadcast_to(column, rows.shape)[fits]
            for column in (rows, cost.macs, cost.params, cost.peak_activation_bytes)
        ]
        found = _by_size(np.stack(kept, axis=1))
        self.best = _by_size(_joined(self.best, found[: self.top]))[: self.top]
        self.frontier = _unbeaten(_by_size(_joined(self.frontier, _unbeaten(found))))
        for place, name in enumerate(factors):
            binding = ~fits & (excess.argmax(axis=0) == place)
            over = np.stack([excess[place][binding], rows[binding]], axis=1)
            self.over[name] = _nearest(_joined(self.over.get(name), _nearest(over)))

    def rejected(self, space: Space, budget: Budget) -> tuple[Rejected, ...]:
        """The nearest of those that do not fit, the nearest limit's first."""
        nearest = sorted(
            (kept for kept in self.over.items() if len(kept[1])), key=lambda kept: kept[1][0][0]
        )
        return tuple(
            Rejected(spec, cost, next(each for each in budget.limits(cost) if each.name == name))
            for name, over in nearest
            for row in over[:, 1]
            for spec in [space.spec(int(row))]
            for cost in [spec.cost()]
        )


def _by_size(found: Column) -> Column:
    """Rows of (row, MACs, parameters, live bytes), largest network first."""
    import numpy as np

    row, macs, params, live = found.T
    return found[np.lexsort((row, live, -params, -macs))]


def _unbeaten(largest_first: Column) -> Column:
    """Those with fewer parameters than all that are larger."""
    import numpy as np

    if not len(largest_first):
        return largest_first
    params = largest_first[:, 2]
    least_before = np.minimum.accumulate(np.concatenate([[params[0] + 1], params[:-1]]))
    return largest_first[params < least_before]


def _nearest(over: Column) -> Column:
    import numpy as np

    return over[np.argsort(over[:, 0], kind="stable")][:NEAREST_REJECTED]


def _joined(kept: Column | None, more: Column) -> Column:
    import numpy as np

    return more if kept is None else np.concatenate([kept, more])


def _candidates(space: Space, found: Column | None) -> tuple[Candidate, ...]:
    rows: Any = [] if found is None else found[:, 0]
    specs = [space.spec(int(row)) for row in rows]
    return tuple(Candidate(spec, spec.cost()) for spec in specs)


def _nothing_fits(family: str, nearest: Rejected, image_size: int, num_classes: int) -> str:
    binds, cost = nearest.binds, nearest.cost
    return (
        f"no {family} for {image_size}x{image_size} images and {num_classes} classes fits:"
        f" budget.{binds.name} = {binds.limit:,} binds, and the nearest, {nearest.spec.describe()},"
        f" needs {binds.value:,} (its macs {spelled(cost.macs)}, params {spelled(cost.params)},"
        f" bytes {spelled(cost.bytes_int8)}, peak_activation_bytes"
        f" {spelled(cost.peak_activation_bytes or 0)}); raise the budget or use smaller images"
    )
