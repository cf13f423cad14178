"""Small parts that every training stage shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING

from .fit import Fit
from .recipe import Training

if TYPE_CHECKING:
    from torch import Tensor, nn


def fit_settings(told: Training) -> Fit:
    """The training loop's settings out of a recipe section."""
    return Fit(**{field.name: getattr(told, field.name) for field in fields(Fit)})


def cross_entropy(model: nn.Module) -> Callable[[Tensor, Tensor], dict[str, Tensor]]:
    """The loss of a network that learns from labels alone."""
    from torch.nn import functional

    def terms(images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"cross_entropy": functional.cross_entropy(model(images).float(), labels)}

    return terms
