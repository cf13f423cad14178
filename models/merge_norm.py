"""Merging a BatchNorm with constant statistics into the layer before or behind it."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval


def norm_into_layer_before(layer: nn.Module, norm: _BatchNorm) -> nn.Module:
    """layer -> BatchNorm --> layer: s (W x + b) + t = (s W) x + (s b + t)."""
    if isinstance(layer, nn.Linear):
        merged: nn.Module = fuse_linear_bn_eval(layer, norm)
    else:
        layer = cast(nn.Conv2d, layer)
        merged = fuse_conv_bn_eval(layer, norm, transpose=isinstance(layer, nn.ConvTranspose2d))
    # torch makes the new bias of a layer without one untrainable, though it stands for that of
    # the BatchNorm, which is trained with the weight.
    assert isinstance(merged.bias, nn.Parameter) and isinstance(merged.weight, nn.Parameter)
    merged.bias.requires_grad_(merged.weight.requires_grad)
    return merged


@torch.no_grad()
def norm_into_layer_behind(norm: _BatchNorm, layer: nn.Module) -> nn.Module:
    """BatchNorm -> convolution --> convolution: W (s x + t) + b = (W s) x + (W t + b)."""
    layer = cast(nn.Conv2d, copy.deepcopy(layer))
    assert norm.running_mean is not None and norm.running_var is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    shift = -norm.running_mean * scale
    if norm.weight is not None:
        scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
    # An output channel reads the input channels of its group only.
    outputs, inputs = layer.weight.shape[:2]
    s, t = (
        value.view(layer.groups, 1, inputs).expand(-1, outputs // layer.groups, -1)
        for value in (scale, shift)
    )
    shape = (outputs, inputs, *[1] * (layer.weight.dim() - 2))
    offset = (layer.weight * t.reshape(shape)).flatten(1).sum(1)
    trained = layer.weight.requires_grad
    layer.weight = nn.Parameter(layer.weight * s.reshape(shape), trained)
    layer.bias = nn.Parameter(offset if layer.bias is None else layer.bias + offset, trained)
    return layer
