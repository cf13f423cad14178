"""What a network costs, from its shapes alone: MACs, parameters, bytes and live activations.

`macs` is the total of fvcore's FlopCountAnalysis with the network in eval mode: one per
multiply-add of a convolution or linear layer, two per element that a batch norm writes (though
deployment folds it), one per element that a global average pool reads; ReLU, the residual sum and
biases count nothing. `params` is fvcore's parameter_count: all that is trained, batch norm's weight
and bias included, its running statistics not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .layer import Layer, Whole

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


def total(layers: Sequence[Layer]) -> Cost:
    """Cost of a network of these layers, in their order; columns where a layer has columns."""
    parts = [layer.part() for layer in layers]
    weights = sum(part.weights for part in parts)
    channels = sum(part.channels for part in parts)
    return Cost(
        macs=sum(part.macs for part in parts),
        params=sum(part.params for part in parts),
        peak_activation_bytes=FLOAT32_BYTES * largest([layer.live for layer in layers]),
        bytes_fp32=FLOAT32_BYTES * (weights + channels),
        bytes_int8=weights + 2 * FLOAT32_BYTES * channels,
    )


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
