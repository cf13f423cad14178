"""Functions of an ONNX file that call themselves, or that come to more nodes than can be run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .model_parts import graphs_of, shown

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, ModelProto, NodeProto

MOST_NODES = 1_000_000
"""Of all functions put in the places of their calls, as ONNX Runtime does. 20 functions that call
the next one twice come to as many."""
Key = tuple[str, str, str]


def function_faults(proto: ModelProto) -> Iterator[str]:
    """One sentence for each fault."""
    functions = {_key(function): function for function in proto.functions}
    counts = Counter(_key(function) for function in proto.functions)
    yield from (f"function {shown(key[1])} stands twice" for key, n in counts.items() if n > 1)
    calls = {key: _calls(function, functions) for key, function in functions.items()}
    order = _inner_first(calls)
    if isinstance(order, str):
        yield order
        return
    sizes: dict[Key, int] = {}
    for key in order:
        sizes[key] = _size(functions[key], calls[key], sizes)
    total = _size(proto.graph, _calls(proto.graph, functions), sizes)
    if total > MOST_NODES:
        yield f"the functions unfold to {total:.3g} nodes; expected at most {MOST_NODES:,}"


def _size(body: GraphProto | FunctionProto, calls: Counter[Key], sizes: dict[Key, int]) -> int:
    return sum(1 for _ in _nodes(body)) + sum(n * sizes[key] for key, n in calls.items())


def _calls(body: GraphProto | FunctionProto, functions: dict[Key, FunctionProto]) -> Counter[Key]:
    """Functions that a body calls, in its inner graphs too, and how often."""
    keys = ((node.domain, node.op_type, node.overload) for node in _nodes(body))
    return Counter(key for key in keys if key in functions)


def _inner_first(calls: dict[Key, Counter[Key]]) -> list[Key] | str:
    """Functions in an order in which those called come first, or which one calls itself."""
    order: list[Key] = []
    state: dict[Key, bool] = {}  # False: its calls are being looked at; True: done
    for first in calls:
        stack = [(first, iter(calls[first]))] if first not in state else []
        state.setdefault(first, False)
        while stack:
            key, inner = stack[-1]
            called = next(inner, None)
            if called is None:
                stack.pop()
                state[key] = True
                order.append(key)
            elif called not in state:
                state[called] = False
                stack.append((called, iter(calls[called])))
            elif not state[called]:
                return f"function {shown(called[1])} calls itself"
    return order


def _nodes(body: GraphProto | FunctionProto) -> Iterator[NodeProto]:
    stack: list[GraphProto | FunctionProto] = [body]
    while stack:
        for node in stack.pop().node:
            yield node
            for attribute in node.attribute:
                stack.extend(graphs_of(attribute))


def _key(function: FunctionProto) -> Key:
    return (function.domain, function.name, function.overload)
