"""Small helpers to read and edit an ONNX graph in place; every rewrite of this folder uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto

Proto = TypeVar("Proto", bound="ModelProto | NodeProto | TensorProto")


def copied(message: Proto) -> Proto:
    """An independent copy of a model, node or tensor."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def nested_nodes(*graphs: GraphProto | FunctionProto) -> Iterator[NodeProto]:
    """Every node, those inside If and Loop too."""
    for graph in graphs:
        for node in graph.node:
            yield node
            yield from inner_nodes(node)


def inner_nodes(node: NodeProto) -> Iterator[NodeProto]:
    """The nodes of the graphs that `node` holds, at any depth."""
    waiting = [node]
    while waiting:
        for item in waiting.pop().attribute:
            for graph in (*item.graphs, *([item.g] if item.HasField("g") else [])):
                yield from graph.node
                waiting += graph.node


def producers(graph: GraphProto) -> dict[str, NodeProto]:
    """Value name -> the node that computes it."""
    return {name: node for node in graph.node for name in node.output if name}


def readers(graph: GraphProto) -> dict[str, list[NodeProto]]:
    """Value name -> the nodes that read it, in the order of computation."""
    found: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in dict.fromkeys(node.input):
            found.setdefault(name, []).append(node)
    return found


def constants(graph: GraphProto) -> dict[str, TensorProto]:
    """Name -> initializer."""
    return {tensor.name: tensor for tensor in graph.initializer}


def held(graph: GraphProto) -> dict[str, TensorProto]:
    """Name -> tensor: of initializers, of Constant nodes, and of what Identity passes on, as
    exporters write a tensor that several layers share."""
    found = constants(graph)
    for node in graph.node:
        if node.op_type == "Constant":
            tensors = [
                each.t for each in node.attribute if each.name == "value" and each.HasField("t")
            ]
            found |= dict(zip(node.output, tensors, strict=False))
        elif node.op_type == "Identity" and node.output and found.keys() & node.input[:1]:
            found[node.output[0]] = found[node.input[0]]
    return found


def outputs(graph: GraphProto) -> set[str]:
    """The names of the graph's outputs."""
    return {value.name for value in graph.output}


def attribute(node: NodeProto, name: str, default: int) -> int:
    """An integer attribute of `node`."""
    return next((int(item.i) for item in node.attribute if item.name == name), default)


def reread(nodes: Iterable[NodeProto], old: str, new: str) -> None:
    """Makes `nodes` read `new` where they read `old`."""
    for node in nodes:
        for position, name in enumerate(node.input):
            if name == old:
                node.input[position] = new


def set_nodes(graph: GraphProto, nodes: Iterable[NodeProto]) -> None:
    """Replaces the graph's nodes; they must be in the order of computation."""
    copies = [copied(node) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def drop_unused_constants(graph: GraphProto) -> None:
    """Removes initializers that no node reads."""
    used = {name for node in graph.node for name in node.input} | outputs(graph)
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    if len(kept) < len(graph.initializer):
        copies = [copied(tensor) for tensor in kept]
        del graph.initializer[:]
        graph.initializer.extend(copies)


def drop_unread_dequantizes(graph: GraphProto) -> None:
    """Removes DequantizeLinear nodes that nothing reads; ONNX Runtime would compute them."""
    used = {name for node in graph.node for name in node.input} | outputs(graph)
    set_nodes(
        graph, [n for n in graph.node if n.op_type != "DequantizeLinear" or n.output[0] in used]
    )


def unused_name(graph: GraphProto, wish: str) -> str:
    """`wish`, or `wish` with a count, such that no value or constant has that name."""
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {tensor.name for tensor in graph.initializer}
    name, count = wish, 0
    while name in taken:
        count += 1
        name = f"{wish}_{count}"
    return name
