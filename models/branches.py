"""conv3x3+BN + conv1x1+BN (+ BN)  -->  one conv3x3 with a bias: trained wide, run narrow.

Source: Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021, section 3.3.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from .blocks import ConvBN


class BranchedConv(nn.Module):
    """A 3x3 convolution in its training form, (B, C, H, W) -> (B, C', H', W'), padded by one.

    The identity branch is there where neither width nor size changes.
    """

    def __init__(self, channels_in: int, channels_out: int, *, stride: int) -> None:
        super().__init__()
        self.wide = ConvBN(channels_in, channels_out, kernel=3, stride=stride)
        self.point = ConvBN(channels_in, channels_out, kernel=1, stride=stride)
        same = stride == 1 and channels_in == channels_out
        self.same: nn.BatchNorm2d | None = nn.BatchNorm2d(channels_in) if same else None

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.wide(images) + self.point(images)
        return out if self.same is None else out + self.same(images)

    @torch.no_grad()
    def merged(self) -> nn.Conv2d:
        """The one convolution that computes the same in eval mode; its own parameters."""
        conv, point = self.wide.conv, self.point.conv
        kernel, bias = _folded(conv.weight, self.wide.bn)
        inner, point_bias = _folded(point.weight, self.point.bn)
        kernel[:, :, 1:2, 1:2] += inner
        bias = bias + point_bias
        if self.same is not None:
            eye = torch.eye(conv.in_channels, dtype=kernel.dtype, device=kernel.device)
            inner, same_bias = _folded(eye[:, :, None, None], self.same)
            kernel[:, :, 1:2, 1:2] += inner
            bias = bias + same_bias
        one = nn.Conv2d(conv.in_channels, conv.out_channels, 3, stride=conv.stride[0], padding=1)
        one = one.to(device=kernel.device, dtype=kernel.dtype)
        one.weight.copy_(kernel)
        one.bias.copy_(bias)  # type: ignore[union-attr]  # there by default
        return one.train(self.training)


def merge_branches(network: nn.Module) -> nn.Module:
    """A copy of `network` with every `BranchedConv` as the one convolution that it amounts to."""
    merged = copy.deepcopy(network)
    for path, module in list(merged.named_modules()):
        if isinstance(module, BranchedConv):
            merged.set_submodule(path, module.merged())
    return merged


def _folded(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Kernel and bias of a bias-free convolution followed by `norm` in eval mode."""
    assert norm.running_var is not None and norm.running_mean is not None
    # float64: the merged kernel is a sum of products whose rounding would add up.
    deviation = torch.sqrt(norm.running_var.double() + norm.eps)
    scale = norm.weight.double() / deviation
    kernel = weight.double() * scale[:, None, None, None]
    bias = norm.bias.double() - norm.running_mean.double() * scale
    return kernel.to(weight.dtype), bias.to(weight.dtype)
