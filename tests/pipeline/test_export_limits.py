"""What is too far from the network, whatever the size of its outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgestill.pipeline.export_limits import (
    FLOAT,
    HALF,
    INT8,
    INT8_HALF,
    INT8_UNSEARCHED,
    Limits,
    too_far,
)

EVERY = pytest.mark.parametrize(
    "limits",
    [FLOAT, HALF, INT8, INT8_UNSEARCHED, INT8_HALF],
    ids=["float", "half", "int8", "int8 unsearched", "int8 with half"],
)


def softmax(rows: int, classes: int, *, seed: int, size: float = 1.0) -> NDArray[np.float32]:
    logits = np.random.default_rng(seed).standard_normal((rows, classes)) * size
    powers = np.exp(logits)
    shares: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


@EVERY
@pytest.mark.parametrize("size", [1.0, 0.01], ids=["learned", "hardly learned"])
def test_two_unrelated_softmaxes_are_not_the_same(limits: Limits, size: float) -> None:
    one, other = (softmax(64, 1000, seed=seed, size=size) for seed in (0, 1))

    assert "differs by" in too_far(one, other, limits)


@EVERY
def test_the_same_is_not_too_far_whatever_its_size(limits: Limits) -> None:
    for size in (0.0, 1e-9, 1.0, 1e9):
        values = np.random.default_rng(0).standard_normal((8, 10)).astype(np.float32)
        values *= np.float32(size)
        assert too_far(values, values.copy(), limits) == ""


@EVERY
def test_one_row_that_is_not_finite_is_too_far(limits: Limits) -> None:
    values = softmax(4, 10, seed=0)
    broken = values.copy()
    broken[2, 3] = np.nan

    assert too_far(values, broken, limits) == "has NaN or Inf for 1 of 4 rows"


def test_rounding_to_float16_is_within_its_limit() -> None:
    for values in (softmax(64, 1000, seed=0), softmax(64, 1000, seed=0, size=0.01)):
        assert too_far(values, values.astype(np.float16), HALF) == ""
        assert "differs by" in too_far(values, values.astype(np.float16), FLOAT)


def test_a_large_common_part_of_all_logits_rounds_too() -> None:
    small = np.random.default_rng(0).standard_normal((16, 10))
    values = small + 1e4
    rounded = values.astype(np.float32)

    assert np.abs(rounded - values).max() > FLOAT.peak * np.abs(small).max()
    assert too_far(values, rounded, FLOAT) == ""


def test_an_output_of_one_number_is_judged_by_its_own_size() -> None:
    values = np.full((16, 1), 0.001, np.float32)

    assert too_far(values, values * np.float32(1 + 1e-6), FLOAT) == ""
    assert "differs by" in too_far(values, values * np.float32(1.5), INT8)


def test_many_small_differences_add_up() -> None:
    chance = np.random.default_rng(0)
    values: NDArray[Any] = chance.standard_normal((256, 10))
    apart = 0.25 * np.sign(chance.standard_normal(values.shape))

    assert np.abs(apart).max() < INT8.peak * np.abs(values).max()
    assert "on average" in too_far(values, values + apart, INT8)
