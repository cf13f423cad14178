"""The largest network of a family that keeps a budget, found by weighing its whole space; no torch.

"Larger" is: more MACs, then more parameters; of equals the one with less live memory, then the one
that the family's space names first. In a space of a million networks many come within a hair of the
most MACs, and the one that comes nearest may well be a freak. So those that fit and lie less than a
twentieth of the most MACs below it count as the largest together: of these the more evenly deep
come first, and of equally even ones the larger.

The space is weighed in columns, chunk by chunk, so that its size is bounded by patience alone:
`benchmarks/search.py` says how many networks a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .budget import NOTHING, PREDICTED, Budget, Limit, figure, spelled
from .cost import Cost, total
from .errors import BadInput, GateFailed
from .families import Spec, family_named
from .layer import Layer, Whole
from .space import Space
from .weighed import ROW, Weighed

Prediction: TypeAlias = Callable[[Sequence[Layer]], Whole]
"""Layers of one network, or of a chunk of a space -> a number, or a column (R,)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network, what it costs, and what was predicted of it, by name."""

    spec: Spec
    cost: Cost
    predicted: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A network over the budget, and the limit that it exceeds by the greatest factor."""

    spec: Spec
    cost: Cost
    binds: Limit
    predicted: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search weighed and what came of it."""

    best: tuple[Candidate, ...]
    """The largest that fit, in that order: as many as were asked for, or as there are."""
    weighed: int
    fitting: int
    frontier: tuple[Candidate, ...]
    """Of those that fit, the ones no other beats with more MACs for no more parameters; by size."""
    rejected: tuple[Rejected, ...]
    """For each limit that binds, the few networks that miss it most narrowly, nearest first."""


class NothingFits(GateFailed):
    """No network of a family keeps the budget."""

    def __init__(self, told: str, weighed: int, nearest: tuple[Rejected, ...]) -> None:
        super().__init__(told)
        self.weighed = weighed
        self.nearest = nearest
        """As `Found.rejected`."""


def search(
    family: str,
    budget: Budget,
    *,
    num_classes: int,
    image_size: int,
    in_channels: int = 3,
    top: int = 1,
    predicted: Mapping[str, Prediction] = NOTHING,
) -> Found:
    """The `top` largest networks that fit; `NothingFits` with the limit that binds if none does.

    predicted: what foretells latency_ms (ms) and energy_mj (mJ) from layers; a budget that limits
    one of these needs it.
    """
    if top < 1:
        raise BadInput(f"top must be 1 or more, found {top}")
    for name in PREDICTED:
        if getattr(budget, name) is not None and name not in predicted:
            raise BadInput(f"budget.{name}: nothing predicts it; name the device")
    kind = family_named(family)
    space = kind.space(num_classes=num_classes, image_size=image_size, in_channels=in_channels)
    weighed = Weighed(top)
    limited = {name: f for name, f in predicted.items() if getattr(budget, name, None) is not None}
    for chunk in space.chunks():
        layers = kind.layers(chunk.shape)
        cost = total(layers)
        foretold = {name: predict(layers) for name, predict in limited.items()}
        limits = budget.limits(cost, foretold)
        weighed.add(chunk.rows, cost, limits, kind.unevenness(chunk.shape))
    rejected = tuple(
        _rejected(space.spec(row), name, budget, predicted) for name, row in weighed.nearest()
    )
    if not weighed.fitting:
        told = _nothing_fits(family, rejected[0], image_size, num_classes)
        raise NothingFits(told, weighed.count, rejected)
    return Found(
        best=_candidates(space, weighed.best(), predicted),
        weighed=weighed.count,
        fitting=weighed.fitting,
        frontier=_candidates(space, weighed.frontier, predicted)[::-1],
        rejected=rejected,
    )


def predicted_of(spec: Spec, predicted: Mapping[str, Prediction]) -> dict[str, float]:
    """What is predicted of one network, by name."""
    layers = spec.layers(spec)
    return {name: float(predict(layers)) for name, predict in predicted.items()}


def _candidates(
    space: Space, found: Any, predicted: Mapping[str, Prediction]
) -> tuple[Candidate, ...]:
    specs = [space.spec(int(row)) for row in found[ROW]]
    return tuple(Candidate(spec, spec.cost(), predicted_of(spec, predicted)) for spec in specs)


def _rejected(
    spec: Spec, name: str, budget: Budget, predicted: Mapping[str, Prediction]
) -> Rejected:
    cost, foretold = spec.cost(), predicted_of(spec, predicted)
    binds = next(each for each in budget.limits(cost, foretold) if each.name == name)
    return Rejected(spec, cost, binds, foretold)


def _nothing_fits(family: str, nearest: Rejected, image_size: int, num_classes: int) -> str:
    binds, cost = nearest.binds, nearest.cost
    foretold = "".join(
        f", {name} {figure(name, value)}" for name, value in nearest.predicted.items()
    )
    return (
        f"no {family} for {image_size}x{image_size} images and {num_classes} classes fits:"
        f" budget.{binds.name} = {figure(binds.name, binds.limit)} binds, and the nearest,"
        f" {nearest.spec.describe()}, needs {figure(binds.name, binds.value)}"
        f" (its macs {spelled(cost.macs)}, params {spelled(cost.params)},"
        f" bytes {spelled(cost.bytes_int8)}, peak_activation_bytes"
        f" {spelled(cost.peak_activation_bytes or 0)}{foretold}); raise the budget or use smaller"
        " images"
    )
