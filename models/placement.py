"""Placement: which values of a traced network are quantized, for all runtimes at once.

The points are a superset. ONNX Runtime runs an operation in INT8 only between quantized inputs and
a quantized output; TensorRT wants the inputs of convolutions and the identity branch of a residual
addition, nothing else. A value that only passes through (max-pooling, flatten, dropout) has the
point of its origin, and an activation that integer kernels absorb (ReLU) belongs to the operation
before it, so no point ever lies between the two.

The parts of a concatenation keep ranges of their own: ONNX Runtime's integer Concat rescales each
to its output's, and a part read by a convolution too loses nothing that way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from torch import fx

from .kinds import INTEGER_KINDS, kinds_of, tensor_inputs


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


def find_points(traced: fx.GraphModule, keep_float: Collection[str] = ()) -> tuple[Point, ...]:
    """The quantization points of a traced, folded network, in the order of computation.

    `keep_float` names layers (see `layers_of`) that nothing is rounded for. What an integer
    operation hands to such a layer is rounded all the same: ONNX Runtime computes none in INT8 that
    has to give float numbers.
    """
    kind = kinds_of(traced, keep_float)
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
        case "relu" | "gate" | "positive":
            return True
        case "add" | "mul" | "concat" | "average" | "passing":
            return all(_positive(value, kind) for value in tensor_inputs(node))
        case _:
            return False


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
