"""How much memory the activations of an ONNX graph take at once, run in the file's order.

What a runtime needs at least, as `models/liveness.py` counts for a torch network: a value lives
from the node that makes it to the last one that reads it, inputs and outputs included; views and
elementwise operations stay in the memory that is already there. Element types are the file's,
except between Q and DQ: there a value counts as its codes, as a runtime that fuses them holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .model_parts import graphs_of

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
VIEWS_OF_FIRST = VIEWS | {"DequantizeLinear", "QuantizeLinear"}
IN_PLACE = frozenset(
    {
        "Abs",
        "Add",
        "BatchNormalization",
        "Celu",
        "Clip",
        "Div",
        "Elu",
        "Erf",
        "Exp",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Mish",
        "Mul",
        "Neg",
        "PRelu",
        "QLinearAdd",
        "QLinearLeakyRelu",
        "QLinearMul",
        "QLinearSigmoid",
        "Relu",
        "Selu",
        "Sigmoid",
        "Softmax",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Sub",
        "Swish",
        "Tanh",
    }
)
BY_CHANCE = ("Random", "Bernoulli", "Multinomial")


class Unsized(Exception):
    """A value has no known size; its name."""


@dataclass(eq=False)
class _Buffer:
    bytes: int


@dataclass
class _Run:
    """One pass over a graph: which buffer each value has, and when it is read for the last time."""

    bytes_of: Mapping[str, int | None]
    constants: set[str]
    buffers: dict[str, _Buffer] = field(default_factory=dict)
    last_read: dict[str, int] = field(default_factory=dict)
    peak: int = 0


def peak_bytes(graph: GraphProto, bytes_of: Mapping[str, int | None]) -> int:
    """Largest sum of the buffers alive during one node; `bytes_of` has every value's size.

    Raises `Unsized` with the name of a value whose size is not there, or None.
    """
    return _peak(graph, bytes_of, set())


def _peak(graph: GraphProto, bytes_of: Mapping[str, int | None], outer: set[str]) -> int:
    run = _Run(bytes_of=bytes_of, constants=outer | set(_constants(graph)))
    for place, node in enumerate(graph.node):
        for name in _read(node):
            run.last_read[name] = place
    for value in graph.output:
        run.last_read[value.name] = len(graph.node)
    codes = _stored_as_codes(graph, run.constants)
    for value in graph.input:
        if value.name not in run.constants:
            run.buffers[value.name] = _Buffer(_size(run, value.name))
    run.peak = _alive(run)
    for place, node in enumerate(graph.node):
        if node.op_type == "Constant" or _is_constant(node, run.constants):
            run.constants.update(node.output)
            continue
        _step(run, place, node, codes)
    return run.peak


def _step(run: _Run, place: int, node: NodeProto, codes: Mapping[str, str]) -> None:
    """Gives the outputs of `node` their buffers, and drops those that nobody reads any more."""
    held = [name for name in dict.fromkeys(node.input) if name in run.buffers]
    for body in (body for item in node.attribute for body in graphs_of(item)):
        run.peak = max(run.peak, _alive(run) + _peak(body, run.bytes_of, run.constants))
    given = [name for name in node.output if name]
    for name in given:
        size = _size(run, codes.get(name, name))
        shared = _taken_over(run, place, node, held, size) if name == given[0] else None
        run.buffers[name] = shared or _Buffer(size)
    run.peak = max(run.peak, _alive(run))
    for name in (*_read(node), *given):
        if run.last_read.get(name, place) <= place:
            run.buffers.pop(name, None)


def _taken_over(
    run: _Run, place: int, node: NodeProto, held: list[str], size: int
) -> _Buffer | None:
    """The buffer of an input that holds the output as well."""
    if node.op_type in VIEWS_OF_FIRST and held[:1] == list(node.input[:1]):
        buffer = run.buffers[held[0]]
        return buffer if buffer.bytes == size else None
    if node.op_type not in IN_PLACE:
        return None
    for name in held:
        buffer = run.buffers[name]
        dies = all(
            run.last_read.get(other, place) <= place
            for other, its in run.buffers.items()
            if its is buffer
        )
        if dies and buffer.bytes == size:
            return buffer
    return None


def _stored_as_codes(graph: GraphProto, constants: set[str]) -> dict[str, str]:
    """Value name -> the value whose size it has, where a runtime keeps codes instead of floats.

    What a dequantizer gives is read as the codes that it takes. What only a quantizer reads is
    written as that one's codes, and so is what only an activation before the quantizer reads.
    """
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in _read(node):
            readers.setdefault(name, []).append(node)
    kept = {value.name for value in graph.output}
    codes = {}
    for node in reversed(graph.node):
        if node.op_type == "DequantizeLinear":
            if node.output[0] not in kept:
                codes[node.output[0]] = node.input[0]
            continue
        values = [name for name in node.input if name and name not in constants]
        alone = len(values) == 1 and values[0] not in kept and len(readers[values[0]]) == 1
        if alone and node.op_type == "QuantizeLinear":
            codes[values[0]] = node.output[0]
        elif alone and node.op_type in IN_PLACE and node.output[0] in codes:
            codes[values[0]] = codes[node.output[0]]
    return codes


def _constants(graph: GraphProto) -> Iterator[str]:
    yield from (tensor.name for tensor in graph.initializer)
    yield from (tensor.values.name for tensor in graph.sparse_initializer)


def _is_constant(node: NodeProto, constants: set[str]) -> bool:
    """A runtime computes it once, when it loads the file."""
    return not node.op_type.startswith(BY_CHANCE) and all(
        name in constants for name in _read(node) if name
    )


def _read(node: NodeProto) -> Iterator[str]:
    """What a node reads, graphs inside it included."""
    yield from (name for name in node.input if name)
    waiting = [body for item in node.attribute for body in graphs_of(item)]
    while waiting:
        body = waiting.pop()
        own = {value.name for value in body.input} | set(_constants(body))
        own.update(name for inner in body.node for name in inner.output)
        for inner in body.node:
            yield from (name for name in inner.input if name and name not in own)
            waiting += [deeper for item in inner.attribute for deeper in graphs_of(item)]
        yield from (value.name for value in body.output if value.name not in own)


def _alive(run: _Run) -> int:
    return sum({id(buffer): buffer.bytes for buffer in run.buffers.values()}.values())


def _size(run: _Run, name: str) -> int:
    size = run.bytes_of.get(name)
    if size is None:
        raise Unsized(name)
    return size
