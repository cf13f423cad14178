"""The layers of a network, or of a block's file, as a latency table's fit knows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

Whole: TypeAlias = Any  # a number, or a column (R,) of int64: the same layer of R networks at once
IMAGE_CHANNELS = 3
"""A convolution of so many or fewer reads an image: kernels of its own, and nothing before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedLayer:
    """A layer of a network, or of many: channels and `count` may be columns (R,) of int64."""

    kind: str
    """"conv3x3" and so on by its window, "_add" behind it with a residual sum; "depthwise3x3";
    "linear", "global_pool", "max_pool"."""
    in_channels: Whole
    out_channels: Whole
    size: int
    """Height and width of its input in pixels; 1 for linear."""
    stride: int = 1
    kernel: int = 1
    """Height and width of its window; 0 for what has none."""
    count: Whole = 1
    """How many of them; 0: none."""
    clipped: bool = False
    """Whether it ends in a ReLU6: ONNX Runtime computes a ReLU within the convolution, in floats
    a ReLU6 in a pass of its own."""

    @property
    def size_out(self) -> int:
        return -(-self.size // self.stride)

    @property
    def group(self) -> str:
        """Of what layers it is one."""
        if self.kind.startswith("conv"):
            if isinstance(self.in_channels, int) and self.in_channels <= IMAGE_CHANNELS:
                return "image"
            return "conv1x1" if self.kernel == 1 else "conv"
        return "depthwise" if self.kind.startswith("depthwise") else self.kind

    @property
    def groups(self) -> tuple[str, ...]:
        """All whose terms are its time's: with a residual sum also "add", with a ReLU6 "clip"."""
        return (
            self.group,
            *(("add",) if self.kind.endswith("_add") else ()),
            *(("clip",) if self.clipped else ()),
        )


class Shape(Protocol):
    """A block of a latency table, or one that could stand in it."""

    @property
    def kind(self) -> str: ...
    @property
    def in_channels(self) -> int: ...
    @property
    def out_channels(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def stride(self) -> int: ...
    @property
    def count(self) -> int: ...


def layers_of(block: Shape) -> list[TimedLayer]:
    """The layers in a block's file; none in an identity.

    >>> from types import SimpleNamespace as Row
    >>> row = Row(kind="expand1x1", in_channels=8, out_channels=48, size=4, stride=1, count=2)
    >>> [(layer.kind, layer.in_channels, layer.out_channels) for layer in layers_of(row)]
    [('conv1x1', 8, 48), ('conv1x1', 48, 8)]
    """
    if block.kind == "identity":
        return []
    ends = [(block.in_channels, block.out_channels)]
    kind = block.kind
    if kind == "expand1x1":
        kind, ends = "conv1x1", [*ends, ends[0][::-1]]
    window = {"max_pool": 3, "linear": 0, "global_pool": 0}
    return [
        TimedLayer(
            kind=kind,
            in_channels=into,
            out_channels=out,
            size=block.size,
            stride=block.stride,
            kernel=window[kind] if kind in window else int(kind.removesuffix("_add")[-1]),
            count=block.count,
            clipped=block.kind == "depthwise3x3" or (block.kind == "expand1x1" and not number),
        )
        for number, (into, out) in enumerate(ends)
    ]
