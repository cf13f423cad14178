"""Least squares without negative times."""

from __future__ import annotations

import numpy as np
import pytest

from edgestill.deploy.latency_solve import least_relative, nonnegative


@pytest.mark.parametrize("seed", range(10))
def test_terms_of_any_scale_are_told_apart(seed: int) -> None:
    chance = np.random.default_rng(seed)
    matrix = chance.random((60, 25)) * 10.0 ** chance.integers(-6, 7, 25)
    truth = np.maximum(chance.standard_normal(25), 0) / np.linalg.norm(matrix, axis=0)

    found = nonnegative(matrix, matrix @ truth)

    assert found.min() >= 0
    assert matrix @ found == pytest.approx(matrix @ truth, rel=1e-5, abs=1e-6)


def test_terms_that_nothing_tells_apart_share_and_one_without_blocks_takes_nothing() -> None:
    matrix = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0]])

    found = nonnegative(matrix, np.array([3.0, 6.0]))

    assert found[0] + found[1] == pytest.approx(3.0, rel=1e-6)
    assert found[2] == 0


def test_small_and_large_blocks_count_alike_by_their_relative_error() -> None:
    counts = np.array([[1.0], [1000.0]])

    found = least_relative(counts, np.array([1.05, 950.0]))

    assert found == pytest.approx([1.0], abs=0.01)


def test_one_measurement_far_off_moves_nothing_much() -> None:
    counts = np.ones((20, 1))
    measured = np.ones(20)
    measured[4] = 10.0

    assert least_relative(counts, measured) == pytest.approx([1.0], abs=0.02)
