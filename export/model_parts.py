"""Every graph, function and tensor of an ONNX file, however deep it lies, without recursion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import (
        AttributeProto,
        FunctionProto,
        GraphProto,
        ModelProto,
        NodeProto,
        SparseTensorProto,
        TensorProto,
    )


@dataclass(frozen=True, kw_only=True)
class Part:
    """A graph or the body of a function."""

    body: GraphProto | FunctionProto
    depth: int
    """0 for the model's graph and for functions; 1 for the branches of an If there."""
    where: str
    """"" for the model's graph, else what it belongs to."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """A tensor, by a name that a person finds in the file."""

    tensor: TensorProto
    name: str


def parts(proto: ModelProto) -> Iterator[Part]:
    """The model's graph, its functions, graphs for training, and all graphs inside nodes."""
    stack = [Part(body=proto.graph, depth=0, where="")]
    stack += [Part(body=f, depth=0, where=f"function {f.name}") for f in proto.functions]
    for training in proto.training_info:
        stack.append(Part(body=training.initialization, depth=0, where="training"))
        stack.append(Part(body=training.algorithm, depth=0, where="training"))
    while stack:
        part = stack.pop()
        yield part
        for node in part.body.node:
            for attribute in node.attribute:
                for inner in graphs_of(attribute):
                    where = f"{called(node)}.{attribute.name}"
                    stack.append(Part(body=inner, depth=part.depth + 1, where=where))


def tensors(proto: ModelProto) -> Iterator[Held]:
    """Every tensor that holds values: initializers, attributes, both parts of sparse ones."""
    from onnx import FunctionProto

    for part in parts(proto):
        if not isinstance(part.body, FunctionProto):
            for tensor in part.body.initializer:
                yield Held(tensor=tensor, name=tensor.name or "an initializer without a name")
            for sparse in part.body.sparse_initializer:
                yield from _both(sparse, sparse.values.name)
        else:
            for attribute in part.body.attribute_proto:
                yield from _of_attribute(attribute, part.where)
        for node in part.body.node:
            for attribute in node.attribute:
                yield from _of_attribute(attribute, called(node))


def sparse_tensors(proto: ModelProto) -> Iterator[tuple[SparseTensorProto, str]]:
    """Every sparse tensor, and its name."""
    from onnx import FunctionProto

    for part in parts(proto):
        if not isinstance(part.body, FunctionProto):
            yield from ((sparse, sparse.values.name) for sparse in part.body.sparse_initializer)
        for node in part.body.node:
            for attribute in node.attribute:
                if attribute.HasField("sparse_tensor"):
                    yield attribute.sparse_tensor, called(node)
                yield from ((sparse, called(node)) for sparse in attribute.sparse_tensors)


def graphs_of(attribute: AttributeProto) -> Iterator[GraphProto]:
    """Graphs that an attribute holds."""
    if attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs


def called(node: NodeProto) -> str:
    """A node's name, else its operator and what it gives."""
    return node.name or f"{node.op_type} -> {next(iter(node.output), '')}"


def _of_attribute(attribute: AttributeProto, owner: str) -> Iterator[Held]:
    if attribute.HasField("t"):
        yield Held(tensor=attribute.t, name=owner)
    for tensor in attribute.tensors:
        yield Held(tensor=tensor, name=owner)
    if attribute.HasField("sparse_tensor"):
        yield from _both(attribute.sparse_tensor, owner)
    for sparse in attribute.sparse_tensors:
        yield from _both(sparse, owner)


def _both(sparse: SparseTensorProto, name: str) -> Iterator[Held]:
    yield Held(tensor=sparse.values, name=name)
    yield Held(tensor=sparse.indices, name=f"{name} (indices)")


def shown(name: object, most: int = 60) -> str:
    """A name out of a file as it may stand in a report: printable, on one line, not too long.

    >>> shown("conv1\\nweight\\x1b[2J")
    'conv1\\\\nweight\\\\x1b[2J'
    """
    text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: most + 1]) or "''"
    return text if len(text) <= most else text[: most - 3] + "..."
