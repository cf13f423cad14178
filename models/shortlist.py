"""A few of the networks that fit, each standing for others like it; no torch.

The largest networks are often near copies of one another, and which of two shapes of one size
learns better, no cost tells. So some are chosen to be tried, in three steps:

- Of those that use the budget up, the evenly deep ones, which the search prefers too: the published
  networks of a family are such. Less even ones come in where these are few.
- Of these some dozens that lie as far apart as possible, each the farthest from all before it
  (Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985), so that a shape of
  which the space has very many variants counts little more than a rare one.
- Of these, one after another, the network that brings the others nearest to the list, as k-medoids
  does: the middle of a group, where the farthest of all would be a freak.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .budget import Budget
    from .search import Candidate

USED = 0.85
"""A network smaller than this share of every limit leaves accuracy behind."""
EVEN = 8
"""Evenly deep networks that are enough to choose from."""
SPREAD = 48
"""Networks that lie apart, of which the list is drawn."""
TASK = ("num_classes", "image_size", "in_channels")
"""Fields of a spec that are the task's and not the architecture's."""


def shortlist(found: Sequence[Candidate], count: int, budget: Budget) -> tuple[Candidate, ...]:
    """`count` of `found`, or as many as there are: its first, then those that stand for the others.

    `found` is what fits, the largest first, as in `Found.best`. The order of the others does not
    matter: of two that do equally well the larger is taken.
    """
    if count < 1:
        raise BadInput(f"a shortlist has 1 member or more, found {count}")
    if not found:
        raise BadInput("a shortlist needs networks to choose from, found none")
    import numpy as np

    largest, *others = found
    pool = [largest, *sorted(_distinct(largest, others), key=_by_size)]
    near = [each for each in pool if each is largest or used(each, budget) >= USED]
    pool = _evenest(near if len(near) >= count else pool, max(count, EVEN))
    places = np.array([features(each) for each in pool])
    apart = _apart(places, max(count, SPREAD))
    members = _amid(places[apart], count)
    return tuple(pool[apart[index]] for index in members)


def used(candidate: Candidate, budget: Budget) -> float:
    """The share of its tightest limit that a network uses: 1 or less if it fits."""
    limits = budget.limits(candidate.cost, candidate.predicted)
    return max((float(each.value) / each.limit for each in limits if each.value), default=0.0)


def features(candidate: Candidate) -> list[float]:
    """Where a network stands among others of its family; to double a choice moves it by log 2.

    First the choices that make its architecture (blocks, widths, stem, ...), a tuple of stages
    counting as much as a single number; then how its cost is made up: parameters and live memory
    per multiply-accumulate.
    """
    cost = candidate.cost
    own = [
        math.log(max(value, 0.5)) / math.sqrt(len(values))
        for values in _choices(candidate.spec)
        for value in values
    ]
    ratios = (cost.params / cost.macs, (cost.peak_activation_bytes or 1) / cost.macs)
    return [*own, *map(math.log, ratios)]


def _choices(spec: Any) -> Iterator[tuple[int, ...]]:
    """The numbers that make an architecture, field by field."""
    for field in dataclasses.fields(spec):
        if field.name not in TASK:
            value = getattr(spec, field.name)
            yield value if isinstance(value, tuple) else (value,)


def _distinct(largest: Candidate, others: Sequence[Candidate]) -> list[Candidate]:
    by_spec = {each.spec: each for each in others if each.spec != largest.spec}
    return list(by_spec.values())


def _by_size(candidate: Candidate) -> tuple[Any, ...]:
    """Sorts the largest first; of equals the one with less live memory, as the search does."""
    cost = candidate.cost
    live = cost.peak_activation_bytes or 0
    return (-cost.macs, -cost.params, live, *_choices(candidate.spec))


def _evenest(pool: list[Candidate], least: int) -> list[Candidate]:
    """The first, and of the others those as even as the evenest `least`."""
    uneven = [int(each.spec.unevenness(each.spec)) for each in pool]
    allowed = max(sorted(uneven[1:])[:least], default=0)
    return [
        each for each, own in zip(pool, uneven, strict=True) if own <= allowed or each is pool[0]
    ]


def _apart(places: NDArray[np.float64], count: int) -> list[int]:
    """Rows of `places` (N, D): the first, then `count` - 1 times the farthest from those taken."""
    import numpy as np

    taken, nearest = [0], np.linalg.norm(places - places[0], axis=1)
    while len(taken) < min(count, len(places)):
        nearest[taken] = -1.0  # of rows that are the same none is taken twice
        taken.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(places - places[taken[-1]], axis=1))
    return taken


def _amid(places: NDArray[np.float64], count: int) -> list[int]:
    """Rows of `places` (N, D): the first, then those that bring the rest nearest to the list."""
    import numpy as np

    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    taken, nearest = [0], distances[0]
    while len(taken) < min(count, len(places)):
        left = np.minimum(nearest, distances).sum(axis=1)
        left[taken] = math.inf
        taken.append(int(left.argmin()))
        nearest = np.minimum(nearest, distances[taken[-1]])
    return taken
