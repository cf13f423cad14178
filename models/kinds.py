"""Kinds: what the nodes of a traced network are to the integer kernels of the runtimes."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Collection
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from .activations import Product
from .errors import BadInput
from .quantized_layers import refusal
from .same_padding import SamePad2d

# kind -> what an fx node of that kind calls: module types, functions, tensor methods
KINDS: dict[str, tuple[tuple[type, ...], tuple[Callable[..., Any], ...], tuple[str, ...]]] = {
    "relu": (
        (nn.ReLU, nn.ReLU6),
        (F.relu, F.relu6, F.relu_, torch.relu, torch.relu_),
        ("relu", "relu_"),
    ),
    "leaky relu": ((nn.LeakyReLU,), (F.leaky_relu, F.leaky_relu_), ()),
    "gate": (
        (nn.Sigmoid, nn.Hardsigmoid),
        (torch.sigmoid, torch.sigmoid_, F.sigmoid, F.hardsigmoid),
        ("sigmoid", "sigmoid_"),
    ),
    "add": ((), (operator.add, operator.iadd, torch.add), ("add", "add_")),
    "mul": ((Product,), (operator.mul, operator.imul, torch.mul), ("mul", "mul_")),
    "concat": ((), (torch.cat, torch.concat, torch.concatenate), ()),
    "average": (
        (nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d),
        (F.avg_pool1d, F.avg_pool2d, F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, torch.mean),
        ("mean",),
    ),
    "passing": (
        (
            nn.MaxPool1d,
            nn.MaxPool2d,
            nn.Flatten,
            nn.Unflatten,
            nn.Dropout,
            nn.Dropout2d,
            nn.Identity,
        ),
        (
            F.max_pool1d,
            F.max_pool2d,
            torch.max_pool1d,
            torch.max_pool2d,
            torch.flatten,
            torch.squeeze,
            torch.unsqueeze,
            torch.reshape,
            torch.permute,
            torch.transpose,
            F.dropout,
        ),
        (
            "flatten",
            "view",
            "reshape",
            "squeeze",
            "unsqueeze",
            "contiguous",
            "permute",
            "transpose",
        ),
    ),
    "positive": ((nn.Softmax,), (F.softmax, torch.softmax, torch.abs), ("softmax", "abs")),
}
INTEGER_KINDS = ("layer", "leaky relu", "gate", "add", "mul", "concat", "average")
PIECES = (torch.chunk, torch.split, torch.unbind, torch.tensor_split, "chunk", "split", "unbind")


def layers_of(traced: fx.GraphModule) -> tuple[str, ...]:
    """Paths of the layers that can be quantized, in the order of their first call."""
    modules = dict(traced.named_modules())
    called = [str(node.target) for node in traced.graph.nodes if node.op == "call_module"]
    return tuple(dict.fromkeys(path for path in called if not refusal(modules[path])))


def kinds_of(traced: fx.GraphModule, keep_float: Collection[str] = ()) -> Callable[[fx.Node], str]:
    """A function from a node to its kind: one of `KINDS`, "layer", "input" or "other".

    Raises `BadInput` if `keep_float` names what is no layer.
    """
    modules = dict(traced.named_modules())
    layers = layers_of(traced)
    for path in keep_float:
        if path not in layers:
            near = difflib.get_close_matches(path, layers, n=3) or layers[:3]
            raise BadInput(
                f"{path!r} is not a layer that can be quantized; near it: {', '.join(near)}"
            )

    @cache
    def kind(node: fx.Node) -> str:
        module = modules[str(node.target)] if node.op == "call_module" else None
        if node.op == "placeholder":
            return "input"
        if node.target in layers and module is not None:
            return "other" if node.target in keep_float else "layer"
        if _moves_only(node, module):
            return "passing"
        for name, (types, functions, methods) in KINDS.items():
            if (
                (module is not None and isinstance(module, types))
                or (node.op == "call_function" and node.target in functions)
                or (node.op == "call_method" and node.target in methods)
            ):
                # `x * 2`, `x * weight` and `n * 4` with n a size: no operations on two activations.
                computed = [value for value in tensor_inputs(node) if value.op != "get_attr"]
                # `x - 3 y` is an addition with a factor: it may be negative, and no kernel has one.
                two = name not in ("add", "mul") or (
                    len(computed) == 2 and node.kwargs.get("alpha", 1) == 1
                )
                return name if two else "other"
        return "other"

    return kind


def _moves_only(node: fx.Node, module: nn.Module | None) -> bool:
    """Whether the node moves or selects numbers by its settings, beside the kind "passing"."""
    if node.target in PIECES or (node.target is operator.getitem and not _is_size(node)):
        # One of several pieces, or a slice: a tuple of other things is no value to round.
        taken = node.args[1] if node.target is operator.getitem else ()
        whole = node.all_input_nodes[0]
        return isinstance(taken, tuple) or whole.target in PIECES
    if isinstance(module, nn.Upsample):
        return bool(module.mode == "nearest")
    if node.target is F.interpolate:
        return len(node.args) < 4 and bool(node.kwargs.get("mode", "nearest") == "nearest")
    return isinstance(module, (SamePad2d, nn.ZeroPad2d))  # zero is a number of every grid


def tensor_inputs(node: fx.Node) -> list[fx.Node]:
    """The tensors that `node` reads (sizes and shapes left out)."""
    flat: list[Any] = []
    for value in (*node.args, *node.kwargs.values()):
        flat.extend(value) if isinstance(value, (list, tuple)) else flat.append(value)
    return [value for value in flat if isinstance(value, fx.Node) and not _is_size(value)]


def _is_size(node: fx.Node) -> bool:
    if node.op == "call_method":
        return node.target in ("size", "dim", "numel")
    if node.op == "call_function" and node.target is getattr:
        return node.args[1] in ("shape", "ndim")
    # Arithmetic and indexing of sizes give sizes.
    plain = node.op == "call_function" and getattr(node.target, "__module__", "") == "_operator"
    inputs = node.all_input_nodes
    return plain and bool(inputs) and all(_is_size(value) for value in inputs)
