"""What a network costs, from its shapes alone: MACs, parameters, bytes and live activations.

`macs` is the total of fvcore's FlopCountAnalysis with the network in eval mode: one per
multiply-add of a convolution or linear layer, two per element that a batch norm writes (though
deployment folds it), one per element that a global average pool reads; ReLU, the residual sum and
biases count nothing. `params` is fvcore's parameter_count: all that is trained, batch norm's weight
and bias included, its running statistics not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .families import Spec

FLOAT32_BYTES = 4


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
    """One layer's share: what fvcore counts, and what is left of it once batch norm is folded."""

    macs: int
    params: int
    weights: int = 0
    """Elements that become int8."""
    channels: int = 0
    """Output channels: each keeps a bias and a scale."""

    def times(self, count: int) -> Part:
        """The same layer, `count` times over."""
        return Part(
            self.macs * count, self.params * count, self.weights * count, self.channels * count
        )


def conv_bn(channels_in: int, channels_out: int, *, kernel: int, pixels: int) -> Part:
    """A square convolution without bias and its batch norm; `pixels` = height x width it writes."""
    weights = channels_in * channels_out * kernel * kernel
    return Part(
        macs=(weights + 2 * channels_out) * pixels,
        params=weights + 2 * channels_out,
        weights=weights,
        channels=channels_out,
    )


def linear(features_in: int, features_out: int) -> Part:
    """A linear layer with bias."""
    weights = features_in * features_out
    return Part(macs=weights, params=weights + features_out, weights=weights, channels=features_out)


def global_pool(channels: int, pixels: int) -> Part:
    """A global average pool that reads `pixels` = height x width."""
    return Part(macs=channels * pixels, params=0)


def total(parts: Iterable[Part], *, peak_activation_elements: int) -> Cost:
    """The parts' sum as a `Cost`."""
    macs = params = weights = channels = 0
    for part in parts:
        macs += part.macs
        params += part.params
        weights += part.weights
        channels += part.channels
    return Cost(
        macs=macs,
        params=params,
        peak_activation_bytes=FLOAT32_BYTES * peak_activation_elements,
        bytes_fp32=FLOAT32_BYTES * (weights + channels),
        bytes_int8=weights + 2 * FLOAT32_BYTES * channels,
    )
