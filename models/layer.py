"""One layer of a network by its numbers, or the same layer of many networks at once; no torch.

A family tells a network as a list of these. What a budget limits is counted from the list:
`models/cost.py` sums it up, and a device's timings turn it into time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

# An int, or a column (R,) of int64: one formula serves a single network and a whole space at once.
Whole: TypeAlias = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer as it runs, batch norm folded into it; of one image.

    Every `Whole` may be a column (R,) of int64 instead: the same layer of R networks. The
    properties are those of one such layer; only `part` takes `count` into account.

    >>> layer = Layer(kind="conv", channels_in=3, channels_out=16, size=32, kernel=3, stride=2)
    >>> layer.size_out, layer.weights, layer.macs
    (16, 432, 110592)
    """

    kind: str
    """"conv", "depthwise", "linear", "global_pool" or "max_pool"."""
    channels_in: Whole
    channels_out: Whole
    size: int
    """Height and width of its input, in pixels; 1 for a linear layer."""
    kernel: int = 1
    """Height and width of its window; 0 for a linear layer and a global pool."""
    stride: int = 1
    norm: bool = False
    """Whether a batch norm stands behind it while it trains; without one, it has a bias."""
    adds: Whole = 0
    """1: a residual sum right behind it, which runtimes fuse into it; 0: none."""
    kept: Whole = 0
    """Elements alive while it runs besides its own input and output: what a sum waits for."""
    count: Whole = 1
    """How many such layers follow one another; 0: none."""

    @property
    def size_out(self) -> int:
        """Height and width of its output; windows are padded so that stride alone shrinks it."""
        return 1 if self.kind in ("linear", "global_pool") else -(-self.size // self.stride)

    @property
    def weights(self) -> Whole:
        """Elements of its weight, bias not counted."""
        if self.kind == "conv":
            return self.channels_in * self.channels_out * self.kernel**2
        if self.kind == "depthwise":
            return self.channels_out * self.kernel**2
        return self.channels_in * self.channels_out if self.kind == "linear" else 0

    @property
    def macs(self) -> Whole:
        """Multiply-adds; of a global pool the elements that it reads, of a max pool none."""
        if self.kind == "global_pool":
            return self.elements_in
        return self.weights * self.size_out**2

    @property
    def elements_in(self) -> Whole:
        """Elements that it reads, the residual not counted."""
        return self.channels_in * self.size**2

    @property
    def elements_out(self) -> Whole:
        """Elements that it writes."""
        return self.channels_out * self.size_out**2

    @property
    def live(self) -> Whole:
        """Elements alive while it runs; 0 where there is none of it."""
        elements = self.elements_in + self.elements_out + self.kept
        return elements if _is(self.count, 1) else elements * (self.count > 0)

    def part(self) -> Part:
        """What it adds to the network's cost, `count` times over."""
        if self.kind not in ("conv", "depthwise", "linear"):
            return Part(self.macs * self.count, 0, 0, 0)
        weights, channels = self.weights, self.channels_out
        if not _is(self.count, 1):
            weights, channels = weights * self.count, channels * self.count
        # Per channel a bias, or the weight and the bias of a batch norm: two MACs a pixel.
        pixels = self.size_out**2
        if self.norm:
            params = weights + 2 * channels
            return Part(params * pixels, params, weights, channels)
        return Part(weights * pixels, weights + channels, weights, channels)


@dataclass(frozen=True, slots=True)
class Part:
    """A layer's share of a cost: what fvcore counts, and what is left once batch norm is folded."""

    macs: Whole
    params: Whole
    weights: Whole
    """Elements that become int8."""
    channels: Whole
    """Output channels: each keeps a bias and a scale."""


def conv(
    channels_in: Whole,
    channels_out: Whole,
    size: int,
    *,
    kernel: int = 3,
    stride: int = 1,
    norm: bool = True,
    adds: Whole = 0,
    kept: Whole = 0,
    count: Whole = 1,
) -> Layer:
    """A square convolution over `size` x `size`."""
    return Layer(
        kind="conv",
        channels_in=channels_in,
        channels_out=channels_out,
        size=size,
        kernel=kernel,
        stride=stride,
        norm=norm,
        adds=adds,
        kept=kept,
        count=count,
    )


def classifier(channels: Whole, size: int, num_classes: int) -> list[Layer]:
    """The end of every family: a global average pool over `size` x `size`, a linear layer."""
    return [
        Layer(kind="global_pool", channels_in=channels, channels_out=channels, size=size, kernel=0),
        Layer(kind="linear", channels_in=channels, channels_out=num_classes, size=1, kernel=0),
    ]


def present(layers: list[Layer]) -> list[Layer]:
    """Without those of which there are plainly none; a column's zeros stay."""
    return [layer for layer in layers if not _is(layer.count, 0)]


def _is(count: Whole, number: int) -> bool:
    return isinstance(count, int) and count == number
