"""The percentiles are trtexec's, on samples small enough to count by hand."""

from __future__ import annotations

import random

import pytest

from edgestill.deploy.agent.stats import drift, median_ns, percentile_ns, spread, summary_ms


@pytest.mark.parametrize(
    ("count", "percent", "rank"),
    [
        (10, 90, 9),  # one sample of ten lies above; floor((1 - 0.9) * 10) in floats says none
        (10, 99, 10),
        (200, 99, 198),
        (200, 95, 190),
        (201, 90, 181),
        (1, 99, 1),
    ],
)
def test_a_percentile_leaves_its_share_of_samples_above(
    count: int, percent: int, rank: int
) -> None:
    ordered = list(range(1, count + 1))

    assert percentile_ns(ordered, percent) == rank


def test_the_median_of_an_even_count_is_between_the_middle_two() -> None:
    assert median_ns([10, 20, 40, 80]) == 30


def test_the_summary_does_not_depend_on_the_order_of_the_samples() -> None:
    samples = [1_000_000 * n for n in range(1, 101)]
    shuffled = random.Random(0).sample(samples, 100)

    summary = summary_ms(shuffled)

    assert summary == {
        "p50": 50.5,
        "p90": 90.0,
        "p95": 95.0,
        "p99": 99.0,
        "mean": 50.5,
        "min": 1.0,
        "max": 100.0,
    }


def test_spread_is_deviation_over_mean() -> None:
    assert spread([80, 120]) == 0.2


def test_drift_shows_a_device_that_slows_down() -> None:
    assert drift([100] * 50 + [150] * 50) == 0.5


def test_a_single_sample_has_no_drift() -> None:
    assert drift([100]) == 0
