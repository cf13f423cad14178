"""An ONNX graph in pieces: any of its values, computed from any other values that one has.

Only the nodes between the values given and the values wanted are run, so that a large network needs
one forward in all and never holds all its values at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .graph import copied, nested_nodes, outputs, producers, readers
from .ports import DTYPES
from .runtime import a_file, one_line, open_session, refused, runtime_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

CHANCE = ("RandomNormal", "RandomUniform")
LARGEST_BYTES = 2**31 - 1


class OnnxPieces:
    """A model whose values can be computed a few at a time."""

    def __init__(self, source: Path | ModelProto) -> None:
        self.proto = _read(source)
        graph = self.proto.graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.constants |= {tensor.values.name: tensor.values for tensor in graph.sparse_initializer}
        self.inputs = [each.name for each in graph.input if each.name not in self.constants]
        self.made_by = producers(graph)
        self.read_by = readers(graph)
        self.gives = outputs(graph)
        self.nodes = _sorted(graph.node, self.made_by)
        self.fixed = set(self.constants)
        for node in self.nodes:
            if node.op_type not in CHANCE and all(name in self.fixed for name in reads_of(node)):
                self.fixed.update(node.output)

    def fixed_rows(self, name: str) -> int:
        """The size of the first axis of input `name`, 0 where it is free."""
        value = next(each for each in self.proto.graph.input if each.name == name)
        sizes = value.type.tensor_type.shape.dim
        return int(sizes[0].dim_value) if len(sizes) else 0

    def needs(self, value: str, cuts: set[str]) -> set[str]:
        """The inputs and those of `cuts` that `value` is computed from."""
        _, needed = self._piece([value], cuts)
        return needed

    def run(
        self, wanted: Sequence[str], given: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """`wanted`, each computed from the values `given` that are nearest to it.

        A value may be both wanted and given: it is computed anew, and what reads it reads the one
        given. Raises `BadInput` if ONNX Runtime cannot run the piece.
        """
        import onnx
        from onnx import helper

        nodes, needed = self._piece(wanted, set(given))
        model = onnx.ModelProto(ir_version=self.proto.ir_version)
        model.opset_import.extend(self.proto.opset_import)
        model.functions.extend(self.proto.functions)
        names = {name: f"{name}~given" for name in needed}
        model.graph.name = "piece"
        model.graph.node.extend(_renamed(node, names) for node in nodes)
        read = {name for node in nested_nodes(model.graph) for name in node.input}
        model.graph.initializer.extend(
            self.constants[name] for name in read if name in self.constants
        )
        for name in sorted(needed):
            kind = helper.np_dtype_to_tensor_dtype(given[name].dtype)
            model.graph.input.append(
                helper.make_tensor_value_info(names[name], kind, [None] * given[name].ndim)
            )
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
        session = open_session(_bytes(model), fused=False)
        try:
            found = session.run(list(wanted), {names[name]: given[name] for name in needed})
        except runtime_errors() as error:
            raise refused("ONNX Runtime fails", error) from error
        return dict(zip(wanted, found, strict=True))

    def types(self, values: Iterable[str]) -> dict[str, str]:
        """numpy's word for the elements of `values`, as ONNX Runtime infers them."""
        import onnx

        model, wanted = copied(self.proto), set(values)
        model.graph.output.extend(onnx.ValueInfoProto(name=each) for each in wanted - self.gives)
        try:
            session = open_session(_bytes(model), fused=False)
        except BadInput:  # sizes that do not fit: the types may still be told
            return dict.fromkeys(wanted, "float32") | _told_types(self.proto)
        told = (*session.get_inputs(), *session.get_outputs())
        return {each.name: DTYPES.get(each.type, each.type) for each in told}

    def _piece(self, wanted: Iterable[str], cuts: set[str]) -> tuple[list[NodeProto], set[str]]:
        """The nodes from `cuts` to `wanted`, in order, and the cuts and inputs that they read."""
        picked, needed = set[str](), {value for value in wanted if value in self.inputs}
        open_ = [self.made_by[value] for value in wanted if value in self.made_by]
        while open_:
            node = open_.pop()
            if key_of(node) in picked:
                continue
            picked.add(key_of(node))
            for name in reads_of(node):
                if name in cuts or name in self.inputs:
                    needed.add(name)
                elif name in self.made_by:
                    open_.append(self.made_by[name])
        return [node for node in self.nodes if key_of(node) in picked], needed


def _read(source: Path | ModelProto) -> ModelProto:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs

    if not isinstance(source, Path):
        return copied(source)
    try:
        return onnx.load(a_file(source))
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise BadInput(f"{source}: no ONNX file that can be read: {one_line(error)}") from error


def _told_types(proto: ModelProto) -> dict[str, str]:
    """What ONNX's own inference, which goes on behind a node with an error, says of the types."""
    from onnx import TensorProto, helper, shape_inference

    graph = shape_inference.infer_shapes(proto, strict_mode=False).graph
    kinds = {
        value.name: value.type.tensor_type.elem_type
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    known = (TensorProto.UNDEFINED, TensorProto.BFLOAT16)
    return {
        name: str(helper.tensor_dtype_to_np_dtype(kind))
        for name, kind in kinds.items()
        if kind not in known
    }


def _bytes(model: ModelProto) -> bytes:
    if model.ByteSize() > LARGEST_BYTES:
        raise BadInput("the model takes more than 2 GiB; where it differs cannot be searched")
    data: bytes = model.SerializeToString()
    return data


def reads_of(node: NodeProto) -> list[str]:
    """What `node` reads, also from inside its branches."""
    names = [name for name in node.input if name]
    inner = [item.g for item in node.attribute if item.HasField("g")]
    inner += [graph for item in node.attribute for graph in item.graphs]
    for graph in inner:
        own = {name for each in nested_nodes(graph) for name in each.output}
        own |= {value.name for value in (*graph.input, *graph.initializer)}
        names += [n for each in nested_nodes(graph) for n in each.input if n and n not in own]
        names += [value.name for value in graph.output if value.name not in own]
    return list(dict.fromkeys(names))


def _renamed(node: NodeProto, names: Mapping[str, str]) -> NodeProto:
    """A copy of `node` that reads by other names, in its branches too."""
    copy = copied(node)
    graphs = [item.g for item in copy.attribute if item.HasField("g")]
    graphs += [graph for item in copy.attribute for graph in item.graphs]
    for each in (copy, *nested_nodes(*graphs)):
        for place, name in enumerate(each.input):
            each.input[place] = names.get(name, name)
    return copy


def key_of(node: NodeProto) -> str:
    """What tells a node from all others: the first value that it gives."""
    first: str = next(name for name in node.output if name)
    return first


def _sorted(nodes: Iterable[NodeProto], made_by: Mapping[str, NodeProto]) -> list[NodeProto]:
    """The nodes in an order of computation: the file's own, if it is one."""
    found: list[NodeProto] = []
    done, on_way = set[str](), set[str]()
    for first in nodes:
        open_ = [first] if any(first.output) else []
        while open_:
            node = open_[-1]
            waits = [made_by[name] for name in reads_of(node) if name in made_by]
            waits = [each for each in waits if key_of(each) not in done]
            if key_of(node) in done or not waits:
                open_.pop()
                if key_of(node) not in done:
                    done.add(key_of(node))
                    found.append(node)
                continue
            if key_of(node) in on_way:
                raise BadInput(f"the graph has a circle at {node.name or key_of(node)!r}")
            on_way.add(key_of(node))
            open_ += waits
    return found
