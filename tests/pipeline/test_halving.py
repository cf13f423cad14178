"""Successive halving on planted errors: who is dropped, when, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestill.pipeline.halving import Course, cost_in_epochs, halve


class Planted:
    """Errors told in advance, by candidate and rung; remembers what was asked."""

    def __init__(self, errors: Sequence[Sequence[float | None]]) -> None:
        self.errors = errors
        self.asked: list[tuple[int, int]] = []

    def __call__(self, candidate: int, rung: int) -> float | None:
        self.asked.append((candidate, rung))
        return self.errors[candidate][rung]


def halved(
    errors: Sequence[Sequence[float | None]], macs: Sequence[int] | None = None, first: int = 2
) -> list[Course]:
    courses = halve(macs or [100] * len(errors), first, Planted(errors))
    assert courses is not None
    return courses


def dropped(courses: Sequence[Course]) -> list[object]:
    return [course.told()["dropped_after_epochs"] for course in courses]


def test_the_worse_half_is_dropped_at_each_rung_and_the_best_is_left() -> None:
    planted = Planted([[0.4, 0.3], [0.5], [0.35, 0.32], [0.6]])

    courses = halve([100] * 4, 2, planted)

    assert courses is not None
    assert [course.won for course in courses] == [True, False, False, False]
    assert dropped(courses) == [None, 2, 6, 2]
    assert planted.asked == [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (2, 1)]


def test_a_candidate_that_is_ahead_at_first_may_still_lose() -> None:
    courses = halved([[0.30, 0.29], [0.31, 0.25], [0.4], [0.5]])

    assert [rung.error for rung in courses[0].rungs] == [0.30, 0.29]
    assert [course.won for course in courses] == [False, True, False, False]


def test_at_equal_errors_the_one_with_fewer_macs_stays_then_the_one_named_first() -> None:
    assert [each.won for each in halved([[0.3], [0.3]], macs=[90, 80])] == [False, True]
    assert [each.won for each in halved([[0.3], [0.3]], macs=[80, 80])] == [True, False]


def test_an_odd_one_out_stays() -> None:
    courses = halved([[0.1, 0.1, 0.1], [0.2, 0.2, 0.2], [0.3, 0.3], [0.4], [0.5]], first=1)

    assert dropped(courses) == [None, 7, 3, 1, 1]


def test_what_diverged_is_dropped_before_anything_that_did_not() -> None:
    courses = halved([[None], [0.9, 0.8], [None], [None]])

    assert [course.won for course in courses] == [False, True, False, False]
    assert courses[0].why == "its training diverged within 2 epochs"
    assert halve([100, 100], 2, Planted([[None], [None]])) is None


def test_everyone_is_told_why() -> None:
    courses = halved([[0.4, 0.3], [0.5], [0.35, 0.32], [0.4]], macs=[100, 100, 100, 120])

    assert [course.why for course in courses] == [
        "least validation error of 4 tried: 30.00 % after 6 epochs",
        "50.00 % validation error after 2 epochs; the 2 that stayed had at most 40.00 %",
        "32.00 % validation error after 6 epochs; the one that stayed had 30.00 %",
        "40.00 % validation error after 2 epochs, as one that stayed, of no more MACs",
    ]


@given(
    errors=st.lists(st.integers(0, 1000), min_size=1, max_size=17),
    first=st.integers(1, 3),
)
def test_with_steady_errors_the_best_wins_after_as_many_epochs_as_were_told(
    errors: list[int], first: int
) -> None:
    rows = [[error / 1000] * 10 for error in errors]
    trained = 0

    def train(candidate: int, rung: int) -> float:
        nonlocal trained
        trained += first * 2**rung
        return rows[candidate][rung]

    courses = halve([100] * len(errors), first, train)

    assert courses is not None
    (won,) = [place for place, course in enumerate(courses) if course.won]
    assert won == errors.index(min(errors))
    assert trained == cost_in_epochs(len(errors), first)
    for mine, theirs in zip(courses, errors, strict=True):
        # Nobody outlasts a better one.
        assert all(
            len(mine.rungs) <= len(other.rungs)
            for other, error in zip(courses, errors, strict=True)
            if error < theirs
        )


@pytest.mark.parametrize("first", [1, 2, 5])
def test_a_candidates_rungs_tell_the_epochs_trained_in_all(first: int) -> None:
    courses = halved([[0.1, 0.1], [0.2, 0.2], [0.3], [0.4]], first=first)

    assert [rung.epochs for rung in courses[0].rungs] == [first, 3 * first]
