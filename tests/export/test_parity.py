"""Figures of distance, for an output of any shape and type; NaN and Inf are never equal."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edgestill.export.parity import compare, compare_outputs
from edgestill.models.errors import BadInput

SHAPES = array_shapes(min_dims=1, max_dims=4, max_side=4)
FLOATS = arrays(np.float32, SHAPES, elements=st.floats(-1e6, 1e6, width=32))
INTEGERS = arrays(np.int64, SHAPES)


def test_the_figures_are_those_worked_out_by_hand() -> None:
    reference = np.array([[3.0, 4.0], [1.0, 0.0]])
    candidate = np.array([[3.0, 4.5], [0.0, 1.0]])

    parity = compare(reference, candidate)

    assert parity.max_abs == 1.0
    assert parity.relative == 0.25
    assert parity.mean_abs == pytest.approx(2.5 / 4)
    assert parity.cosine == 0.0  # the second row is at a right angle
    assert parity.top1_agreement == 0.5
    assert (parity.rows, parity.non_finite_rows, parity.equal) == (2, 0, None)


def test_whole_numbers_are_equal_or_not() -> None:
    boxes = np.arange(12, dtype=np.int32).reshape(2, 3, 2)
    moved = boxes.copy()
    moved[1, 2, 0] += 5

    parity = compare(boxes, moved)

    assert parity.equal == pytest.approx(11 / 12)
    assert parity.max_abs == 5.0
    assert parity.mean_abs == pytest.approx(5 / 12)
    assert (parity.cosine, parity.relative, parity.top1_agreement) == (None, None, None)


def test_truth_values_are_compared_as_they_are() -> None:
    assert compare(np.array([True, False]), np.array([True, True])).equal == 0.5


def test_the_ends_of_int64_are_further_apart_than_int64_reaches() -> None:
    ends = np.iinfo(np.int64)

    parity = compare(np.array([ends.min]), np.array([ends.max]))

    assert parity.max_abs == pytest.approx(2.0**64)
    assert parity.equal == 0.0


def test_top1_is_for_classes_alone() -> None:
    assert compare(np.ones((2, 3, 4)), np.ones((2, 3, 4))).top1_agreement is None
    assert compare(np.ones((2, 1)), np.ones((2, 1))).top1_agreement is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_equal_even_to_itself(value: float) -> None:
    rows = np.array([[1.0, 2.0], [value, 3.0]])

    parity = compare(rows, rows.copy())

    assert parity.non_finite_rows == 1
    assert parity.top1_agreement == 0.5
    assert (parity.max_abs, parity.mean_abs, parity.cosine) == (math.inf, math.inf, -1.0)
    told = json.loads(json.dumps(parity.to_json(), allow_nan=False))
    assert told["max_abs"] is None
    assert told["non_finite_rows"] == 1


def test_zero_rows_are_alike_and_like_nothing_else() -> None:
    zeros, ones = np.zeros((1, 3)), np.ones((1, 3))

    assert compare(zeros, zeros).cosine == 1.0
    assert compare(zeros, zeros).relative == 0.0
    assert compare(zeros, ones).cosine == 0.0
    assert compare(zeros, ones).relative == math.inf


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 3e38), (np.float64, 1.7e308)])
def test_logits_near_the_end_of_their_type_do_not_overflow(dtype: type, size: float) -> None:
    large: np.ndarray[tuple[int, ...], np.dtype[np.floating]] = np.full((1, 2), size, dtype)

    parity = compare(large, -large)

    assert parity.cosine == pytest.approx(-1.0)
    assert not math.isnan(parity.mean_abs)


def test_numbers_near_zero_keep_their_direction() -> None:
    tiny = np.array([[1e-300, 0.0]])

    assert compare(tiny, tiny).cosine == pytest.approx(1.0)


@given(FLOATS)
def test_an_output_is_itself(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
    parity = compare(values, values.copy())

    assert (parity.max_abs, parity.mean_abs, parity.relative) == (0.0, 0.0, 0.0)
    assert parity.cosine == pytest.approx(1.0)
    assert parity.top1_agreement in (None, 1.0)


@given(FLOATS, st.floats(1e-3, 1e3))
def test_the_direction_does_not_depend_on_the_scale(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], scale: float
) -> None:
    parity = compare(values, values.astype(np.float64) * scale)

    assert parity.cosine == pytest.approx(1.0)
    assert parity.top1_agreement in (None, 1.0)


@given(st.data())
def test_neither_side_is_special_to_the_largest_difference(data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    one, other = (data.draw(arrays(np.int64, shape)) for _ in range(2))

    there, back = compare(one, other), compare(other, one)

    assert there == back
    assert (there.equal == 1.0) == (there.max_abs == 0.0)


@pytest.mark.parametrize("shape", [(2, 4), (3, 3), (6,), (2, 3, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match="cannot be compared"):
        compare(np.zeros((2, 3)), np.zeros(shape))


@pytest.mark.parametrize("empty", [np.zeros((0, 3)), np.zeros((2, 0)), np.array(1.0)])
def test_what_has_no_rows_or_nothing_in_them_is_refused(
    empty: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> None:
    with pytest.raises(BadInput, match="cannot be compared"):
        compare(empty, empty)


def test_floats_and_whole_numbers_are_not_mixed() -> None:
    with pytest.raises(BadInput, match="float64 and int64 cannot be compared"):
        compare(np.ones(2), np.ones(2, np.int64))
    with pytest.raises(BadInput, match="expected numbers"):
        compare(np.array(["a"]), np.array(["a"]))


def test_outputs_are_paired_by_name() -> None:
    boxes, labels = np.zeros((2, 4)), np.array([1, 2])

    compared = compare_outputs(
        {"boxes": boxes, "labels": labels}, {"labels": labels, "boxes": boxes + 1}
    )

    assert compared["boxes"].max_abs == 1.0
    assert compared["labels"].equal == 1.0


def test_a_single_output_needs_no_name() -> None:
    assert list(compare_outputs({"a": np.ones(2)}, {"b": np.ones(2)})) == ["b"]


def test_other_names_are_told_with_both_sets() -> None:
    one, two = {"a": np.ones(2)}, {"a": np.ones(2), "b": np.ones(2)}

    with pytest.raises(BadInput, match="the reference gives a, the candidate a, b"):
        compare_outputs(one, two)


def test_an_output_that_cannot_be_compared_is_named() -> None:
    with pytest.raises(BadInput, match="output boxes: arrays of shapes"):
        compare_outputs({"boxes": np.ones(2)}, {"boxes": np.ones(3)})
