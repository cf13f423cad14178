"""The modules of a fake-quantized network: rounding points, and layers that round weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from .rounding import flat, round_value, round_weight

Grid = Literal["training", "tensorrt", "ort-x86", "ort-arm64"]
GRIDS: tuple[Grid, ...] = ("training", "tensorrt", "ort-x86", "ort-arm64")

TINY = 1e-9
"""The smallest range: keeps the step of a value that is always zero positive."""


class FakeQuantize(nn.Module):
    """Rounds a value to the grid of an INT8 runtime; one learned number, `amax`.

    The value keeps [0, amax], or [-amax, amax] if `signed`. In training mode `amax` follows the
    batches' maxima and the gradient passes where the value is inside its range.
    """

    amax: Tensor

    def __init__(self, point: str, *, signed: bool, tensorrt: bool, momentum: float) -> None:
        super().__init__()
        self.point, self.signed, self.tensorrt, self.momentum = point, signed, tensorrt, momentum
        self.grid: Grid = "training"
        self.enabled = True
        self.observing = True
        # NaN until data were seen: a forgotten calibration gives NaN logits, not plausible ones.
        self.register_buffer("amax", torch.tensor(math.nan))

    @property
    def levels(self) -> int:
        """Steps between zero and `amax`.

        ONNX Runtime's types spend all 256 codes on a value that is never negative, TensorRT's
        symmetric int8 128; training takes the coarser, so that one network serves both.
        """
        return 255 if self.grid.startswith("ort") and not self.signed else 127

    def forward(self, x: Tensor) -> Tensor:
        if not self.enabled or (self.grid == "tensorrt" and not self.tensorrt):
            return x
        # bfloat16 has 8 significant bits, fewer than a code times its step needs.
        x = x.float()
        if self.training and self.observing:
            self._follow(x.detach())
        lowest = -128 if self.signed else 0
        return round_value(x, self.amax.clamp(min=TINY) / self.levels, lowest, self.levels)

    @torch.no_grad()
    def _follow(self, x: Tensor) -> None:
        """Exponential moving average of the batches' maxima, without waiting for the device."""
        seen = largest(x, signed=self.signed)
        moved = torch.lerp(self.amax, seen, self.momentum)
        self.amax.copy_(torch.where(self.amax.isnan(), seen, moved))

    def extra_repr(self) -> str:
        return f"{self.point}, {'signed' if self.signed else 'unsigned'}, grid={self.grid}"


class QuantizedLayer(nn.Module):
    """What the quantized forms of the layers share: rounded weights, float bias.

    The parameters are those of the float layer, under the same names.
    """

    if TYPE_CHECKING:
        weight: Tensor
    bits: int
    enabled: bool
    channel_axis = 0
    """The axis of `weight` that counts output channels: ONNX takes one step per entry of it."""

    def quantized_weight(self) -> Tensor:
        """The weight on its grid of int8 codes, one step per output channel."""
        if not self.enabled:
            return self.weight
        steps = weight_scales(self.weight.detach(), self.bits, axis=self.channel_axis)
        shape = [1] * self.weight.dim()
        shape[self.channel_axis] = -1
        return round_weight(self.weight, steps.reshape(shape))


class QuantizedConv1d(QuantizedLayer, nn.Conv1d):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self._conv_forward(x, self.quantized_weight(), self.bias)
        return y


class QuantizedConv2d(QuantizedLayer, nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self._conv_forward(x, self.quantized_weight(), self.bias)
        return y


class QuantizedConvTranspose2d(QuantizedLayer, nn.ConvTranspose2d):
    channel_axis = 1

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        own: Any = self  # torch's annotations know only some of the types that it takes
        sizes = own.stride, own.padding, own.kernel_size
        added = own._output_padding(x, output_size, *sizes, 2, own.dilation)
        return nn.functional.conv_transpose2d(
            x,
            self.quantized_weight(),
            self.bias,
            own.stride,
            own.padding,
            added,
            self.groups,
            self.dilation,
        )


class QuantizedLinear(QuantizedLayer, nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.quantized_weight(), self.bias)


QUANTIZED: dict[type[nn.Module], type[QuantizedLayer]] = {
    nn.Conv1d: QuantizedConv1d,
    nn.Conv2d: QuantizedConv2d,
    nn.ConvTranspose2d: QuantizedConvTranspose2d,
    nn.Linear: QuantizedLinear,
}


def refusal(layer: nn.Module) -> str:
    """Why `layer` has no quantized form; "" if it has one."""
    if type(layer) not in QUANTIZED:
        return f"no quantized form of {type(layer).__name__}"
    if isinstance(layer, nn.ConvTranspose2d) and layer.groups > 1:
        # Its weight is (inputs, outputs / groups, ...): the second axis counts the outputs of one
        # group and the first counts inputs, so no axis of it has one entry per output channel.
        return f"in {layer.groups} groups no axis of its weight counts its output channels"
    return ""


def quantized(layer: nn.Module, bits: int) -> QuantizedLayer:
    """`layer` itself, changed to its quantized form with `bits`-bit weights."""
    # The class alone changes: parameters, hooks and the names in the state dict stay as they are.
    layer.__class__ = QUANTIZED[type(layer)]
    assert isinstance(layer, QuantizedLayer)
    layer.bits, layer.enabled = bits, True
    return layer


def weight_scales(weight: Tensor, bits: int = 8, *, axis: int = 0) -> Tensor:
    """One step per output channel (entry of `axis`): its largest magnitude gets the last code."""
    largest_each = weight.transpose(0, axis).flatten(1).abs().amax(dim=1)
    steps: Tensor = largest_each.clamp(min=TINY) / (2 ** (bits - 1) - 1)
    return steps


def largest(x: Tensor, *, signed: bool) -> Tensor:
    """The largest magnitude in `x`, or the largest value where none is negative."""
    lowest, highest = torch.aminmax(flat(x))
    return torch.maximum(-lowest, highest) if signed else highest
