"""Windows told at one speed: what a yardstick makes of a machine that changes its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestill.deploy.yardstick import moved, steady_ms, typical_ms

TIMES = st.floats(0.01, 100)
FACTORS = st.floats(1, 2)


@given(ms=TIMES, yardstick_ms=TIMES, factors=st.lists(FACTORS, min_size=1, max_size=9))
def test_what_slows_down_as_the_yardstick_does_takes_the_same(
    ms: float, yardstick_ms: float, factors: list[float]
) -> None:
    beside = [(factor * yardstick_ms, factor * yardstick_ms) for factor in factors]

    told = steady_ms([factor * ms for factor in factors], beside, yardstick_ms)

    assert told == pytest.approx(ms)


@given(ms=TIMES, speed_ms=TIMES, factor=FACTORS)
def test_at_another_speed_it_takes_so_much_longer(
    ms: float, speed_ms: float, factor: float
) -> None:
    beside = [(1.0, 1.1), (1.2, 1.0), (1.0, 1.0), (1.1, 1.1), (1.0, 1.3)]
    rounds = [ms, 1.1 * ms, 0.9 * ms, ms, 1.2 * ms]

    slower = steady_ms(rounds, [(factor * a, factor * b) for a, b in beside], factor * speed_ms)

    assert slower == pytest.approx(steady_ms(rounds, beside, speed_ms))
    assert steady_ms(rounds[:3], beside[:3], factor * speed_ms) == pytest.approx(
        factor * steady_ms(rounds[:3], beside[:3], speed_ms)
    )


def test_windows_within_which_the_speed_changed_do_not_count() -> None:
    # The last one was slow nearly from its beginning on, and the yardstick's mean is not as slow.
    rounds = [1.0, 1.0, 1.0, 1.6]
    beside = [(1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (1.0, 1.7)]

    assert steady_ms(rounds, beside, 1.0) == 1.0


def test_windows_far_from_the_speed_asked_for_do_not_count() -> None:
    # What waits for memory slows down by less than the yardstick: 1.3 where that takes 1.7.
    rounds = [1.0, 1.3, 1.0, 1.3, 1.0, 1.0, 1.0, 1.0]
    beside = [(speed, speed) for speed in (1.0, 1.7, 1.0, 1.7, 1.0, 1.0, 1.0, 1.0)]

    assert steady_ms(rounds, beside, 1.0) == 1.0


def test_a_switching_machine_is_told_better_than_by_its_fastest_or_middle_round() -> None:
    chance = np.random.default_rng(0)
    told, fastest, middle = [], [], []
    for _ in range(300):
        # Slow in two rounds of three; in a sixth of them it changes within the window.
        slow = np.where(chance.random(5) < 2 / 3, 1.6, 1.0)
        after = np.where(chance.random(5) < 1 / 6, 2.6 - slow, slow)
        rounds = np.sqrt(slow * after) * np.exp(0.03 * chance.standard_normal(5))
        told.append(steady_ms(rounds.tolist(), list(zip(slow, after, strict=True)), 1.6))
        fastest.append(1.6 * rounds.min())
        middle.append(float(np.median(rounds)))

    def off(found: list[float]) -> float:
        """Within which nine of ten are."""
        return float(np.quantile(np.abs(np.log(found) - np.log(1.6)), 0.9))

    assert off(told) < 0.05
    assert off(fastest) > 4 * off(told) and off(middle) > 4 * off(told)


def test_the_typical_speed_is_the_middle_one_and_one_that_occurred() -> None:
    assert typical_ms([(1.0, 1.0), (2.0, 2.0), (50.0, 50.0)]) == 2.0
    assert typical_ms([(1.0, 1.0), (1.6, 1.6)]) == 1.0


def test_how_much_it_moved_leaves_out_the_ends() -> None:
    steady = [(1.0, 1.0)] * 20

    assert moved(steady) == 1.0
    assert moved([*steady, (9.0, 1.0)]) == 1.0
    assert moved([*steady, *[(1.5, 1.5)] * 10]) == pytest.approx(1.5)
