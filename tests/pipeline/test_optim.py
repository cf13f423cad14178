"""Settings, parameter groups, and the learning rate at every step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgestill.models.errors import BadInput
from edgestill.pipeline.optim import optimizer, schedule
from edgestill.pipeline.recipe import Training

# The published setting: 200 epochs of 391 steps, x 0.2 at epochs 60, 120 and 160.
PUBLISHED = Training(epochs=200, schedule="multistep", warmup_epochs=0)


def test_multistep_falls_at_the_first_step_of_the_published_epochs() -> None:
    steps, total = 391, 391 * 200

    rates = [schedule(step, total, steps, PUBLISHED) for step in range(total)]

    falls = [step for step in range(1, total) if rates[step] < rates[step - 1]]
    assert falls == [60 * steps, 120 * steps, 160 * steps]
    assert rates[-1] == pytest.approx(0.2**3)


@given(
    total=st.integers(1, 400),
    steps=st.integers(1, 40),
    warmup=st.floats(0, 20),
    name=st.sampled_from(["cosine", "multistep", "constant"]),
)
def test_the_rate_rises_to_its_peak_and_never_again(
    total: int, steps: int, warmup: float, name: Any
) -> None:
    settings = Training(epochs=1, schedule=name, warmup_epochs=warmup, milestones=(0.6, 0.8))

    rates = [schedule(step, total, steps, settings) for step in range(total)]

    peak = rates.index(max(rates))
    assert max(rates) == 1
    assert min(rates) > 0
    assert peak <= total // 2
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_cosine_ends_near_zero() -> None:
    rates = [schedule(step, 1000, 100, Training(epochs=10)) for step in range(1000)]

    assert rates[99] == 1
    assert rates[549] == pytest.approx(0.5, abs=1e-2)  # half of the way down
    assert rates[-1] < 1e-5


def test_warm_up_rises_in_equal_parts() -> None:
    rates = [schedule(step, 40, 4, Training(epochs=10)) for step in range(4)]

    assert rates == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_only_weights_of_two_dimensions_and_more_are_decayed(name: Any) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    model[3].bias.requires_grad_(False)

    groups = optimizer(model.parameters(), Training(epochs=1, optimizer=name)).param_groups

    decayed = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    expected = {id(p): 5e-4 if p.dim() > 1 else 0.0 for p in model.parameters() if p.requires_grad}
    assert decayed == expected


def test_without_momentum_there_is_no_nesterov() -> None:
    plain = optimizer([nn.Parameter(torch.zeros(2, 2))], Training(epochs=1, momentum=0.0))

    assert plain.param_groups[0]["nesterov"] is False


def test_a_network_with_nothing_to_train_is_refused() -> None:
    frozen = nn.Linear(2, 2).requires_grad_(False)

    with pytest.raises(BadInput, match="no parameter to train"):
        optimizer(frozen.parameters(), Training(epochs=1))
