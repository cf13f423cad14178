"""How far two correct computations of a fake-quantized network can be apart, layer by layer.

A running error analysis (Wilkinson 1963; Higham, Accuracy and Stability, 2nd ed., chapter 3). With
u = 2^-24 and gamma(n) = n u / (1 - n u), a float32 sum of n products is off by at most
gamma(n) * sum |x w| in any order, with or without fused multiply-adds. A dequantized number step *
code has one rounding (u) on each side, so gamma(n + 2); the bias and the last scaling add two.

ONNX Runtime sums int8 products exactly and scales once, which is less. But its bias is a whole
number of steps x_step * w_step: half of one step of each output channel is added to the bound. Its
integer addition folds the zero points into one constant, so its roundings are relative to all 256
codes of each input and not to the value.

A code is the value over its step, rounded and clipped. A computation whose value is within `error`
of the exact one gives a code within 1/2 + error / step of the exact quotient; so two such codes
differ by at most 1 where error / step < 1/4, and only where the exact quotient is within
error / step of a tie.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from edgestill.models.quantized_layers import FakeQuantize, QuantizedConv2d, QuantizedLinear

U = 2.0**-24


def gamma(n: int) -> float:
    return n * U / (1 - n * U)


@dataclass(frozen=True)
class Bounded:
    single: Tensor
    """What torch computes in float32."""
    exact: Tensor
    """The same in float64, whose own rounding is 2^-29 of float32's."""
    error: Tensor
    """How far a correct computation in float32 or integers may be from `exact`."""
    step: float = 0.0
    """The step of its codes, 0 where it has none."""


@dataclass(frozen=True)
class Seen:
    """A quantization point in both computations, from the same inputs."""

    quotient: Tensor
    """The exact value over the step, clipped to the codes' range."""
    torch_codes: Tensor
    runtime_codes: Tensor
    epsilon: Tensor
    """How far from a tie both codes are certain to be equal."""


class RoundingBounds(fx.Interpreter):
    """Runs the network with the runtime's codes put in at every point, and notes what it saw.

    `codes` maps a point to the runtime's codes minus their zero point. Its own grid is the model's.
    """

    def __init__(self, model: fx.GraphModule, codes: Mapping[str, Tensor]) -> None:
        super().__init__(model)
        self.codes, self.seen = codes, dict[str, Seen]()

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Bounded:
        x = super().placeholder(target, args, kwargs)
        return Bounded(single=x, exact=x.double(), error=torch.zeros_like(x).double())

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Bounded:
        module = self.fetch_attr(target)
        x: Bounded = args[0]
        if isinstance(module, FakeQuantize):
            return self._point(module, x)
        if isinstance(module, (QuantizedConv2d, QuantizedLinear)):
            return self._layer(module, x)
        if isinstance(module, nn.AdaptiveAvgPool2d):
            count = x.exact[0, 0].numel()
            rounding = gamma(count + 4) * module(x.exact.abs())
            return Bounded(module(x.single), module(x.exact), module(x.error) + rounding)
        assert isinstance(module, (nn.ReLU, nn.Flatten)), module
        # ReLU moves two numbers apart by no more than they were, nor does flattening.
        shaped = module(x.error) if isinstance(module, nn.Flatten) else x.error
        return replace(x, single=module(x.single), exact=module(x.exact), error=shaped)

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Bounded:
        assert target in (torch.add, torch.ops.aten.add) or target.__name__ == "add", target
        a, b = args
        sizes = (256 * each.step if each.step else each.exact.abs() for each in (a, b))
        error = a.error + b.error + gamma(8) * sum(sizes)
        return Bounded(a.single + b.single, a.exact + b.exact, error)

    def _point(self, point: FakeQuantize, x: Bounded) -> Bounded:
        if point.grid == "tensorrt" and not point.tensorrt:
            return x
        step = float(point.amax) / point.levels
        lowest = -128 if point.signed else 0
        codes = self.codes[point.point].reshape(x.single.shape)
        self.seen[point.point] = Seen(
            quotient=(x.exact / step).clamp(lowest, point.levels),
            torch_codes=(point(x.single).double() / step).round(),
            runtime_codes=codes,
            # Division, rounding and the zero point: a few roundings of numbers up to 256.
            epsilon=x.error / step + 8 * U * 256,
        )
        exact = codes * step
        return Bounded(exact.float(), exact, torch.zeros_like(exact), step)

    def _layer(self, layer: QuantizedConv2d | QuantizedLinear, x: Bounded) -> Bounded:
        assert layer.bias is not None
        weight, bias = layer.quantized_weight().detach().double(), layer.bias.detach().double()
        products = weight[0].numel()
        exact = _like(layer, weight, bias)(x.exact)
        sizes = _like(layer, weight.abs(), bias.abs())(x.exact.abs())
        moved = _like(layer, weight.abs(), torch.zeros_like(bias))(x.error)
        steps = layer.weight.detach().double().flatten(1).abs().amax(1) / 127
        half = 0.5 * x.step * steps.reshape(-1, *[1] * (exact.dim() - 2))
        return Bounded(layer(x.single), exact, moved + gamma(products + 4) * sizes + half)


def _like(
    layer: QuantizedConv2d | QuantizedLinear, weight: Tensor, bias: Tensor
) -> QuantizedConv2d | QuantizedLinear:
    """The layer's float form in float64 with other parameters."""
    other = copy.deepcopy(layer).double()
    assert other.bias is not None
    other.enabled = False
    with torch.no_grad():
        other.weight.copy_(weight)
        other.bias.copy_(bias)
    return other
