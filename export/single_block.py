"""What a block of a network is, in numbers: its kind and shape, and the work that is in it."""

from __future__ import annotations

from dataclasses import dataclass

from ..models.errors import BadInput

# kind -> kernel; 0: no convolution
KERNELS = {
    "conv3x3": 3,
    "conv3x3_add": 3,
    "depthwise3x3": 3,
    "conv1x1": 1,
    "global_pool": 0,
    "linear": 0,
    "identity": 0,
}


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block, `count` times in a row; `BadInput` where these numbers make none."""

    kind: str
    """conv3x3, conv1x1, depthwise3x3: convolution, bias, ReLU. conv3x3_add: with its input added
    before the ReLU, since runtimes compute a residual addition with the convolution before it.
    global_pool, linear. identity: an image goes in and comes out."""
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
        if not same and (self.kind not in ("conv3x3", "conv1x1", "linear") or self.count > 1):
            raise BadInput(f"{self.name}: gives other channels than it takes")
        if self.stride > 1 and (not self.kernel or self.count > 1 or self.kind == "conv3x3_add"):
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
    def kernel(self) -> int:
        """Height and width of the convolution's window; 0 for what is no convolution."""
        return KERNELS[self.kind]

    @property
    def groups(self) -> int:
        return self.in_channels if self.kind == "depthwise3x3" else 1

    @property
    def macs(self) -> int:
        """Of one image through the whole file: a multiply-add each of convolutions and linear
        layers, one for each number that a pooling reads; biases, sums and ReLU count nothing."""
        if self.kind == "global_pool":
            return self.in_channels * self.size**2
        return self.count * self._weights * (-(-self.size // self.stride)) ** 2

    @property
    def params(self) -> int:
        """Weights and biases in the whole file."""
        return self.count * (self._weights + self.out_channels) if self._weights else 0

    @property
    def _weights(self) -> int:
        if self.kind == "linear":
            return self.in_channels * self.out_channels
        return self.kernel**2 * self.in_channels * self.out_channels // self.groups
