"""Ranges: what the fake-quantized network learned, as numbers that any exporter can read.

One `amax` per activation point and one scale per output channel of each weight. The grid that a
runtime makes of an `amax` (127 or 255 levels) is the exporter's choice, not part of the ranges.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import BadInput

if TYPE_CHECKING:
    from torch import nn

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ActivationRange:
    amax: float
    """The value takes [0, amax], or [-amax, amax] if signed. Never zero."""
    signed: bool


@dataclass(frozen=True, kw_only=True)
class WeightRange:
    scales: tuple[float, ...]
    """One step per slice along `axis`; the codes are the weights over it, rounded, within +-127."""
    axis: int = 0
    """Of the output channels: 1 for a transposed convolution, else 0."""


@dataclass(frozen=True, kw_only=True)
class Ranges:
    activations: dict[str, ActivationRange]
    """By the name of the quantization point."""
    weights: dict[str, WeightRange]
    """By the path of the module that holds the weight."""

    def to_json(self) -> str:
        """JSON text with the same bytes for the same ranges."""
        content = {
            "version": VERSION,
            "activations": {
                name: {"amax": range_.amax, "signed": range_.signed}
                for name, range_ in self.activations.items()
            },
            "weights": {
                path: {"scales": list(range_.scales), "axis": range_.axis}
                for path, range_ in self.weights.items()
            },
        }
        return json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Ranges:
        """The ranges in `text`; `BadInput` says what is wrong with it."""
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadInput(f"the ranges are not JSON: {error}; run quantize again") from error
        if not isinstance(content, dict) or content.get("version") != VERSION:
            found = content.get("version") if isinstance(content, dict) else type(content).__name__
            raise BadInput(f"ranges of version {found!r} found, version {VERSION} expected")
        try:
            return cls(
                activations={
                    name: ActivationRange(
                        amax=_positive(name, item["amax"]), signed=bool(item["signed"])
                    )
                    for name, item in content["activations"].items()
                },
                weights={
                    path: WeightRange(
                        scales=tuple(_positive(path, scale) for scale in item["scales"]),
                        axis=int(item["axis"]),
                    )
                    for path, item in content["weights"].items()
                },
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise BadInput(
                f"the ranges lack a field or have one of a wrong type ({error}); run quantize again"
            ) from error


def ranges_of(prepared: nn.Module) -> Ranges:
    """The ranges of a fake-quantized network; `BadInput` if a point has seen no data."""
    from .quantized_layers import TINY, FakeQuantize, QuantizedLayer, weight_scales

    activations, weights = {}, {}
    for path, module in prepared.named_modules():
        if isinstance(module, FakeQuantize):
            amax = float(module.amax)
            if not math.isfinite(amax):
                raise BadInput(
                    f"quantization point {module.point!r} has range {amax}: calibrate it first"
                )
            activations[module.point] = ActivationRange(amax=max(amax, TINY), signed=module.signed)
        elif isinstance(module, QuantizedLayer):
            axis = module.channel_axis
            scales = weight_scales(module.weight.detach(), module.bits, axis=axis)
            weights[path] = WeightRange(scales=tuple(scales.tolist()), axis=axis)
    if not activations:
        raise BadInput("the model has no quantization points: use fake_quant.prepare first")
    return Ranges(activations=activations, weights=weights)


def _positive(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise BadInput(f"the range of {name!r} is {value!r}; a positive number is expected")
    return float(value)
