"""Fake quantization: a folded network that computes with the numbers of an INT8 runtime and learns.

`prepare` puts a rounding point at every place that `placement` names and lets each convolution and
linear layer round its weights (per output channel, symmetric). Gradients pass straight through the
rounding (Jacob et al., Quantization and Training of Neural Networks, CVPR 2018, section 3).

    prepared = prepare(fold_batch_norm(student))
    calibrate(prepared, batches)                        # ranges from data, weights untouched
    prepared.train(); ...                               # fine-tune: ranges follow, weights adapt
    set_grid(prepared.eval(), "ort-x86")                # the numbers that this runtime will give

`train()` lets the ranges follow the data, `eval()` holds them. All that was learned lies in the
state dict: the float weights and one buffer `amax` per point.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from .calibration import calibrate
from .errors import BadInput
from .fold import feature_paths, insert_after, keep_blocks
from .placement import find_points
from .quantized_layers import GRIDS, QUANTIZED, FakeQuantize, Grid, QuantizedLayer, quantized

__all__ = ["calibrate", "hold_ranges", "points_of", "prepare", "report", "set_grid"]

PRODUCTS = (
    F.conv1d,
    F.conv2d,
    F.conv_transpose2d,
    F.linear,
    F.scaled_dot_product_attention,
    operator.matmul,
    torch.matmul,
    torch.bmm,
    torch.einsum,
)


def prepare(folded: fx.GraphModule, *, bits: int = 8, momentum: float = 0.05) -> fx.GraphModule:
    """A copy of `folded` (see `fold_batch_norm`) with fake quantization; not calibrated yet.

    `bits` (2 to 8) is the width of the weights' codes; activations always have 8. `momentum` is the
    share of each training batch in the moving ranges.
    """
    if not 2 <= bits <= 8:
        raise BadInput(f"{bits}-bit weights were asked for; 2 to 8 bits can be stored as int8")
    prepared = copy.deepcopy(folded)
    taken = {name for name, _ in prepared.named_modules()}
    for point in find_points(prepared):
        name = "point_" + point.name
        if name in taken:
            raise BadInput(f"the network has a module named {name!r} already; rename it")
        fake = FakeQuantize(
            point.name, signed=point.signed, tensorrt=point.tensorrt, momentum=momentum
        )
        insert_after(prepared, point.node, name, fake)
    for path, layer in list(prepared.named_modules()):
        if type(layer) in QUANTIZED:
            prepared.set_submodule(path, quantized(layer, bits))
    prepared.graph.lint()
    prepared.recompile()
    keep_blocks(prepared, feature_paths(folded))
    device = next((weight.device for weight in folded.parameters()), torch.device("cpu"))
    return prepared.eval().to(device)


def set_grid(prepared: nn.Module, grid: Grid) -> None:
    """Lets the network compute with the numbers of `grid`: "training" or a target of the export.

    "training" rounds at every point on the coarsest grid; a target rounds where that runtime does.
    """
    if grid not in GRIDS:
        raise BadInput(f"unknown grid {grid!r}; known: {', '.join(GRIDS)}")
    for point in points_of(prepared):
        point.grid = grid


def hold_ranges(prepared: nn.Module, *, hold: bool = True) -> None:
    """Keeps the ranges still in training too (for the last epochs), or lets them follow again."""
    for point in points_of(prepared):
        point.observing = not hold


def points_of(model: nn.Module) -> Iterator[FakeQuantize]:
    """The quantization points of `model`; none if it was not prepared."""
    return (module for module in model.modules() if isinstance(module, FakeQuantize))


def report(prepared: fx.GraphModule) -> dict[str, Any]:
    """{"quantized": number of layers, "float": names of what computes products and is not}."""
    modules = dict(prepared.named_modules())
    unquantized = []
    for node in prepared.graph.nodes:
        if node.op == "call_module":
            module = modules[str(node.target)]
            if (
                not isinstance(module, QuantizedLayer)
                and next(module.parameters(), None) is not None
            ):
                unquantized.append(f"{node.target} ({type(module).__name__})")
        elif node.op == "call_function" and node.target in PRODUCTS:
            unquantized.append(f"{node.name} ({getattr(node.target, '__name__', node.target)})")
    layers = sum(isinstance(module, QuantizedLayer) for module in modules.values())
    return {"quantized": layers, "float": unquantized}
