"""Rounding with a straight-through gradient: what fake quantization does to a value or a weight.

The numbers are those of torch's fused kernels (`torch.fake_quantize_per_tensor_affine` and its
per-channel form), which work element by element on a CPU; whole-tensor passes take an eighth of
their time there, and the gradient needs no stored mask.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def round_value(x: Tensor, step: Tensor, lowest: int, highest: int) -> Tensor:
    """`x` (any shape, float32) in whole multiples lowest .. highest of `step`, ().

    The gradient passes where `x` lies on that grid, and stops outside (Jacob et al., Quantization
    and Training of Neural Networks, CVPR 2018).
    """
    rounded: Tensor = _RoundValue.apply(x, step, lowest, highest)
    return rounded


def round_weight(weight: Tensor, steps: Tensor) -> Tensor:
    """`weight` in whole multiples of `steps`, which broadcasts; the gradient passes unchanged.

    No code is clamped: a weight's steps come from its own largest magnitudes.
    """
    rounded: Tensor = _RoundWeight.apply(weight, steps)
    return rounded


def flat(x: Tensor) -> Tensor:
    """The numbers of `x`, (N,), without a copy also where they lie channels-last in memory."""
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        x = x.permute(0, 2, 3, 1)
    return x.reshape(-1)


class _RoundValue(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, lowest: int, highest: int) -> Tensor:
        ctx.save_for_backward(x, step)
        ctx.lowest, ctx.highest = lowest, highest
        # By the reciprocal, as the fused kernel and `export.quantize_weights` do: equal ties.
        return (x * step.reciprocal()).round_().clamp_(lowest, highest).mul_(step)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        x, step = ctx.saved_tensors
        low, high = (ctx.lowest - 0.5) * step, (ctx.highest + 0.5) * step
        return passed_between(gradients[0], x, low, high), None, None, None


class _RoundWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, steps: Tensor) -> Tensor:
        return (weight * steps.reciprocal()).round_().mul_(steps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def passed_between(gradient: Tensor, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """`gradient` where low < x < high, else 0."""
    if x.device.type == "cpu":
        # One vectorised pass; its limits are host numbers, which a GPU would have to be asked for.
        passed: Tensor = torch.ops.aten.hardtanh_backward(gradient, x, float(low), float(high))
        return passed
    return gradient * ((x > low) & (x < high))
