"""Points of a sweep: seeds together, and the frontier is what nothing beats in both."""

from __future__ import annotations

import random

import pytest

from edgestill.pipeline.sweep_points import Point, frontier, points
from edgestill.pipeline.sweep_results import Sweep

from .sweeps import done, figures, two_budgets_three_seeds


def test_runs_that_differ_in_their_seed_are_one_point() -> None:
    small, large = points(two_budgets_three_seeds(), "macs")

    assert (small.label, large.label) == ("macs 5M", "macs 15M")
    assert small.top1 == pytest.approx((0.80, 0.81, 0.82))
    assert small.mean_top1 == pytest.approx(0.81)
    assert (small.mean_cost, large.mean_cost) == (5e6, 15e6)


def test_a_run_without_both_figures_is_absent_from_that_picture_alone() -> None:
    runs = (
        done("a", {"k": "1"}, figures(0.8)),
        done("b", {"k": "2"}, figures(0.9, latency_ms=None)),
    )
    swept = Sweep(name="s", over=("k",), runs=runs)

    assert [point.label for point in points(swept, "latency")] == ["k 1"]
    assert {point.label for point in points(swept, "bytes")} == {"k 1", "k 2"}


def test_the_frontier_is_what_a_search_over_all_pairs_finds() -> None:
    chance = random.Random(0)
    for _ in range(200):
        found = [
            Point(
                label=str(index),
                cost=(float(chance.randint(1, 9)),),
                top1=(chance.randint(1, 9) / 10,),
                images=100,
            )
            for index in range(12)
        ]

        def beaten(point: Point, others: list[Point]) -> bool:
            return any(
                other.mean_cost <= point.mean_cost
                and other.mean_top1 >= point.mean_top1
                and (other.mean_cost, other.mean_top1) != (point.mean_cost, point.mean_top1)
                for other in others
            )

        wanted = {(p.mean_cost, p.mean_top1) for p in found if not beaten(p, found)}
        got = {(p.mean_cost, p.mean_top1) for p in frontier(found) if p.frontier}

        assert got == wanted
