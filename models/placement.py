"""Placement: which values of a traced network are quantized, for all runtimes at once.

The points are a superset. ONNX Runtime runs an operation in INT8 only between quantized inputs and
a quantized output; TensorRT wants the inputs of convolutions and the identity branch of a residual
addition, nothing else. A value that only passes through (max-pooling, flatten, dropout) has the
point of its origin, and an activation that integer kernels absorb (ReLU) belongs to the operation
before it, so no point ever lies between the two.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)

# kind -> what an fx node of that kind calls: module types, functions, tensor methods
KINDS: dict[str, tuple[tuple[type, ...], tuple[Callable[..., Any], ...], tuple[str, ...]]] = {
    "layer": (LAYERS, (), ()),
    "relu": (
        (nn.ReLU, nn.ReLU6),
        (F.relu, F.relu6, F.relu_, torch.relu, torch.relu_),
        ("relu", "relu_"),
    ),
    "add": ((), (operator.add, operator.iadd, torch.add), ("add", "add_")),
    "mul": ((), (operator.mul, operator.imul, torch.mul), ("mul", "mul_")),
    "concat": ((), (torch.cat, torch.concat, torch.concatenate), ()),
    "average": (
        (nn.AvgPool2d, nn.AdaptiveAvgPool2d),
        (F.avg_pool2d, F.adaptive_avg_pool2d, torch.mean),
        ("mean",),
    ),
    "passing": (
        (nn.MaxPool2d, nn.Flatten, nn.Dropout, nn.Dropout2d, nn.Identity),
        (F.max_pool2d, torch.max_pool2d, torch.flatten, torch.squeeze, torch.reshape, F.dropout),
        ("flatten", "view", "reshape", "squeeze", "contiguous", "permute", "transpose"),
    ),
    "positive": (
        (nn.Sigmoid, nn.Hardsigmoid, nn.Softmax),
        (torch.sigmoid, F.sigmoid, F.hardsigmoid, F.softmax, torch.softmax, torch.abs),
        ("sigmoid", "softmax", "abs"),
    ),
}
INTEGER_KINDS = ("layer", "add", "mul", "concat", "average")


@dataclass(frozen=True, kw_only=True)
class Point:
    """One quantization point: the output of `node`, read by all its users through the point."""

    name: str
    """Stable and readable: the module path with dots as underscores, a count where it repeats."""
    node: fx.Node
    signed: bool
    """False where the value cannot be negative (after ReLU and what keeps that)."""
    tensorrt: bool
    """Whether TensorRT wants it; ONNX Runtime wants all of them."""


def find_points(traced: fx.GraphModule) -> tuple[Point, ...]:
    """The quantization points of a traced, folded network, in the order of computation."""
    kind = kinds_of(traced)
    results = _results(traced.graph, kind)
    wanted: set[fx.Node] = set()
    tensorrt: set[fx.Node] = set()
    for node in traced.graph.nodes:
        if kind(node) not in INTEGER_KINDS:
            continue
        inputs = [origin(value, kind) for value in tensor_inputs(node)]
        wanted.update(inputs)
        if kind(node) == "layer":
            tensorrt.update(inputs)
        elif kind(node) == "add":
            tensorrt.update(_identity_branches(inputs, kind))
        if (output := absorbed(node, kind)) not in results:
            wanted.add(output)
    names = _names(traced.graph)
    return tuple(
        Point(
            name=names[node],
            node=node,
            signed=not _positive(node, kind),
            tensorrt=node in tensorrt,
        )
        for node in traced.graph.nodes
        if node in wanted
    )


def kinds_of(traced: fx.GraphModule) -> Callable[[fx.Node], str]:
    """A function from a node to its kind in `KINDS`, "input" or "other"."""
    modules = dict(traced.named_modules())

    @cache
    def kind(node: fx.Node) -> str:
        if node.op == "placeholder":
            return "input"
        for name, (types, functions, methods) in KINDS.items():
            if (
                (node.op == "call_module" and isinstance(modules[str(node.target)], types))
                or (node.op == "call_function" and node.target in functions)
                or (node.op == "call_method" and node.target in methods)
            ):
                # `x * 2` and `n * 4` with n a size are not operations on two tensors.
                two = name not in ("add", "mul") or len(tensor_inputs(node)) == 2
                return name if two else "other"
        return "other"

    return kind


def tensor_inputs(node: fx.Node) -> list[fx.Node]:
    """The tensors that `node` reads (sizes and shapes left out)."""
    read = [node.args[0]] if node.op == "call_module" else [*node.args, *node.kwargs.values()]
    flat: list[Any] = []
    for value in read:
        flat.extend(value) if isinstance(value, (list, tuple)) else flat.append(value)
    return [value for value in flat if isinstance(value, fx.Node) and not _is_size(value)]


def origin(node: fx.Node, kind: Callable[[fx.Node], str]) -> fx.Node:
    """The value that reaches `node` through operations which only move or select its numbers."""
    while kind(node) == "passing":
        node = tensor_inputs(node)[0]
    return node


def absorbed(node: fx.Node, kind: Callable[[fx.Node], str]) -> fx.Node:
    """`node`, or the ReLU that alone reads it and is computed with it."""
    users = list(node.users)
    return users[0] if len(users) == 1 and kind(users[0]) == "relu" else node


def _identity_branches(inputs: list[fx.Node], kind: Callable[[fx.Node], str]) -> list[fx.Node]:
    """The inputs of an addition that TensorRT quantizes: all but the convolution it merges it with.

    Of two convolutions that only the addition reads (a projected shortcut) the later one is merged.
    """
    merged = [node for node in inputs if kind(node) == "layer" and len(node.users) == 1]
    if not merged:
        return inputs
    main = max(merged, key=_depth)
    return [node for node in inputs if node is not main]


def _depth(node: fx.Node) -> int:
    """Operations on the longest way from the network's input to `node`."""
    depths: dict[fx.Node, int] = {}
    for other in node.graph.nodes:
        depths[other] = 1 + max((depths[value] for value in other.all_input_nodes), default=0)
        if other is node:
            break
    return depths[node]


def _results(graph: fx.Graph, kind: Callable[[fx.Node], str]) -> set[fx.Node]:
    """Values that leave the network (through passing operations too): they stay float."""
    output = next(node for node in graph.nodes if node.op == "output")
    results = set()
    for value in output.all_input_nodes:
        results |= {value, origin(value, kind)}
    return results


def _positive(node: fx.Node, kind: Callable[[fx.Node], str]) -> bool:
    match kind(node):
        case "relu" | "positive":
            return True
        case "add" | "mul" | "concat" | "average" | "passing":
            return all(_positive(value, kind) for value in tensor_inputs(node))
        case _:
            return False


def _is_size(node: fx.Node) -> bool:
    if node.op == "call_method":
        return node.target in ("size", "dim", "numel")
    if node.op == "call_function" and node.target is getattr:
        return node.args[1] in ("shape", "ndim")
    # Arithmetic and indexing of sizes give sizes.
    plain = node.op == "call_function" and getattr(node.target, "__module__", "") == "_operator"
    inputs = node.all_input_nodes
    return plain and bool(inputs) and all(_is_size(value) for value in inputs)


def _names(graph: fx.Graph) -> dict[fx.Node, str]:
    taken: dict[str, int] = {}
    return {node: _unique(_readable(node), taken) for node in graph.nodes}


def _readable(node: fx.Node) -> str:
    if node.op == "placeholder":
        return "images"
    if node.op == "call_module":
        return str(node.target).replace(".", "_")
    word = node.target if isinstance(node.target, str) else node.target.__name__
    *_, inside = ("", *(path for path, _ in node.meta.get("nn_module_stack", {}).values()))
    return "_".join(filter(None, (inside.replace(".", "_"), word)))


def _unique(name: str, taken: dict[str, int]) -> str:
    count = taken[name] = taken.get(name, -1) + 1
    return name if count == 0 else _unique(f"{name}_{count}", taken)
