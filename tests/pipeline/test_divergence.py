"""When training stops by itself, and what it says."""

from __future__ import annotations

import math

import pytest
import torch

from edgestill.pipeline.divergence import Diverged, stop_if_diverged
from edgestill.pipeline.recipe import Training


def look_at(losses: list[list[float]], norm: float = 1.0, first_loss: float = 2.3) -> None:
    stop_if_diverged(
        "distill",
        Training(epochs=5, lr=0.4, warmup_epochs=2, clip_norm=3.0),
        4,
        ["cross_entropy", "gkd"],
        torch.tensor(losses, dtype=torch.float64),
        norm,
        first_loss,
    )


def test_the_first_bad_step_is_named_with_its_terms_and_what_to_try() -> None:
    losses = [[2.3, 0.5], [9.9, math.inf], [math.nan, math.nan]]

    with pytest.raises(Diverged) as stop:
        look_at(losses)

    assert str(stop.value) == (
        "distill diverged: the loss is not a finite number, at step 2 of 3 in epoch 5"
        " (cross_entropy 9.9, gkd inf); try lr below 0.4, clip_norm below 3, or warmup_epochs"
        " above 2"
    )
    assert stop.value.exit_code == 1


def test_weights_that_broke_in_the_last_step_are_noticed() -> None:
    with pytest.raises(Diverged, match="weights are not finite numbers, at step 2 of 2"):
        look_at([[2.3, 0.5], [2.2, 0.5]], norm=math.nan)


def test_a_loss_that_is_finite_and_absurd_is_noticed() -> None:
    with pytest.raises(Diverged, match=r"grew from 2.3 at the first step to 1.5e\+05"):
        look_at([[1e5, 0.0], [2e5, 0.0]])


@pytest.mark.parametrize("losses", [[[2.3, 40.0]], [[0.0, 0.0], [900.0, 0.0]]])
def test_a_loss_that_only_rises_goes_on(losses: list[list[float]]) -> None:
    look_at(losses)
