"""The loss of a network that learns from labels alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


def cross_entropy(model: nn.Module) -> Callable[[Tensor, Tensor], dict[str, Tensor]]:
    """Terms for `fit`: the cross-entropy of `model`'s logits."""
    from torch.nn import functional

    def terms(images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        found = model(images)
        # GoogLeNet and Inception give their auxiliary logits beside these while training.
        logits = getattr(found, "logits", found)
        return {"cross_entropy": functional.cross_entropy(logits.float(), labels)}

    return terms
