"""The optimizer and the learning rate at every step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..models.errors import BadInput
from .recipe import Training

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


def optimizer(parameters: Iterable[nn.Parameter], settings: Training) -> Optimizer:
    """SGD or AdamW over the parameters that want a gradient.

    Biases, BatchNorm's scales and shifts, and learned quantization ranges (every parameter of fewer
    than two dimensions) are not decayed: pulling them to zero changes what the network computes
    without making it simpler. Raises BadInput where nothing is to be trained.
    """
    import torch

    wanted = [parameter for parameter in parameters if parameter.requires_grad]
    if not wanted:
        raise BadInput("the network has no parameter to train")
    groups = [
        {"params": [p for p in wanted if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in wanted if p.dim() <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    # One kernel for all parameters, and AdamW's step count stays on the device.
    fused = all(parameter.is_cuda for parameter in wanted)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr, fused=fused)
    return torch.optim.SGD(
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov and settings.momentum > 0,
        fused=fused,
    )


def schedule(step: int, total_steps: int, steps_per_epoch: int, settings: Training) -> float:
    """The factor on the peak learning rate at `step` of 0 .. total_steps - 1.

    Rises linearly over warmup_epochs (half of the steps at most), to 1. Then "cosine" falls to
    almost 0 by the last step, "multistep" multiplies by gamma at each milestone, a fraction of
    total_steps, and "constant" stays.

    >>> rates = Training(epochs=10, schedule="multistep", warmup_epochs=2.0, milestones=(0.5, 0.8))
    >>> [round(schedule(step, 10, 1, rates), 2) for step in range(10)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 0.2, 0.2, 0.2, 0.04, 0.04]
    """
    warmup = min(round(settings.warmup_epochs * steps_per_epoch), total_steps // 2)
    if step < warmup:
        return (step + 1) / warmup
    if settings.schedule == "cosine":
        return 0.5 + 0.5 * math.cos(math.pi * (step - warmup) / (total_steps - warmup))
    if settings.schedule == "multistep":
        passed = sum(step >= round(at * total_steps) for at in settings.milestones)
        return settings.gamma**passed
    return 1.0
