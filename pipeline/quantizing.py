"""From a folded float network to a calibrated one in 8 bits, as the recipe or a command asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from .events import emit

if TYPE_CHECKING:
    from torch import Tensor, fx

    from ..models.calibration import Method
    from ..models.sensitivity import LayerCost

SENSITIVITY_BATCHES = 2
"""Batches over which a layer's cost is a mean: the network runs on them once per layer."""


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """A fake-quantized network with its ranges, and how it came to them."""

    network: fx.GraphModule
    keep_float: tuple[str, ...]
    """The layers that stay float."""
    costs: tuple[LayerCost, ...]
    """What each layer's 8 bits cost, dearest first; empty where that was not asked."""

    def told(self) -> dict[str, Any]:
        """As JSON: {"keep_float": [...], "costs": [{"layer", ..., "kept_float"}]}."""
        costs = [
            {**asdict(cost), "kept_float": cost.layer in self.keep_float} for cost in self.costs
        ]
        return {"keep_float": list(self.keep_float), "costs": costs}


def calibrated(
    folded: fx.GraphModule,
    images: Iterable[Tensor],
    *,
    method: Method,
    percentile: float,
    keep_float: Literal["auto"] | Sequence[str],
) -> Calibrated:
    """`folded` in 8 bits, but for the layers of `keep_float`, which "auto" leaves to be found.

    `images` are batches (B, C, H, W), iterable as often as one likes. Raises BadInput where
    `keep_float` names no layer of the network.
    """
    from ..models.fake_quant import calibrate, prepare
    from ..models.sensitivity import float_layers, layer_costs

    def in_8_bits(kept: Sequence[str]) -> fx.GraphModule:
        prepared = prepare(folded, keep_float=kept)
        calibrate(prepared, images, method=method, percentile=percentile)
        return prepared

    if keep_float != "auto":
        return Calibrated(network=in_8_bits(keep_float), keep_float=tuple(keep_float), costs=())
    whole = in_8_bits(())
    few = list(islice(images, SENSITIVITY_BATCHES))
    costs = layer_costs(whole, few)
    kept = float_layers(costs, few, in_8_bits)
    if kept:
        emit("note", text=f"stay float, since 8 bits cost them most: {', '.join(kept)}")
        whole = in_8_bits(kept)
    return Calibrated(network=whole, keep_float=kept, costs=costs)
