"""Searching a family's whole space for the largest network that fits."""

from __future__ import annotations

import pytest

from edgestill.models.budget import Budget
from edgestill.models.cost import cost
from edgestill.models.errors import BadInput, GateFailed
from edgestill.models.search import search
from edgestill.models.wideresnet import WideResNet


def test_nothing_larger_in_the_space_fits() -> None:
    budget = Budget(macs=15_100_000, params=100_000)

    found = search("wideresnet", budget, num_classes=10, image_size=32, top=5)

    space = list(WideResNet.space(num_classes=10, image_size=32))
    sizes = sorted((cost(spec).macs for spec in space if budget.fits(cost(spec))), reverse=True)
    assert [candidate.cost.macs for candidate in found.best] == sizes[:5]
    assert (found.weighed, found.fitting) == (len(space), len(sizes))


def test_the_published_student_is_found_at_its_own_cost() -> None:
    published = WideResNet.scaled(depth=28, width=0.5)
    own = cost(published)

    found = search(
        "wideresnet",
        Budget(macs=own.macs, params=own.params),
        num_classes=10,
        image_size=32,
    )

    assert found.best[0].spec == published


@pytest.mark.parametrize(
    ("budget", "name"),
    [
        (Budget(macs=10_000_000, params=10_000), "params"),
        (Budget(bytes=30_000, macs=10**9), "bytes"),
        (Budget(peak_activation_bytes=140_000, macs=10**9), "peak_activation_bytes"),
    ],
)
def test_every_limit_is_kept_and_the_rejected_name_the_one_that_binds(
    budget: Budget, name: str
) -> None:
    found = search("wideresnet", budget, num_classes=10, image_size=32, top=10**6)

    assert len(found.best) == found.fitting
    assert all(budget.fits(candidate.cost) for candidate in found.best)
    assert name in {rejected.binds.name for rejected in found.rejected}
    assert all(not rejected.binds.met for rejected in found.rejected)


def test_no_frontier_network_is_beaten_by_one_that_fits() -> None:
    found = search("wideresnet", Budget(macs=8_000_000), num_classes=10, image_size=32, top=10**6)

    for kept in found.frontier:
        better = [c for c in found.best if c.cost.macs > kept.cost.macs]
        assert all(c.cost.params > kept.cost.params for c in better)
    assert found.frontier[-1] == found.best[0]


def test_an_impossible_budget_names_the_limit_and_the_nearest_network() -> None:
    with pytest.raises(GateFailed) as refused:
        search("wideresnet", Budget(macs=10**9, params=99), num_classes=10, image_size=32)

    message = str(refused.value)
    assert "budget.params = 99 binds" in message
    assert "WRN-10 (8, 8, 8) stem 8, needs 4,034" in message
    assert "\n" not in message


def test_unknown_families_and_empty_tops_are_refused() -> None:
    with pytest.raises(BadInput, match="did you mean 'wideresnet'"):
        search("wideresnets", Budget(), num_classes=10, image_size=32)
    with pytest.raises(BadInput, match="top must be 1 or more"):
        search("wideresnet", Budget(), num_classes=10, image_size=32, top=0)
