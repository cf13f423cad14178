"""Latency samples as numbers that can be held beside trtexec's: its median, percentiles and spread.

Definitions as in TensorRT's samples/common/sampleReporting.cpp: the median is the mean of the two
middle samples when their count is even; percentile p of N sorted samples is number
N - 1 - floor((1 - p/100) N), a sample that really occurred, never an interpolation; the spread is
the standard deviation of all samples over their mean.
"""

from __future__ import annotations

import math
from typing import Sequence

UNSTABLE_SPREAD = 0.025  # above it trtexec, too, warns that the time is unstable


def summary_ms(samples_ns: Sequence[int]) -> dict[str, float]:
    """p50, p90, p95, p99, mean, min and max of the samples, in milliseconds.

    >>> summary_ms([1000000, 3000000])["p50"]
    2.0
    """
    ordered = sorted(samples_ns)
    summary = {"p50": median_ns(ordered) / 1e6}
    for percent in (90, 95, 99):
        summary[f"p{percent}"] = percentile_ns(ordered, percent) / 1e6
    summary["mean"] = sum(ordered) / len(ordered) / 1e6
    summary["min"] = ordered[0] / 1e6
    summary["max"] = ordered[-1] / 1e6
    return summary


def percentile_ns(ordered_ns: Sequence[int], percent: int) -> int:
    """The sample that leaves floor((1 - percent/100) N) of the N sorted ones above it.

    >>> percentile_ns(list(range(1, 201)), 99)
    198
    """
    # In whole numbers: (1 - 0.9) * 10 is 0.99... in floating point, and its floor one too low.
    above = (100 - percent) * len(ordered_ns) // 100
    return ordered_ns[max(len(ordered_ns) - 1 - above, 0)]


def median_ns(ordered_ns: Sequence[int]) -> float:
    """The middle of the sorted samples, or the mean of the two in the middle.

    >>> median_ns([1, 2, 4, 9])
    3.0
    """
    middle = len(ordered_ns) // 2
    if len(ordered_ns) % 2:
        return float(ordered_ns[middle])
    return (ordered_ns[middle - 1] + ordered_ns[middle]) / 2


def spread(samples_ns: Sequence[int]) -> float:
    """The coefficient of variation: standard deviation over mean, 0.01 for one percent.

    >>> spread([100, 100, 100])
    0.0
    """
    mean = sum(samples_ns) / len(samples_ns)
    variance = sum((sample - mean) ** 2 for sample in samples_ns) / len(samples_ns)
    return math.sqrt(variance) / mean


def drift(samples_ns: Sequence[int]) -> float:
    """How much slower the second half of the window was than the first, by medians; 0.1 for 10 %.

    A device that heats up and throttles shows here, where percentiles over the window hide it.

    >>> drift([100, 100, 110, 110])
    0.1
    """
    half = len(samples_ns) // 2
    if not half:
        return 0.0
    first, second = sorted(samples_ns[:half]), sorted(samples_ns[half:])
    return round(median_ns(second) / median_ns(first) - 1, 6)
