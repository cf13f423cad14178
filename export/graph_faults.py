"""What is wrong with the wiring of an ONNX file: names, origins, order, cycles, recursion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .function_faults import function_faults
from .model_parts import called, graphs_of, parts, shown

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, ModelProto, NodeProto

MOST_DEPTH = 8
"""Graphs within graphs; exporters nest an If in a Loop in an If."""


def graph_faults(proto: ModelProto) -> Iterator[str]:
    """One sentence for each fault; bounded by the size of the file."""
    deepest = max(part.depth for part in parts(proto))
    if deepest > MOST_DEPTH:
        yield f"graphs lie {deepest} deep in one another; expected at most {MOST_DEPTH}"
        return
    for body, seen in _scopes(proto):
        yield from _faults(body, seen)
    yield from function_faults(proto)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What an inner graph sees of the one around it: the values before its node."""

    made_at: dict[str, int]
    """Name -> the node that makes it; -1 for what is given."""
    node: int
    outer: Scope | None

    def sees(self, name: str) -> bool:
        scope: Scope | None = self
        while scope is not None:
            if scope.made_at.get(name, scope.node) < scope.node:
                return True
            scope = scope.outer
        return False


def _scopes(proto: ModelProto) -> Iterator[tuple[GraphProto | FunctionProto, Scope | None]]:
    """Every graph and function, with what it sees of the graphs around it."""
    stack: list[tuple[GraphProto | FunctionProto, Scope | None]] = [(proto.graph, None)]
    stack += [(function, None) for function in proto.functions]
    while stack:
        body, outer = stack.pop()
        yield body, outer
        made_at = {name: at for at, node in enumerate(body.node) for name in node.output if name}
        made_at |= dict.fromkeys(_given(body), -1)
        for at, node in enumerate(body.node):
            for attribute in node.attribute:
                for inner in graphs_of(attribute):
                    stack.append((inner, Scope(made_at=made_at, node=at, outer=outer)))


def _faults(body: GraphProto | FunctionProto, outer: Scope | None) -> Iterator[str]:
    given = _given(body)
    made = [name for node in body.node for name in node.output if name]
    if not all(given) or not all(_outputs(body)):
        yield "an input, an output or an initializer has no name"
    for node in body.node:
        if not node.op_type:
            yield f"node {shown(node.name)} names no operator"
    yield from (f"the value {shown(n)} is made twice" for n in _twice([*given, *made]))
    yield from (f"two nodes have the name {shown(n)}" for n in _twice(x.name for x in body.node))
    yield from (f"the output {shown(n)} is listed twice" for n in _twice(_outputs(body)))
    hidden = (name for name in made if outer is not None and outer.sees(name))
    yield from (f"the value {shown(name)} hides one of the graph around it" for name in hidden)
    known = {"", *given}
    everything = known.union(made)
    late = False
    for node in body.node:
        for name in node.input:
            if name not in everything and not (outer and outer.sees(name)):
                yield f"{shown(called(node))} reads {shown(name)}, which nothing makes"
            elif name in everything and name not in known:
                late = True
        known.update(node.output)
    yield from (
        f"the output {shown(name)} is made by nothing"
        for name in _outputs(body)
        if name not in everything and not (outer and outer.sees(name))
    )
    if late:
        yield _out_of_order(list(body.node), everything)


def _out_of_order(nodes: list[NodeProto], everything: set[str]) -> str:
    """A cycle by one of its nodes, or that the order alone is wrong (Kahn's algorithm)."""
    makers = {name: number for number, node in enumerate(nodes) for name in node.output if name}
    waits = [0] * len(nodes)
    readers: list[list[int]] = [[] for _ in nodes]
    for number, node in enumerate(nodes):
        for maker in {makers[name] for name in node.input if name in makers}:
            waits[number] += 1
            readers[maker].append(number)
    ready = [number for number, count in enumerate(waits) if not count]
    while ready:
        for reader in readers[ready.pop()]:
            waits[reader] -= 1
            if not waits[reader]:
                ready.append(reader)
    stuck = [nodes[number] for number, count in enumerate(waits) if count]
    if stuck:
        return f"a cycle: {shown(called(stuck[0]))} waits for what comes of it"
    return "nodes stand before those whose values they read"


def _given(body: GraphProto | FunctionProto) -> list[str]:
    """Names that are there before any node: inputs, and initializers that are no inputs."""
    from onnx import FunctionProto

    if isinstance(body, FunctionProto):
        return list(body.input)
    inputs = [value.name for value in body.input]
    # An initializer of an input's name is its default.
    constants = [tensor.name for tensor in body.initializer]
    constants += [sparse.values.name for sparse in body.sparse_initializer]
    taken = set(inputs)
    again = [name for name in _twice(constants) if name in taken]
    return inputs + [name for name in constants if name not in taken] + again


def _outputs(body: GraphProto | FunctionProto) -> list[str]:
    from onnx import FunctionProto

    if isinstance(body, FunctionProto):
        return list(body.output)
    return [value.name for value in body.output]


def _twice(names: Iterable[str]) -> Iterator[str]:
    return (name for name, count in Counter(names).items() if count > 1 and name)
