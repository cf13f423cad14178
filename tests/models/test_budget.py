"""Budgets and quantities as people write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestill.models.budget import Budget, parse_quantity
from edgestill.models.cost import Cost
from edgestill.models.errors import BadInput

COST = Cost(macs=1000, params=50, peak_activation_bytes=300, bytes_fp32=200, bytes_int8=70)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3M", 3_000_000),
        ("60k", 60_000),
        ("200KB", 200_000),
        ("1.5k", 1500),
        ("1.001G", 1_001_000_000),
        ("15 M", 15_000_000),
        ("1_000", 1000),
        ("3e6", 3_000_000),
        (7, 7),
        (2000.0, 2000),
    ],
)
def test_quantities_are_read_exactly(text: str | float, number: int) -> None:
    assert parse_quantity(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "M", "three", "-3M", "0", "0.0k", "1.5", "3MM", "3 MiB", "nan", "inf", "1e999", "٣", True],
)
def test_what_is_no_positive_whole_number_is_refused(text: Any) -> None:
    with pytest.raises(BadInput):
        parse_quantity(text)


@given(st.text(max_size=12) | st.floats() | st.integers())
def test_any_input_gives_a_number_or_one_line(text: Any) -> None:
    try:
        assert parse_quantity(text) > 0
    except BadInput as refused:
        assert "\n" not in str(refused)


def test_limits_are_inclusive_and_bytes_mean_the_int8_network() -> None:
    budget = Budget(macs=1000, params=49, bytes=70)

    limits = {limit.name: (limit.limit, limit.value, limit.met) for limit in budget.limits(COST)}

    assert limits == {
        "macs": (1000, 1000, True),
        "params": (49, 50, False),
        "bytes": (70, 70, True),
    }
    assert not budget.fits(COST)
    assert Budget(macs=1000, bytes=70).fits(COST)


def test_an_unknown_value_does_not_meet_a_limit() -> None:
    unknown = Cost(macs=1, params=1, peak_activation_bytes=None, bytes_fp32=1, bytes_int8=1)

    assert not Budget(peak_activation_bytes=10**9).fits(unknown)


@pytest.mark.parametrize("limit", [0, -5, True, 1.5])
def test_a_limit_that_nothing_can_keep_is_refused(limit: Any) -> None:
    with pytest.raises(BadInput, match=r"budget\.params"):
        Budget(params=limit)
