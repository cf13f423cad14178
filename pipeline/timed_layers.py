"""The layers of a network as a latency table's fit knows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..deploy.latency_fit import TimedLayer

if TYPE_CHECKING:
    from ..models.layer import Layer


def timed_layers(layers: Sequence[Layer]) -> list[TimedLayer]:
    """Each layer under the name of its block, in the same order; those of which there are plainly
    none are left out. Channels and counts may be columns (R,), as in `layers`.

    A residual sum belongs to the layer before it. Where only some of R networks have it, the layer
    stands twice, once with the sum and once without, and each network counts one of the two.

    A network with depthwise convolutions is taken for one of inverted residuals: each convolution
    ends in a ReLU6, but those right behind a depthwise one in nothing.
    """
    mobile = any(layer.kind == "depthwise" for layer in layers)
    before = ("", *(layer.kind for layer in layers))
    return [
        timed
        for layer, previous in zip(layers, before, strict=False)
        for timed in _with_and_without_sum(
            layer,
            clipped=mobile and layer.kind in ("conv", "depthwise") and previous != "depthwise",
        )
    ]


def _with_and_without_sum(layer: Layer, *, clipped: bool) -> Iterator[TimedLayer]:
    window = f"{layer.kernel}x{layer.kernel}" if layer.kind in ("conv", "depthwise") else ""
    for suffix, share in (("", 1 - layer.adds), ("_add", layer.adds)):
        count = layer.count * share
        if not isinstance(count, int) or count:
            yield TimedLayer(
                kind=f"{layer.kind}{window}{suffix}",
                in_channels=layer.channels_in,
                out_channels=layer.channels_out,
                size=layer.size,
                stride=layer.stride,
                kernel=layer.kernel,
                count=count,
                clipped=clipped,
            )
