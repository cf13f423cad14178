"""What a network costs, from its shapes alone: MACs, parameters, bytes and live activations.

`macs` is the total of fvcore's FlopCountAnalysis with the network in eval mode: one per
multiply-add of a convolution or linear layer, two per element that a batch norm writes (though
deployment folds it), one per element that a global average pool reads; ReLU, the residual sum and
biases count nothing. `params` is fvcore's parameter_count: all that is trained, batch norm's weight
and bias included, its running statistics not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .families import Spec

FLOAT32_BYTES = 4

# An int, or a column of int64: one formula serves a single network and a whole space at once.
Whole: TypeAlias = Any


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one image through one network costs; None where it could not be found."""

    macs: int
    params: int
    peak_activation_bytes: int | None
    """Largest sum of tensors alive at once: float32, batch 1, input and output included, the graph
    run in its own order, batch norm, ReLU and residual sums in place."""
    bytes_fp32: int
    """Weights and biases of the folded network in float32."""
    bytes_int8: int
    """Folded network: int8 weights, and per output channel a float32 bias and a float32 scale."""


def cost(spec: Spec) -> Cost:
    """Cost of the network that `spec` describes, without building it.

    >>> from .wideresnet import WideResNet
    >>> cost(WideResNet.scaled(depth=28, width=0.5)).params
    94154
    """
    return spec.cost()


@dataclass(frozen=True, slots=True)
class Part:
    """One layer's share: what fvcore counts, and what is left of it once batch norm is folded.

    Every number here may be a column (R,) of int64 instead: the same layer of R networks at once.
    """

    macs: Whole
    params: Whole
    weights: Whole = 0
    """Elements that become int8."""
    channels: Whole = 0
    """Output channels: each keeps a bias and a scale."""

    def times(self, count: Whole) -> Part:
        """The same layer, `count` times over; 0 or False: not at all."""
        return Part(
            self.macs * count, self.params * count, self.weights * count, self.channels * count
        )


def conv_bn(
    channels_in: Whole, channels_out: Whole, *, kernel: int, pixels: Whole, depthwise: bool = False
) -> Part:
    """A square convolution without bias and its batch norm; `pixels` = height x width it writes."""
    weights = (1 if depthwise else channels_in) * channels_out * kernel * kernel
    return Part(
        macs=(weights + 2 * channels_out) * pixels,
        params=weights + 2 * channels_out,
        weights=weights,
        channels=channels_out,
    )


def conv(channels_in: Whole, channels_out: Whole, *, kernel: int, pixels: Whole) -> Part:
    """A square convolution with bias."""
    weights = channels_in * channels_out * kernel * kernel
    return Part(
        macs=weights * pixels,
        params=weights + channels_out,
        weights=weights,
        channels=channels_out,
    )


def linear(features_in: Whole, features_out: int) -> Part:
    """A linear layer with bias."""
    weights = features_in * features_out
    return Part(macs=weights, params=weights + features_out, weights=weights, channels=features_out)


def global_pool(channels: Whole, pixels: Whole) -> Part:
    """A global average pool that reads `pixels` = height x width."""
    return Part(macs=channels * pixels, params=0)


def largest(elements: Sequence[Whole]) -> Whole:
    """The largest of several numbers, network by network where some are columns.

    >>> largest([3, 5])
    5
    """
    if all(isinstance(each, int) for each in elements):
        return max(elements)
    import numpy as np

    most = elements[0]
    for each in elements[1:]:
        most = np.maximum(most, each)
    return most


def total(parts: Iterable[Part], *, peak_activation_elements: Whole) -> Cost:
    """The parts' sum as a `Cost`."""
    macs: Whole = 0
    params: Whole = 0
    weights: Whole = 0
    channels: Whole = 0
    for part in parts:
        macs = macs + part.macs
        params = params + part.params
        weights = weights + part.weights
        channels = channels + part.channels
    return Cost(
        macs=macs,
        params=params,
        peak_activation_bytes=FLOAT32_BYTES * peak_activation_elements,
        bytes_fp32=FLOAT32_BYTES * (weights + channels),
        bytes_int8=weights + 2 * FLOAT32_BYTES * channels,
    )
