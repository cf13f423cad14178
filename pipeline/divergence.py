"""When training has gone wrong for good, and what to try."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..models.errors import EdgestillError
from .recipe import Training

if TYPE_CHECKING:
    from torch import Tensor

TOO_FAR = 1000.0
"""A mean loss of so many times the first step's is no training any more."""


class Diverged(EdgestillError):
    """The loss or the weights are no longer numbers, or the loss has grown beyond all reason."""

    exit_code = 1


def stop_if_diverged(
    label: str,
    settings: Training,
    epoch: int,
    names: list[str],
    losses: Tensor,
    norm: float,
    first_loss: float,
) -> None:
    """Raise Diverged where an epoch (counted from 0) has gone wrong, else nothing.

    losses (steps, terms) are the weighted terms of its steps, on the CPU; norm is the weights' norm
    after it; first_loss is the loss of the first step of the whole run.
    """
    wrong = (~losses.isfinite()).any(dim=1).nonzero()
    step = int(wrong[0]) if len(wrong) else len(losses) - 1
    mean = float(losses.sum(dim=1).mean())
    if len(wrong):
        what = "the loss is not a finite number"
    elif not math.isfinite(norm):
        what = "the weights are not finite numbers"
    elif mean > TOO_FAR * max(first_loss, 1.0):
        what = f"the loss grew from {first_loss:.4g} at the first step to {mean:.4g} on average"
    else:
        return
    terms = ", ".join(
        f"{name} {value:.4g}" for name, value in zip(names, losses[step].tolist(), strict=True)
    )
    clip = "1.0" if settings.clip_norm is None else f"below {settings.clip_norm:g}"
    raise Diverged(
        f"{label} diverged: {what}, at step {step + 1} of {len(losses)} in epoch {epoch + 1}"
        f" ({terms}); try lr below {settings.lr:g}, clip_norm {clip}, or warmup_epochs above"
        f" {settings.warmup_epochs:g}"
    )
