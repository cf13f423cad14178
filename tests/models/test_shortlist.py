"""A shortlist: distinct, spread, the largest in it, and the same whatever the order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestill.models.budget import Budget
from edgestill.models.errors import BadInput
from edgestill.models.search import Candidate, search
from edgestill.models.shortlist import USED, features, shortlist, used
from edgestill.models.wideresnet import WideResNet

BUDGETS = {
    "wideresnet": Budget(macs=6_000_000),
    "resnet": Budget(macs=20_000_000, params=200_000),
    "mobilenetv2": Budget(macs=6_000_000, params=400_000),
    "repvgg": Budget(macs=40_000_000),
}
FAMILY = pytest.mark.parametrize("family", BUDGETS)


@cache
def fitting(family: str) -> tuple[Candidate, ...]:
    """The largest networks of a family within its budget above, largest first."""
    return search(family, BUDGETS[family], num_classes=10, image_size=32, top=400).best


def least_distance(members: Sequence[Candidate]) -> float:
    places = np.array([features(each) for each in members])
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    return float(distances[np.triu_indices(len(members), 1)].min())


@FAMILY
@pytest.mark.parametrize("count", [4, 6, 8])
def test_a_shortlist_is_wider_spread_than_the_largest_few(family: str, count: int) -> None:
    found = fitting(family)

    members = shortlist(found, count, BUDGETS[family])

    assert len({each.spec for each in members}) == count
    assert members[0] == found[0]
    assert least_distance(members) > least_distance(found[:count])


def test_of_two_hundred_near_copies_those_taken_lie_apart_and_the_odd_one_is_not_missed() -> None:
    plain = fitting("wideresnet")[0]
    copies = [shaped(plain, (1, 1, 1), (8, 20 + n % 5, 40 + n // 5)) for n in range(200)]
    odd = shaped(plain, (5, 5, 5), (8, 8, 8))

    members = shortlist([plain, *copies, odd], 4, BUDGETS["wideresnet"])

    assert odd.spec in {each.spec for each in members}
    assert least_distance(members) > 4 * least_distance(copies)


def shaped(
    plain: Candidate, blocks: tuple[int, int, int], widths: tuple[int, int, int]
) -> Candidate:
    """Another network, as if its cost were the same."""
    return Candidate(WideResNet(blocks=blocks, widths=widths, stem=8), plain.cost, plain.predicted)


def test_evenly_deep_networks_come_first_and_others_where_these_are_few() -> None:
    found, budget = fitting("wideresnet"), BUDGETS["wideresnet"]
    even = [each for each in found if each.spec.unevenness(each.spec) == 0]
    uneven = [each for each in found if each.spec.unevenness(each.spec) > 0]

    members = shortlist([*even, *uneven], 6, budget)
    few = shortlist([*even[:2], *uneven], 6, budget)

    assert all(each.spec.unevenness(each.spec) == 0 for each in members)
    assert any(each.spec.unevenness(each.spec) > 0 for each in few)


@FAMILY
def test_every_member_uses_the_budget_up(family: str) -> None:
    members = shortlist(fitting(family), 6, BUDGETS[family])

    assert all(USED <= used(each, BUDGETS[family]) <= 1 for each in members)


@FAMILY
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 12), size=st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_any_pool_in_any_order_gives_one_list_of_distinct_members(
    family: str, seed: int, count: int, size: int
) -> None:
    chance = random.Random(seed)
    pool = chance.sample(fitting(family), size)
    shuffled = [pool[0], *chance.sample(pool[1:], size - 1)]

    members = shortlist(pool, count, BUDGETS[family])

    assert members == shortlist(shuffled, count, BUDGETS[family])
    specs = {each.spec for each in members}
    assert len(specs) == len(members) == min(count, size)
    assert specs <= {each.spec for each in pool}
    assert members[0] == pool[0]


def test_a_longer_list_begins_with_the_shorter_one() -> None:
    found, budget = fitting("wideresnet"), BUDGETS["wideresnet"]

    assert shortlist(found, 8, budget)[:4] == shortlist(found, 4, budget)


def test_a_network_given_twice_is_one() -> None:
    found, budget = fitting("wideresnet")[:3], BUDGETS["wideresnet"]

    assert len(shortlist([*found, *found], 6, budget)) == 3


def test_small_networks_stand_in_only_where_too_few_use_the_budget_up() -> None:
    budget = Budget(macs=6_000_000)
    found = search("wideresnet", budget, num_classes=10, image_size=32, top=10**5).best
    large = [each for each in found if used(each, budget) >= USED]
    small = [each for each in found if used(each, budget) < 0.4]
    assert large and small

    assert all(used(each, budget) >= USED for each in shortlist([*large, *small], 5, budget))
    assert len(shortlist([large[0], *small], 3, budget)) == 3


def test_a_limit_that_is_predicted_counts_as_used() -> None:
    budget = Budget(latency_ms=2.0)
    plain = fitting("wideresnet")[0]
    timed = Candidate(plain.spec, plain.cost, {"latency_ms": 1.8})

    assert used(timed, budget) == pytest.approx(0.9)


def test_empty_lists_are_refused() -> None:
    with pytest.raises(BadInput, match="1 member or more, found 0"):
        shortlist(fitting("wideresnet"), 0, Budget())
    with pytest.raises(BadInput, match="found none"):
        shortlist([], 1, Budget())
