"""Sensitivity: what the 8 bits of each layer alone cost, and which had better stay float."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from .calibration import rounding
from .kinds import kinds_of
from .modes import in_eval_mode
from .placement import origin
from .quantized_layers import FakeQuantize, QuantizedLayer

CHANGED = 0.01
"""Share of images whose class may change before `float_layers` keeps a layer in float."""
NEGLIGIBLE = 1e-6
"""Divergence, in nats, below which a layer is not the reason: an untrained network's classes change
by the last digit of its logits.
"""
KEPT = 0.1
"""Share of the layers that `float_layers` keeps at most (but may keep one if there are two)."""


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """What a layer costs when it alone computes in 8 bits: its weights and its input rounded."""

    layer: str
    """Path of the module."""
    divergence: float
    """Mean of KL(float || this) over the images, in nats."""
    changed: float
    """Share of the images whose class changes."""


def layer_costs(prepared: fx.GraphModule, batches: Iterable[Tensor]) -> tuple[LayerCost, ...]:
    """The cost of every quantized layer of a calibrated network, dearest first.

    Each batch is (B, C, H, W); the network sees all of them once per layer.
    """
    images = list(batches)
    inputs = _input_points(prepared)
    with in_eval_mode(prepared), rounding(prepared, on=False):
        wanted = _logits(prepared, images)
        costs = []
        for layer, point in inputs.items():
            with _alone(prepared, layer, point):
                costs.append(_cost(layer, wanted, _logits(prepared, images)))
    return tuple(sorted(costs, key=lambda cost: (-cost.divergence, cost.layer)))


def float_layers(
    costs: Sequence[LayerCost],
    batches: Iterable[Tensor],
    quantized: Callable[[tuple[str, ...]], fx.GraphModule],
) -> tuple[str, ...]:
    """The layers that stay float: the dearest of `costs`, as few as it takes.

    quantized(layers) gives the calibrated network in which these layers are float. One more is kept
    until at most 1 % of the images change their class against the float network, or the next layer
    costs nothing worth naming by itself, or a tenth of the layers is kept.
    """
    images = list(batches)
    kept: tuple[str, ...] = ()
    most = min(max(1, int(KEPT * len(costs))), len(costs) - 1)  # one at least is in 8 bits
    for cost in costs[: max(most, 0)]:
        if cost.divergence < NEGLIGIBLE or whole_cost(quantized(kept), images).changed <= CHANGED:
            break
        kept = (*kept, cost.layer)
    return kept


def whole_cost(prepared: fx.GraphModule, batches: Iterable[Tensor]) -> LayerCost:
    """What the whole network's 8 bits cost against itself in float."""
    images = list(batches)
    with in_eval_mode(prepared):
        found = _logits(prepared, images)
        with rounding(prepared, on=False):
            wanted = _logits(prepared, images)
    return _cost("", wanted, found)


def _cost(layer: str, wanted: Tensor, found: Tensor) -> LayerCost:
    log_wanted, log_found = F.log_softmax(wanted, dim=1), F.log_softmax(found, dim=1)
    divergence = F.kl_div(log_found, log_wanted, reduction="batchmean", log_target=True)
    changed = (wanted.argmax(dim=1) != found.argmax(dim=1)).double().mean()
    return LayerCost(layer=layer, divergence=float(divergence), changed=float(changed))


@torch.no_grad()
def _logits(network: nn.Module, images: Sequence[Tensor]) -> Tensor:
    return torch.cat([network(each).double() for each in images])


def _input_points(prepared: fx.GraphModule) -> dict[str, FakeQuantize | None]:
    """Path of each quantized layer -> the point that rounds its input."""
    modules, kind = dict(prepared.named_modules()), kinds_of(prepared)
    found: dict[str, FakeQuantize | None] = {}
    for node in prepared.graph.nodes:
        if node.op == "call_module" and isinstance(modules[str(node.target)], QuantizedLayer):
            before = origin(node.all_input_nodes[0], kind)
            point = modules.get(str(before.target)) if before.op == "call_module" else None
            found[str(node.target)] = point if isinstance(point, FakeQuantize) else None
    return found


@contextmanager
def _alone(prepared: nn.Module, path: str, point: FakeQuantize | None) -> Iterator[None]:
    """Within the block one layer and its input are rounded, of a network in which nothing is."""
    layer = prepared.get_submodule(path)
    assert isinstance(layer, QuantizedLayer)
    switched = [module for module in (layer, point) if module is not None]
    for module in switched:
        module.enabled = True
    try:
        yield
    finally:
        for module in switched:
            module.enabled = False
