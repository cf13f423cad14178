"""The times of terms, none below zero, from blocks that were measured; needs SciPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .latency_terms import block_terms

if TYPE_CHECKING:
    from .latency_table import Block

Floats: TypeAlias = NDArray[np.float64]
RIDGE = 1e-10
MOST_STEPS = 10_000

ROUNDS = 6
LINEAR_BEYOND = 0.07
"""Relative error from which on a measurement is pulled at less than its error would: on a shared
machine some are far too slow, whatever was repeated."""


def times_of(blocks: Sequence[Block], measured: Sequence[float]) -> dict[str, float]:
    """The time of each term that takes any, so that their sums come near `measured`."""
    names, counts = _counts(blocks)
    found = least_relative(counts, np.array(measured))
    return {name: float(f"{time:.6g}") for name, time in zip(names, found, strict=True) if time > 0}


def interval_of(errors: Sequence[float], level: float) -> tuple[float, float]:
    """The median of the errors, and within which another one lies in a share `level` of cases.

    `errors` (N,): logarithms of predicted over measured; 0.1 in what is given back is a factor of
    1.1, up or down. The second is that of Student's t about zero, N degrees of freedom, since no
    high quantile can be read from a dozen errors. It takes them for independent: of networks that
    are alike it would be too narrow.
    """
    from scipy.stats import t

    found = np.array(errors)
    widest = t.ppf((1 + level) / 2, len(found)) * np.sqrt(np.mean(found**2))
    return float(np.expm1(np.median(np.abs(found)))), float(np.expm1(widest))


def _counts(blocks: Sequence[Block]) -> tuple[list[str], Floats]:
    """Names of the terms (T), and how much of each the blocks have, (N, T)."""
    rows = [block_terms(block) for block in blocks]
    names = sorted(set().union(*rows))
    return names, np.array([[row.get(name, 0) for name in names] for row in rows], float)


def least_relative(counts: Floats, measured: Floats) -> Floats:
    """Times (T,) >= 0 with `counts` (N, T) @ times near `measured` (N,), by relative error.

    Least squares, of errors beyond LINEAR_BEYOND their absolute value (Huber, "Robust Estimation of
    a Location Parameter", 1964), by reweighting.
    """
    weights = np.ones(len(measured))
    for _ in range(ROUNDS):
        times = nonnegative(counts * (weights / measured)[:, None], weights)
        errors = np.abs(counts @ times / measured - 1)
        weights = 1 / np.sqrt(np.maximum(1, errors / LINEAR_BEYOND))
    return times


def nonnegative(matrix: Floats, wanted: Floats) -> Floats:
    """x (T,) >= 0 that makes |`matrix` (N, T) @ x - `wanted` (N,)| least, in columns of any scale.

    Of terms that nothing tells apart each gets a part.
    """
    from scipy.optimize import nnls

    scale = np.linalg.norm(matrix, axis=0)
    scale[scale == 0] = 1
    ridge = np.sqrt(RIDGE) * np.eye(len(scale))
    unit = np.concatenate([matrix / scale, ridge])
    found, _ = nnls(unit, np.concatenate([wanted, np.zeros(len(scale))]), maxiter=MOST_STEPS)
    result: Floats = found / scale
    return result
