"""What a block of a network is, in numbers: its kind and shape, and the work that is in it.

A chain is a whole network of blocks, one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from ..models.errors import BadInput

# kind -> kernel; 0: no convolution
KERNELS = {
    "conv3x3": 3,
    "conv3x3_add": 3,
    "conv7x7": 7,
    "depthwise3x3": 3,
    "conv1x1": 1,
    "conv1x1_add": 1,
    "expand1x1": 1,
    "max_pool": 3,
    "global_pool": 0,
    "linear": 0,
    "identity": 0,
}
CHANGING = ("conv3x3", "conv7x7", "conv1x1", "expand1x1", "linear")
"""Kinds that may have other channels on one side than on the other."""
SHRINKING = ("conv3x3", "conv7x7", "conv1x1", "depthwise3x3", "max_pool")
"""Kinds that may have a stride."""
ADDING = ("conv3x3_add", "conv1x1_add")
"""Kinds with a residual sum."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block, `count` times in a row; `BadInput` where these numbers make none."""

    kind: str
    """conv3x3, conv1x1, conv7x7: convolution, bias, ReLU. conv3x3_add: with its input added before
    the ReLU, since runtimes compute a residual addition with the convolution before it.
    depthwise3x3, expand1x1, conv1x1_add: as in inverted residuals, with ReLU6, which some runtimes
    compute after the convolution, or a linear end. expand1x1 is a convolution to `out_channels` and
    one back, so that it can stand in a row. max_pool (3x3), global_pool, linear. identity: an image
    goes in and comes out."""
    in_channels: int
    out_channels: int
    size: int
    """Height and width of the input in pixels; 1 for linear."""
    stride: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KERNELS:
            raise BadInput(f"no block {self.kind!r}; known: {', '.join(KERNELS)}")
        if min(self.in_channels, self.out_channels, self.size, self.stride, self.count) < 1:
            raise BadInput(f"{self.name}: channels, size, stride and count begin at 1")
        same = self.in_channels == self.out_channels
        row = self.count > 1 and self.kind != "expand1x1"
        if not same and (self.kind not in CHANGING or row):
            raise BadInput(f"{self.name}: gives other channels than it takes")
        if self.stride > 1 and (self.kind not in SHRINKING or self.count > 1):
            raise BadInput(f"{self.name}: gives another size than it takes")
        if self.kind in ("global_pool", "identity") and self.count > 1:
            raise BadInput(f"{self.name}: cannot stand in a row")
        if self.kind == "linear" and self.size > 1:
            raise BadInput(f"{self.name}: a linear layer has no size; expected 1")

    @property
    def name(self) -> str:
        """Unlike any other block's.

        >>> Block(kind="conv3x3", in_channels=8, out_channels=16, size=32, stride=2).name
        'conv3x3 8-16 at 32, stride 2'
        """
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        times = f", {self.count} times" if self.count > 1 else ""
        return f"{self.kind} {self.in_channels}-{self.out_channels} at {self.size}{stride}{times}"

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Itself alone: as of a chain."""
        return (self,)

    @property
    def kernel(self) -> int:
        """Height and width of the convolution's window; 0 for what is no convolution."""
        return KERNELS[self.kind]

    @property
    def channels_after(self) -> int:
        """Of what comes out."""
        return self.in_channels if self.kind == "expand1x1" else self.out_channels

    @property
    def size_after(self) -> int:
        """Height and width of what comes out; 1 for linear."""
        return 1 if self.kind == "global_pool" else -(-self.size // self.stride)

    @property
    def groups(self) -> int:
        return self.in_channels if self.kind == "depthwise3x3" else 1

    @property
    def macs(self) -> int:
        """Of one image through the whole file: a multiply-add each of convolutions and linear
        layers, one for each number that a pooling reads; biases, sums and ReLU count nothing."""
        if self.kind == "max_pool":
            return 0
        if self.kind == "global_pool":
            return self.in_channels * self.size**2
        return self.count * self._weights * (-(-self.size // self.stride)) ** 2

    @property
    def params(self) -> int:
        """Weights and biases in the whole file."""
        channels = self.out_channels + (self.in_channels if self.kind == "expand1x1" else 0)
        return self.count * (self._weights + channels) if self._weights else 0

    @property
    def _weights(self) -> int:
        if self.kind == "linear":
            return self.in_channels * self.out_channels
        if self.kind == "expand1x1":
            return 2 * self.in_channels * self.out_channels
        if self.kind == "max_pool":
            return 0
        return self.kernel**2 * self.in_channels * self.out_channels // self.groups


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Blocks of which each takes what the one before gives; `BadInput` where one does not."""

    name: str
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        for before, after in pairwise(self.blocks):
            given = (before.channels_after, before.size_after)
            if given != (after.in_channels, after.size):
                raise BadInput(f"{self.name}: {after.name} cannot stand behind {before.name}")

    @property
    def macs(self) -> int:
        return sum(block.macs for block in self.blocks)

    @property
    def params(self) -> int:
        return sum(block.params for block in self.blocks)


Timed: TypeAlias = Block | Chain
"""What an ONNX file of its own is written of, to be timed."""
