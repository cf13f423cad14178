"""Least squares without negative times, beside SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from edgestill.deploy.latency_solve import least_relative, nonnegative


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("near", [False, True])
def test_it_finds_what_scipy_finds(seed: int, near: bool) -> None:
    chance = np.random.default_rng(seed)
    matrix = chance.random((60, 25)) * 10.0 ** chance.integers(-6, 7, 25)
    matrix[:, 7] = matrix[:, 3]  # two terms that nothing tells apart
    matrix[:, 9] = 0.0  # and one that no block has
    wanted = matrix @ np.maximum(chance.standard_normal(25), 0) * chance.uniform(0.9, 1.1, 60)
    scale = np.linalg.norm(matrix, axis=0)
    best, residual = nnls(matrix / np.where(scale > 0, scale, 1), wanted)
    start = best / np.where(scale > 0, scale, 1) * chance.uniform(0, 2, 25) if near else 0 * scale

    found = nonnegative(matrix, wanted, start)

    assert found.min() >= 0
    assert np.linalg.norm(matrix @ found - wanted) == pytest.approx(residual, rel=1e-6, abs=1e-9)


def test_small_and_large_blocks_count_alike_by_their_relative_error() -> None:
    counts = np.array([[1.0], [1000.0]])

    found = least_relative(counts, np.array([1.05, 950.0]))

    assert found == pytest.approx([1.0], abs=0.01)


def test_one_measurement_far_off_moves_nothing_much() -> None:
    counts = np.ones((20, 1))
    measured = np.ones(20)
    measured[4] = 10.0

    assert least_relative(counts, measured) == pytest.approx([1.0], abs=0.02)
