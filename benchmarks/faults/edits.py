"""Small edits of an ONNX graph: nodes found, taken out and put between, arrays changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto


def nodes(model: ModelProto, *kinds: str) -> list[NodeProto]:
    """The nodes of these kinds, in order; all without one."""
    return [node for node in model.graph.node if not kinds or node.op_type in kinds]


def producer(graph: GraphProto, name: str) -> NodeProto:
    made: NodeProto = next(node for node in graph.node if name in node.output)
    return made


def consumers(graph: GraphProto, name: str) -> list[NodeProto]:
    return [node for node in graph.node if name in node.input]


def array(graph: GraphProto, name: str) -> NDArray[Any]:
    """The values of an initializer or a Constant node."""
    for tensor in graph.initializer:
        if tensor.name == name:
            return numpy_helper.to_array(tensor)
    (value,) = (a for a in producer(graph, name).attribute if a.name == "value")
    return numpy_helper.to_array(value.t)


def is_constant(graph: GraphProto, name: str) -> bool:
    named = any(tensor.name == name for tensor in graph.initializer)
    return named or any(name in node.output and node.op_type == "Constant" for node in graph.node)


def put(graph: GraphProto, name: str, values: NDArray[Any]) -> None:
    """Gives a constant other values, or makes one."""
    tensor = numpy_helper.from_array(values, name)
    for old in graph.initializer:
        if old.name == name:
            old.CopyFrom(tensor)
            return
    for node in graph.node:
        if name in node.output:
            next(a for a in node.attribute if a.name == "value").t.CopyFrom(tensor)
            return
    graph.initializer.append(tensor)


def attribute(node: NodeProto, name: str) -> AttributeProto:
    found: AttributeProto = next(each for each in node.attribute if each.name == name)
    return found


def set_attribute(node: NodeProto, name: str, value: Any) -> None:
    kept = [each for each in node.attribute if each.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def drop(model: ModelProto, node: NodeProto) -> None:
    """Takes a node with one output out; its readers read its first input."""
    graph = model.graph
    reroute(graph, node.output[0], node.input[0])
    for value in graph.output:
        if value.name == node.output[0]:
            producer(graph, node.input[0]).output[0] = value.name
    graph.node.remove(node)


def reroute(graph: GraphProto, old: str, new: str) -> None:
    """Whoever reads `old` reads `new`."""
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == old:
                node.input[place] = new


def between(
    model: ModelProto,
    name: str,
    kind: str,
    *more: str,
    outputs: Sequence[str] = (),
    domain: str = "",
    **attributes: Any,
) -> None:
    """Puts kind(name, *more) between the tensor `name` and whoever reads it.

    For an output of the graph the new node gives the output; for an input it reads the input.
    """
    graph = model.graph
    inner = f"{name}/before"
    if any(value.name == name for value in graph.output):
        node = producer(graph, name)
        node.output[list(node.output).index(name)] = inner
        reroute(graph, name, inner)
        made = helper.make_node(
            kind, [inner, *more], [name, *outputs], f"{name}/{kind}", domain=domain, **attributes
        )
        graph.node.append(made)
        return
    after = f"{name}/after"
    made = helper.make_node(
        kind, [name, *more], [after, *outputs], f"{name}/{kind}", domain=domain, **attributes
    )
    readers = consumers(graph, name)
    place = list(graph.node).index(readers[0])
    reroute(graph, name, after)
    graph.node.insert(place, made)


def weights(model: ModelProto, *kinds: str) -> Iterator[tuple[NodeProto, str]]:
    """Every node of these kinds with the name of its weight in float."""
    for node in nodes(model, *kinds):
        if len(node.input) > 1 and is_constant(model.graph, node.input[1]):
            yield node, node.input[1]


def dequantized(graph: GraphProto, name: str) -> NodeProto | None:
    """The DequantizeLinear that gives `name`, if one does."""
    made = [node for node in graph.node if name in node.output]
    return made[0] if made and made[0].op_type == "DequantizeLinear" else None


def unquantized(graph: GraphProto, name: str) -> str:
    """What went into the Q/DQ pair that gives `name`; `name` itself if none does."""
    outer = dequantized(graph, name)
    if outer is None or is_constant(graph, outer.input[0]):
        return name
    inner = producer(graph, outer.input[0])
    return inner.input[0] if inner.op_type == "QuantizeLinear" else name


def unread_removed(model: ModelProto) -> None:
    """Takes out nodes and initializers that nothing reads."""
    graph = model.graph
    kept = {value.name for value in graph.output}
    while True:
        read = kept | {name for node in graph.node for name in node.input}
        dead = [node for node in graph.node if not read & set(node.output)]
        if not dead:
            break
        for node in dead:
            graph.node.remove(node)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)
