"""The largest network of a family that keeps a budget, found by weighing its whole space; no torch.

"Largest" is: most MACs, then most parameters; of equals the one with less live memory, then the
one that the family's space names first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .budget import Budget, Limit, spelled
from .cost import Cost
from .errors import BadInput, GateFailed
from .families import Spec, family_named

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
    space = family_named(family).space(
        num_classes=num_classes, image_size=image_size, in_channels=in_channels
    )
    fitting: list[Candidate] = []
    over: list[tuple[float, Rejected]] = []
    for spec in space:
        cost = spec.cost()
        limits = budget.limits(cost)
        if all(limit.met for limit in limits):
            fitting.append(Candidate(spec, cost))
        else:
            excess, binds = _binding(limits)
            over.append((excess, Rejected(spec, cost, binds)))
    over.sort(key=lambda pair: pair[0])  # stable: of equals the space's first
    if not fitting:
        raise GateFailed(_nothing_fits(family, over[0][1], image_size, num_classes))
    fitting.sort(key=_smallness)
    return Found(
        best=tuple(fitting[:top]),
        weighed=len(fitting) + len(over),
        fitting=len(fitting),
        frontier=_frontier(fitting),
        rejected=_nearest([rejected for _, rejected in over]),
    )


def _smallness(candidate: Candidate) -> tuple[int, int, int]:
    cost = candidate.cost
    return -cost.macs, -cost.params, cost.peak_activation_bytes or 0


def _binding(limits: Sequence[Limit]) -> tuple[float, Limit]:
    """The limit exceeded by the greatest factor, and the factor."""
    factors = [((limit.value or 0) / limit.limit, limit) for limit in limits]
    return max(factors, key=lambda pair: pair[0])


def _frontier(largest_first: Sequence[Candidate]) -> tuple[Candidate, ...]:
    kept: list[Candidate] = []
    for candidate in largest_first:
        if not kept or candidate.cost.params < kept[-1].cost.params:
            kept.append(candidate)
    return tuple(reversed(kept))


def _nearest(nearest_first: Sequence[Rejected]) -> tuple[Rejected, ...]:
    by_limit: dict[str, list[Rejected]] = {}
    for rejected in nearest_first:
        named = by_limit.setdefault(rejected.binds.name, [])
        if len(named) < NEAREST_REJECTED:
            named.append(rejected)
    return tuple(rejected for named in by_limit.values() for rejected in named)


def _nothing_fits(family: str, nearest: Rejected, image_size: int, num_classes: int) -> str:
    binds, cost = nearest.binds, nearest.cost
    return (
        f"no {family} for {image_size}x{image_size} images and {num_classes} classes fits:"
        f" budget.{binds.name} = {binds.limit:,} binds, and the nearest, {nearest.spec.describe()},"
        f" needs {binds.value:,} (its macs {spelled(cost.macs)}, params {spelled(cost.params)},"
        f" bytes {spelled(cost.bytes_int8)}, peak_activation_bytes"
        f" {spelled(cost.peak_activation_bytes or 0)}); raise the budget or use smaller images"
    )
