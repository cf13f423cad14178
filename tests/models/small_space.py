"""A family whose space is small enough to weigh in plain Python, network by network."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from edgestill.models.budget import Budget
from edgestill.models.cost import Cost
from edgestill.models.family import rising
from edgestill.models.search import Prediction, predicted_of
from edgestill.models.space import Choice
from edgestill.models.wideresnet import WideResNet

END: dict[str, Any] = {"num_classes": 10, "image_size": 32}


@dataclass(frozen=True, kw_only=True)
class Small(WideResNet):
    """WideResNets of 8 depths and a few widths, some of them in it twice."""

    family: ClassVar[str] = "small"

    @classmethod
    def axes(cls) -> dict[str, Sequence[Choice]]:
        stages = rising([(8, 16), (8, 16, 24), (8, 16, 32)])
        channels = [(stem, *widths) for widths in stages for stem in (8, 16)]
        # The even depth stands there twice: networks that differ in nothing but their row.
        blocks = [*itertools.product((1, 2), repeat=3), (1, 1, 1)]
        return {"blocks": blocks, "channels": channels}


SPACE = Small.space(**END)
SPECS = [spec for spec in SPACE if isinstance(spec, Small)]
COSTS: list[Cost] = [spec.cost() for spec in SPECS]


def size(row: int) -> tuple[int, int, int, int]:
    """The key that sorts the rows largest network first."""
    cost = COSTS[row]
    return -cost.macs, -cost.params, cost.peak_activation_bytes or 0, row


def by_brute_force(
    budget: Budget, predicted: Mapping[str, Prediction]
) -> tuple[list[int], list[int], list[tuple[str, int]]]:
    """Rows that fit, in the order of the search; of these the frontier, by size; and what binds
    each other row, the nearest first."""
    fits, misses = [], []
    for row, (spec, cost) in enumerate(zip(SPECS, COSTS, strict=True)):
        limits = budget.limits(cost, predicted_of(spec, predicted))
        if all(limit.met for limit in limits):
            fits.append(row)
        else:
            factors = [limit.value / limit.limit for limit in limits]
            binds = factors.index(max(factors))
            misses.append((limits[binds].name, factors[binds], row))
    most = max((COSTS[row].macs for row in fits), default=0)
    fits.sort(key=lambda row: (_uneven(row) if 20 * COSTS[row].macs > 19 * most else 99, size(row)))
    frontier = [row for row in fits if not any(_beats(other, row) for other in fits)]
    misses.sort(key=lambda miss: miss[1:])
    frontier.sort(key=size, reverse=True)
    return fits, frontier, [(name, row) for name, _, row in misses]


def _uneven(row: int) -> int:
    return max(SPECS[row].blocks) - min(SPECS[row].blocks)


def _beats(other: int, row: int) -> bool:
    """More MACs for no more parameters; or the same of both, and to be preferred."""
    this, that = COSTS[row], COSTS[other]
    if (that.macs, that.params) == (this.macs, this.params):
        return size(other) < size(row)
    return that.macs > this.macs and that.params <= this.params
