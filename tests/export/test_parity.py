"""Four figures of distance; NaN and Inf are counted and never equal."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgestill.export.parity import compare
from edgestill.models.errors import BadInput


def test_the_figures_are_those_worked_out_by_hand() -> None:
    reference = np.array([[3.0, 4.0], [1.0, 0.0]])
    candidate = np.array([[3.0, 4.5], [0.0, 1.0]])

    parity = compare(reference, candidate)

    assert parity.max_abs == 1.0
    assert parity.mean_abs == pytest.approx(2.5 / 4)
    assert parity.cosine == 0.0  # the second row is at a right angle
    assert parity.top1_agreement == 0.5
    assert (parity.rows, parity.non_finite_rows) == (2, 0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_equal_even_to_itself(value: float) -> None:
    rows = np.array([[1.0, 2.0], [value, 3.0]])

    parity = compare(rows, rows.copy())

    assert parity.non_finite_rows == 1
    assert parity.top1_agreement == 0.5
    assert (parity.max_abs, parity.mean_abs, parity.cosine) == (math.inf, math.inf, -1.0)


def test_zero_rows_are_alike_and_like_nothing_else() -> None:
    zeros, ones = np.zeros((1, 3)), np.ones((1, 3))

    assert compare(zeros, zeros).cosine == 1.0
    assert compare(zeros, ones).cosine == 0.0


def test_logits_near_the_end_of_float32_do_not_overflow() -> None:
    large = np.full((1, 2), 3e38, np.float32)

    parity = compare(large, -large)

    assert parity.cosine == pytest.approx(-1.0)
    assert math.isfinite(parity.max_abs)


@pytest.mark.parametrize("shape", [(2, 4), (3, 3), (6,)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match="cannot be compared"):
        compare(np.zeros((2, 3)), np.zeros(shape))


def test_nothing_at_all_is_refused() -> None:
    with pytest.raises(BadInput, match="cannot be compared"):
        compare(np.zeros((0, 3)), np.zeros((0, 3)))
