"""Labels are checked once for every source, and the first bad row is named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edgestill.models.errors import BadInput
from edgestill.pipeline.sources.split import labelled


def where(row: int) -> str:
    return f"a.parquet, row {row}"


@pytest.mark.parametrize(
    "values",
    [
        [0, 1, 2, 1],
        np.array([0, 1, 2, 1], np.uint8),
        np.array([0.0, 1.0, 2.0, 1.0]),
        [np.int64(0), 1, 2, np.int16(1)],
    ],
)
def test_integers_of_any_kind_are_labels(values: Sequence[Any]) -> None:
    labels, names = labelled(values, where=where, what="train")
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 1, 2, 1]
    assert names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 1, None, 1], r"a\.parquet, row 2: label is missing"),
        ([0.0, float("nan"), 1.0], r"a\.parquet, row 1: label is missing"),
        ([0, "cat", 1], r"a\.parquet, row 1: label is 'cat'; expected an integer from 0 on"),
        (["0", "1"], r"a\.parquet, row 0: label is '0'"),
        ([0.0, 1.0, 1.5], r"a\.parquet, row 2: label is 1\.5"),
        ([0, 1, -1], r"a\.parquet, row 2: label is -1"),
        ([0, 1, 2**40], r"a\.parquet, row 2: label is 1099511627776; expected"),
        ([0, 1, 2**70], r"a\.parquet, row 2: label is"),
        ([0, 1, float("inf")], r"a\.parquet, row 2: label is inf"),
        ([1, 2, 3], r"a\.parquet, row 2: label is 3, but no image has label 0"),
        ([0, 1, 5, 2], r"a\.parquet, row 2: label is 5, but no image has label 3"),
        ([True, False], r"a\.parquet, row 0: label is True"),
        ([[0, 1], [1]], r"a\.parquet, row 0: labels are nested"),
        ([[0, 1], [1, 0]], r"a\.parquet, row 0: labels have shape \(2, 2\)"),
        ([3, 3, 3], r"train has a single class: every label from a\.parquet, row 0 on is 3"),
        ([], "train holds no images"),
    ],
)
def test_the_first_bad_label_is_named_by_row(values: Sequence[Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        labelled(values, where=where, what="train")


def test_declared_classes_need_not_all_occur() -> None:
    labels, names = labelled([0, 2], where=where, what="train", names=("a", "b", "c"))
    assert labels.tolist() == [0, 2]
    assert names == ("a", "b", "c")


def test_a_label_beyond_the_declared_classes_is_named() -> None:
    with pytest.raises(BadInput, match=r"a\.parquet, row 1: label is 2, but train declares 2"):
        labelled([0, 2], where=where, what="train", names=("a", "b"))


def test_a_test_split_is_held_to_the_classes_of_training() -> None:
    labels, names = labelled([1, 1], where=where, what="test", known=("a", "b"))
    assert (labels.tolist(), names) == ([1, 1], ("a", "b"))
    with pytest.raises(BadInput, match=r"row 1: label is 2, but the training split has 2 classes"):
        labelled([1, 2], where=where, what="test", known=("a", "b"))
