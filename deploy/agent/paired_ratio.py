"""How many times as large one of two paired quantities is: the ratio's mean and its interval.

Times (or energies) of two things that took turns. A ratio is taken within each pair, so what slows
both cancels; the figure is the geometric mean of the ratios, the interval Student's t on their
logarithms. It speaks of the pairs at hand: another day or machine is not in it.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Sequence


def ratio_interval(
    pairs: Sequence[tuple[float, float]], inside: float = 0.95
) -> tuple[float, float, float]:
    """Geometric mean of the ratios first/second and the ends of its interval; two pairs at least.

    >>> [round(value, 3) for value in ratio_interval([(1.0, 2.0), (1.0, 2.0), (1.1, 2.0)])]
    [0.516, 0.45, 0.592]
    """
    mean, half = mean_interval([math.log(own / other) for own, other in pairs], inside)
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def mean_interval(values: Sequence[float], inside: float = 0.95) -> tuple[float, float]:
    """Mean and half the width of its interval by Student's t; two values at least.

    >>> [round(value, 3) for value in mean_interval([1.0, 2.0, 3.0])]
    [2.0, 2.484]
    """
    count = len(values)
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return mean, t_quantile(count - 1, inside) * math.sqrt(variance / count)


@lru_cache(maxsize=1024)
def t_quantile(freedom: int, inside: float = 0.95) -> float:
    """The t that |T| of Student's distribution stays below with probability `inside`.

    >>> round(t_quantile(6), 4)
    2.4469
    """
    low, high = 0.0, 1.0
    while _inside(high, freedom) < inside:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(middle, freedom) < inside else (low, middle)
    return (low + high) / 2


def _inside(t: float, freedom: int) -> float:
    """P(|T| < t); Abramowitz and Stegun 1964, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    term = 1.0 if freedom % 2 == 0 else cosine
    total = 0.0 if freedom == 1 else term
    for k in range(2 if freedom % 2 == 0 else 3, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    return sine * total if freedom % 2 == 0 else 2 / math.pi * (angle + sine * total)
