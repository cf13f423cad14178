"""A space in columns is the space row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgestill.models.families import FAMILIES
from edgestill.models.space import Space

from .small_space import SPACE, SPECS


def test_the_last_axis_runs_fastest_and_a_tuple_is_one_choice() -> None:
    def made(**fields: Any) -> Any:
        return fields

    space = Space(axes={"a": (1, 2), "b": ((3, 4), (5, 6))}, fixed={"c": 7}, made=made)

    assert list[Any](space) == [
        {"a": 1, "b": (3, 4), "c": 7},
        {"a": 1, "b": (5, 6), "c": 7},
        {"a": 2, "b": (3, 4), "c": 7},
        {"a": 2, "b": (5, 6), "c": 7},
    ]


@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_chunks_of_any_size_hold_every_row_once_and_in_order(size: int) -> None:
    chunks = list(SPACE.chunks(size))

    assert [row for chunk in chunks for row in chunk.rows] == list(range(len(SPECS)))
    assert max(len(chunk.rows) for chunk in chunks) == min(size, len(SPECS))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_columns_of_a_chunk_are_the_fields_of_its_specs(family: str) -> None:
    space = FAMILIES[family].space(num_classes=10, image_size=224)
    chunk = next(space.chunks(100, start=len(space) // 2))

    for place in (0, 50, 99):
        spec = space.spec(int(chunk.rows[place]))
        fields = {name: _at(value, place) for name, value in vars(chunk.shape).items()}
        assert fields == vars(spec)


def _at(value: Any, place: int) -> Any:
    """One network's number of a column, or its numbers of a tuple of columns."""
    if isinstance(value, tuple):
        return tuple(_at(each, place) for each in value)
    return int(value[place]) if isinstance(value, np.ndarray) else value
