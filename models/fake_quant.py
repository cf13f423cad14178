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
from collections.abc import Collection, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from .activations import split_activations
from .calibration import calibrate
from .errors import BadInput
from .fold import annotate, insert_after
from .kinds import layers_of
from .placement import find_points
from .quantized_layers import GRIDS, FakeQuantize, Grid, QuantizedLayer, quantized, refusal

__all__ = ["calibrate", "hold_ranges", "points_of", "prepare", "report", "set_grid"]

WEIGHTED = (F.conv1d, F.conv2d, F.conv3d, F.conv_transpose2d, F.linear)
PRODUCTS = (
    F.scaled_dot_product_attention,
    operator.matmul,
    torch.matmul,
    torch.bmm,
    torch.einsum,
    torch.baddbmm,
    "matmul",
    "bmm",
)
NORMS = (F.batch_norm, F.layer_norm, F.group_norm, F.instance_norm)


def prepare(
    folded: fx.GraphModule,
    *,
    bits: int = 8,
    momentum: float = 0.05,
    keep_float: Collection[str] = (),
) -> fx.GraphModule:
    """A copy of `folded` (see `fold_batch_norm`) with fake quantization; not calibrated yet.

    `bits` (2 to 8) is the width of the weights' codes; activations always have 8. `momentum` is the
    share of each training batch in the moving ranges. `keep_float` names layers by path that stay
    as they are: their input is rounded only where another operation wants that.

    Raises `BadInput` if a path in `keep_float` is no layer, or `bits` are too few or too many.
    """
    if not 2 <= bits <= 8:
        raise BadInput(f"{bits}-bit weights were asked for; 2 to 8 bits can be stored as int8")
    prepared = copy.deepcopy(folded)
    split_activations(prepared)
    taken = {name for name, _ in prepared.named_modules()}
    for point in find_points(prepared, keep_float):
        name = "point_" + point.name
        if name in taken:
            raise BadInput(f"the network has a module named {name!r} already; rename it")
        fake = FakeQuantize(
            point.name, signed=point.signed, tensorrt=point.tensorrt, momentum=momentum
        )
        insert_after(prepared, point.node, name, fake)
    for path in layers_of(prepared):
        if path not in keep_float:
            prepared.set_submodule(path, quantized(prepared.get_submodule(path), bits))
    prepared.graph.lint()
    prepared.recompile()
    asked = dict.fromkeys(keep_float, "asked for by keep_float")
    annotate(prepared, kept_float=getattr(folded, "kept_float", {}) | asked)
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
    """{"quantized": number of layers, "float": what is not, "untraced": the part of it by path}.

    "float" names, each as "path (type): reason", what has weights or multiplies activations and
    computes in float; "untraced" lists the paths of modules that torch.fx could not trace.
    """
    modules = dict(prepared.named_modules())
    reasons: dict[str, str] = getattr(prepared, "kept_float", {})
    layers, in_float = set(), {}
    for node in prepared.graph.nodes:
        path = str(node.target)
        if node.op == "call_function" or node.op == "call_method":
            if reason := _why_float(node):
                word = getattr(node.target, "__name__", path)
                in_float[node.name] = f"{node.name} ({word}): {reason}"
        elif node.op == "call_module" and isinstance(modules[path], QuantizedLayer):
            layers.add(path)
        elif node.op == "call_module" and (
            path in reasons or next(modules[path].parameters(), None) is not None
        ):
            reason = reasons.get(path) or refusal(modules[path])
            in_float[path] = f"{path} ({type(modules[path]).__name__}): {reason}"
    return {
        "quantized": len(layers),
        "float": list(in_float.values()),
        "untraced": list(getattr(prepared, "untraced", ())),
    }


def _why_float(node: fx.Node) -> str:
    """Why a function that computes as a layer does is none; "" for any other function."""
    if node.target in PRODUCTS:
        return "a product of activations"
    if node.target in WEIGHTED:
        return "its weight is computed in the forward"
    if node.target in NORMS:
        return "a normalization in the forward"
    # Marked by its author as one step of a graph (`torch.fx.wrap`): what it does is not seen.
    inside, *_ = str(getattr(node.target, "__module__", None)).split(".")
    wrapped = node.op == "call_function" and inside not in (
        "torch",
        "_operator",
        "builtins",
        "None",
    )
    weighted = any(value.op == "get_attr" for value in node.all_input_nodes)
    return "a function that is not traced reads weights" if wrapped and weighted else ""
