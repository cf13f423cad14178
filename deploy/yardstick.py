"""Times of windows taken at different speeds of a machine, told at one speed.

A yardstick is timed right before and right after each window. On a processor shared with others the
same work may take 1.6 to 1.8 times as long a moment later, the yardstick's about as much as the
window's: what a window would have taken at another moment is its time in yardsticks, times what a
yardstick took then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, exp, log, sqrt
from statistics import median, median_low
from typing import TypeAlias

Beside: TypeAlias = tuple[float, float]
"""What the yardstick took before a window and after it."""
NEARER = 0.75
"""Share of a case's windows that count, rounded up: four of five, all of three. Left out are those
within which the machine changed its speed most, or was farthest from the speed that is asked for,
since not everything slows down alike."""


def steady_ms(rounds_ms: Sequence[float], beside: Sequence[Beside], speed_ms: float) -> float:
    """What a case takes while the yardstick takes `speed_ms`; from the windows of its rounds.

    >>> round(steady_ms([2.0, 3.0, 2.1], [(1.0, 1.0), (1.5, 1.5), (1.0, 1.1)], 1.0), 6)
    2.0
    """
    own = [sqrt(one * other) for one, other in beside]
    scaled = [ms * speed_ms / each for ms, each in zip(rounds_ms, own, strict=True)]
    off = [
        abs(log(each / speed_ms)) + abs(log(after / before))
        for each, (before, after) in zip(own, beside, strict=True)
    ]
    nearer = sorted(range(len(off)), key=off.__getitem__)[: ceil(NEARER * len(off))]
    return median(scaled[number] for number in nearer)


def typical_ms(beside: Iterable[Beside]) -> float:
    """The middle of the speeds that a machine had, one that occurred: half of the yardstick's times
    are no longer.

    >>> typical_ms([(1.0, 4.0), (1.0, 1.0), (3.0, 3.0), (3.0, 3.0)])
    2.0
    """
    return median_low(sqrt(one * other) for one, other in beside)


def moved(beside: Iterable[Beside]) -> float:
    """By which factor the yardstick's times lie apart, but for a tenth of them at each end.

    >>> round(moved([(1.0, 1.0), (2.0, 2.0)]), 6)
    2.0
    """
    ordered = sorted(log(time) for pair in beside for time in pair)
    cut = len(ordered) // 10
    return exp(ordered[-1 - cut] - ordered[cut])
