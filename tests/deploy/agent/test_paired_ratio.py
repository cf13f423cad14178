"""Ratios of pairs: Student's t as scipy has it, and how often the interval is right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edgestill.deploy.agent.paired_ratio import mean_interval, ratio_interval, t_quantile


@pytest.mark.parametrize("inside", [0.6, 0.95, 0.9875, 0.999])
def test_students_t_is_scipys(inside: float) -> None:
    for freedom in (1, 2, 3, 4, 6, 29, 30, 999):
        expected = stats.t.ppf((1 + inside) / 2, freedom)
        assert t_quantile(freedom, inside) == pytest.approx(expected, rel=1e-12)


def test_the_interval_is_scipys_on_the_logarithms() -> None:
    chance = np.random.default_rng(0)
    pairs = [(float(own), float(other)) for own, other in chance.uniform(1, 2, (9, 2))]

    ratio, low, high = ratio_interval(pairs, 0.9)

    logs = np.log([own / other for own, other in pairs])
    expected = stats.t.interval(0.9, 8, loc=logs.mean(), scale=stats.sem(logs))
    assert ratio == pytest.approx(np.exp(logs.mean()), rel=1e-12)
    assert (low, high) == pytest.approx(tuple(np.exp(expected)), rel=1e-12)


def test_equal_values_have_an_interval_without_width() -> None:
    assert mean_interval([0.1] * 7) == pytest.approx((0.1, 0.0), abs=1e-15)


def test_the_interval_holds_the_true_ratio_95_times_in_100() -> None:
    chance = np.random.default_rng(1)
    draws, rounds, true = 400, 7, 0.8

    held = 0
    for _ in range(draws):
        slow = chance.normal(0, 0.3, rounds)  # the device's own weather, the same for both
        own, other = slow + chance.normal(0, 0.02, rounds), slow + chance.normal(0, 0.02, rounds)
        _, low, high = ratio_interval([*zip(true * np.exp(own), np.exp(other), strict=True)])
        held += low <= true <= high

    # A right interval leaves these bounds once in 10,000 times.
    lowest, highest = stats.binom.ppf([5e-5, 1 - 5e-5], draws, 0.95)
    assert lowest <= held <= highest
