"""Searching a family's whole space for the largest network that fits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestill.models.budget import Budget
from edgestill.models.cost import cost
from edgestill.models.errors import BadInput, GateFailed
from edgestill.models.families import FAMILIES
from edgestill.models.layer import Layer
from edgestill.models.search import search
from edgestill.models.weighed import NEAREST_REJECTED
from edgestill.models.wideresnet import WideResNet

from .small_space import COSTS, END, SPECS, Small, by_brute_force


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    FAMILIES["small"] = Small
    yield
    del FAMILIES["small"]


def milliseconds(layers: Sequence[Layer]) -> Any:
    """A latency as a device might have it: a little for each layer, and its memory traffic."""
    elements = sum((each.elements_in + each.elements_out) * each.count for each in layers)
    return elements / 1e6 + 0.02 * sum(each.count for each in layers)


def between(values: Sequence[float]) -> st.SearchStrategy[int]:
    return st.integers(math.ceil(0.5 * min(values)), math.ceil(1.2 * max(values)))


TIMES = [milliseconds(spec.layers(spec)) for spec in SPECS]
BUDGETS = st.builds(
    Budget,
    macs=st.none() | between([each.macs for each in COSTS]),
    params=st.none() | between([each.params for each in COSTS]),
    bytes=st.none() | between([each.bytes_int8 for each in COSTS]),
    peak_activation_bytes=st.none()
    | between([each.peak_activation_bytes or 0 for each in COSTS])
    | st.sampled_from([each.peak_activation_bytes for each in COSTS]),
    latency_ms=st.none() | st.floats(0.5 * min(TIMES), 1.2 * max(TIMES)),
)


@given(budget=BUDGETS, top=st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_the_search_finds_what_brute_force_finds(budget: Budget, top: int) -> None:
    predicted = {"latency_ms": milliseconds}
    fits, frontier, misses = by_brute_force(budget, predicted)
    if not fits:
        with pytest.raises(GateFailed, match=f"budget.{misses[0][0]} "):
            search("small", budget, **END, predicted=predicted)
        return

    found = search("small", budget, **END, top=top, predicted=predicted)

    assert (found.weighed, found.fitting) == (len(SPECS), len(fits))
    assert [each.spec for each in found.best] == [SPECS[row] for row in fits[:top]]
    assert [each.cost for each in found.best] == [COSTS[row] for row in fits[:top]]
    assert [each.predicted["latency_ms"] for each in found.best] == [TIMES[r] for r in fits[:top]]
    assert [each.spec for each in found.frontier] == [SPECS[row] for row in frontier]
    for name in {name for name, _ in misses}:
        nearest = [SPECS[row] for binds, row in misses if binds == name][:NEAREST_REJECTED]
        assert [each.spec for each in found.rejected if each.binds.name == name] == nearest
    assert all(not each.binds.met for each in found.rejected)
    if misses:
        assert found.rejected[0].binds.name == misses[0][0]


def test_the_published_student_is_found_at_its_own_cost() -> None:
    published = WideResNet.scaled(depth=28, width=0.5)
    own = cost(published)

    found = search("wideresnet", Budget(macs=own.macs, params=own.params), **END)

    assert found.best[0].spec == published


def test_an_even_network_is_taken_before_a_deep_and_narrow_one_of_a_few_more_macs() -> None:
    budget = Budget(macs=900_000, params=16_000)

    found = search("wideresnet", budget, num_classes=10, image_size=16)

    assert found.weighed == 1_170_072
    assert found.best[0].spec.describe() == "WRN-10 (8, 8, 32)"
    assert found.frontier[-1].spec.describe() == "WRN [1, 6, 4] (8, 8, 8) stem 8"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_network_of_some_ten_thousand_parameters(family: str) -> None:
    kind = FAMILIES[family]
    smallest = kind.space(**END).spec(0).cost()

    found = search(family, Budget(params=15_000), **END)

    assert 4_000 <= smallest.params <= found.best[0].cost.params <= 15_000


def test_an_impossible_budget_names_the_limit_and_the_nearest_network() -> None:
    with pytest.raises(GateFailed) as refused:
        search("wideresnet", Budget(macs=10**9, params=99), **END)

    message = str(refused.value)
    assert "budget.params = 99 binds" in message
    assert "WRN-10 (8, 8, 8) stem 8, needs 4,034" in message
    assert "\n" not in message


def test_an_impossible_latency_is_told_in_milliseconds() -> None:
    predicted = {"latency_ms": milliseconds}

    with pytest.raises(
        GateFailed, match=r"budget.latency_ms = 0.001\d* ms binds, .* needs 0.\d+ ms"
    ):
        search("small", Budget(latency_ms=0.001), **END, predicted=predicted)


def test_a_limit_that_nothing_predicts_is_refused() -> None:
    with pytest.raises(BadInput, match=r"budget\.energy_mj: nothing predicts it"):
        search("small", Budget(energy_mj=1.0), **END, predicted={"latency_ms": milliseconds})


def test_a_prediction_may_be_one_number_for_all() -> None:
    found = search("small", Budget(latency_ms=1.0), **END, predicted={"latency_ms": lambda _: 0.5})

    assert found.fitting == len(SPECS)
    assert found.best[0].predicted == {"latency_ms": 0.5}


def test_unknown_families_and_empty_tops_are_refused() -> None:
    with pytest.raises(BadInput, match="did you mean 'wideresnet'"):
        search("wideresnets", Budget(), **END)
    with pytest.raises(BadInput, match="top must be 1 or more"):
        search("wideresnet", Budget(), **END, top=0)
