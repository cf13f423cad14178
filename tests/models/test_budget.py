"""Budgets and quantities as people write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestill.models.budget import Budget, figure, parse_quantity, refuse_impossible
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


def test_what_is_predicted_is_held_to_its_limit_and_what_is_not_known_does_not_meet_it() -> None:
    budget = Budget(macs=1000, latency_ms=2, energy_mj=8.5)

    known = budget.limits(COST, {"latency_ms": 2.0, "energy_mj": 8.6})
    unknown = budget.limits(COST, {"latency_ms": 1.9})

    assert [(each.name, each.met) for each in known] == [
        ("macs", True),
        ("latency_ms", True),
        ("energy_mj", False),
    ]
    assert unknown[-1].value is None
    assert not unknown[-1].met
    assert budget.fits(COST, {"latency_ms": 1.0, "energy_mj": 8.5})
    assert not Budget(latency_ms=2.0).fits(COST)


def test_columns_give_columns() -> None:
    many = Cost(
        macs=np.array([900, 1000, 1100]),  # type: ignore[arg-type]
        params=50,
        peak_activation_bytes=300,
        bytes_fp32=200,
        bytes_int8=70,
    )

    macs, params, latency = Budget(macs=1000, params=50, latency_ms=2.0).limits(
        many, {"latency_ms": np.array([2.5, 1.5, 0.5])}
    )

    assert macs.met.tolist() == [True, True, False]
    assert params.met is True
    assert latency.met.tolist() == [False, True, True]


@pytest.mark.parametrize("limit", [0, -1.0, True, "2", float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["latency_ms", "energy_mj"])
def test_a_latency_or_an_energy_that_nothing_can_keep_is_refused(name: str, limit: Any) -> None:
    with pytest.raises(BadInput, match=rf"budget\.{name}"):
        Budget(**{name: limit})


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (Budget(params=99), r"budget\.params = 99 holds for no network: 100 classes take 100"),
        (Budget(bytes=899), "100 classes take 900 at least"),
        (Budget(macs=99), "100 classes take 100 at least"),
        (Budget(peak_activation_bytes=12_287), "one image of 32x32 pixels takes 12,288 at least"),
    ],
)
def test_a_limit_below_what_classes_and_images_take_is_refused(budget: Budget, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        refuse_impossible(budget, num_classes=100, image_size=32)


def test_a_limit_that_something_might_keep_is_not_refused() -> None:
    least = Budget(params=100, bytes=900, macs=100, peak_activation_bytes=12_288, latency_ms=1e-9)

    refuse_impossible(least, num_classes=100, image_size=32)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("macs", 15_000_000, "15,000,000"),
        ("latency_ms", 12.345, "12.3 ms"),
        ("latency_ms", 1234.5, "1,234 ms"),
        ("latency_ms", 0.0312345, "0.0312 ms"),
        ("latency_ms", 999.96, "1000 ms"),
        ("energy_mj", 8, "8 mJ"),
        ("bytes", None, "unknown"),
    ],
)
def test_figures_are_told_in_their_unit(name: str, value: float | None, told: str) -> None:
    assert figure(name, value) == told


@pytest.mark.parametrize("limit", [0, -5, True, 1.5])
def test_a_limit_that_nothing_can_keep_is_refused(limit: Any) -> None:
    with pytest.raises(BadInput, match=r"budget\.params"):
        Budget(params=limit)
