"""A network as TensorRT's parser sees it: types, shapes, and what is known before it runs."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .graph import nested_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

LARGE_ELEMENTS = 1024
"""Constants above this are weights: shape inference never needs their values."""

RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike")
WORDS = {"FLOAT": "float32", "DOUBLE": "float64"}

Shape = tuple[int | None, ...]


class View:
    """The nodes of a model, and everything that can be said of their values from the file alone."""

    def __init__(self, proto: ModelProto) -> None:
        self.proto = proto
        nodes = tuple(nested_nodes(proto.graph))
        self.broken = tuple(node for node in nodes if not well_formed(node))
        """Nodes that are not what ONNX says of their operator; no rule looks at them."""
        self.nodes = tuple(node for node in nodes if well_formed(node))
        self.made_by = {name: node for node in self.nodes for name in node.output if name}
        self.outputs = {value.name for value in proto.graph.output}
        self.functions = {function.name for function in proto.functions}

    @cached_property
    def opset(self) -> int:
        """The version of the standard operators that the file asks for; 0 if it is silent."""
        versions = (o.version for o in self.proto.opset_import if o.domain in ("", "ai.onnx"))
        return max(versions, default=0)

    @cached_property
    def read_by(self) -> dict[str, list[NodeProto]]:
        """Value name -> the nodes that read it."""
        found: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def constants(self) -> dict[str, TensorProto]:
        """Tensors that stand in the file, as initializers or as Constant nodes."""
        found = {tensor.name: tensor for g in self._graphs() for tensor in g.initializer}
        for node in self.nodes:
            if node.op_type == "Constant" and node.output:
                found.update((node.output[0], a.t) for a in node.attribute if a.name == "value")
        return found

    @cached_property
    def inputs(self) -> dict[str, ValueInfoProto]:
        """What the network takes; initializers that are listed as inputs are none."""
        given = self.proto.graph.input
        return {value.name: value for value in given if value.name not in self.constants}

    def values(self, name: str) -> NDArray[Any] | None:
        """The numbers of a constant, if they are in this file."""
        tensor = self.constants.get(name)
        return None if tensor is None else numbers(tensor)

    @cached_property
    def foldable(self) -> set[str]:
        """Values that are the same for every input of the network, constants among them."""
        known = set(self.constants)
        for node in self.nodes:
            fixed_size = node.op_type == "Shape" and None not in (
                self.shapes.get(node.input[0] if node.input else "") or (None,)
            )
            if fixed_size or self._follows(node, known):
                known.update(node.output)
        return known

    @cached_property
    def sizes(self) -> set[str]:
        """Values that are computed from shapes and constants alone."""
        known = set(self.foldable)
        for node in self.nodes:
            if node.op_type in ("Shape", "Size") or self._follows(node, known):
                known.update(node.output)
        return known

    @cached_property
    def types(self) -> dict[str, str]:
        """Value name -> numpy's word for its element type, as far as inference tells."""
        from onnx import TensorProto

        found = {tensor.name: tensor.data_type for tensor in self.constants.values() if tensor.name}
        found |= {name: tensor.data_type for name, tensor in self.constants.items()}
        for value in self._told:
            if value.type.HasField("tensor_type"):
                found[value.name] = value.type.tensor_type.elem_type
        names = {number: name for name, number in TensorProto.DataType.items()}
        return {
            value: WORDS.get(names[number], names[number].lower())
            for value, number in found.items()
            if number in names and number != TensorProto.UNDEFINED
        }

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Value name -> its shape, None for a free axis; absent where nothing is known."""
        found: dict[str, Shape] = {
            name: tuple(tensor.dims) for name, tensor in self.constants.items()
        }
        for value in self._told:
            if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
                dims = value.type.tensor_type.shape.dim
                found[value.name] = tuple(
                    d.dim_value if d.HasField("dim_value") else None for d in dims
                )
        return found

    def rank(self, name: str) -> int | None:
        """How many axes a value has."""
        shape = self.shapes.get(name)
        return None if shape is None else len(shape)

    @cached_property
    def _told(self) -> list[ValueInfoProto]:
        """What the file declares and shape inference adds."""
        import onnx

        light = _without_weights(self.proto)
        # Where it fails, a check's line `shapes` says so; what the file declares is read all the
        # same. Values are not propagated: that took 4 GB for a broken file of 272 bytes.
        with contextlib.suppress(onnx.shape_inference.InferenceError, RuntimeError, ValueError):
            light = onnx.shape_inference.infer_shapes(light)
        graphs = _nested_graphs(light.graph)
        return [v for graph in graphs for v in (*graph.input, *graph.value_info, *graph.output)]

    def _graphs(self) -> Iterator[GraphProto]:
        return _nested_graphs(self.proto.graph)

    def _follows(self, node: NodeProto, known: set[str]) -> bool:
        """Whether the results of `node` follow from `known` values."""
        given = [name for name in node.input if name]
        branches = any(item.HasField("g") or item.graphs for item in node.attribute)
        if branches or node.op_type in RANDOM:
            return False
        return bool(given) and known.issuperset(given)


def attributes(node: NodeProto) -> dict[str, Any]:
    """The attributes of a node as plain Python values, graphs and tensors left out."""
    from onnx import AttributeProto

    found: dict[str, Any] = {}
    for item in node.attribute:
        match item.type:
            case AttributeProto.FLOAT:
                found[item.name] = item.f
            case AttributeProto.INT:
                found[item.name] = item.i
            case AttributeProto.STRING:
                found[item.name] = item.s.decode(errors="replace")
            case AttributeProto.FLOATS:
                found[item.name] = list(item.floats)
            case AttributeProto.INTS:
                found[item.name] = list(item.ints)
            case AttributeProto.STRINGS:
                found[item.name] = [text.decode(errors="replace") for text in item.strings]
            case _:
                found[item.name] = None
    return found


def well_formed(node: NodeProto) -> bool:
    """Whether a node has the inputs, outputs and types of attributes that its operator has in ONNX.

    By the operator's name alone, as TensorRT's parser goes.
    """
    import onnx

    if not onnx.defs.has(node.op_type):
        return True
    schema = onnx.defs.get_schema(node.op_type)
    kinds = schema.attributes
    return (
        len(node.input) >= schema.min_input
        and len(node.output) >= schema.min_output
        and all(
            a.type == kinds[a.name].type.value  # type: ignore[attr-defined]  # not in onnx's stub
            for a in node.attribute
            if a.name in kinds
        )
    )


def numbers(tensor: TensorProto) -> NDArray[Any] | None:
    """The values of a tensor; None if they are not in this file, or not what it says."""
    from onnx import TensorProto, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL:
        return None
    try:
        array: NDArray[Any] = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError):  # fewer bytes than its shape, or no such type
        return None
    return array if array.dtype.kind in "iufb" or array.dtype.itemsize <= 2 else None


def _nested_graphs(graph: GraphProto) -> Iterator[GraphProto]:
    waiting = [graph]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for item in node.attribute:
                waiting += item.graphs
                if item.HasField("g"):
                    waiting.append(item.g)


def _without_weights(proto: ModelProto) -> ModelProto:
    """The same network, its large constants turned into inputs of their type and shape."""
    import math

    from onnx import ModelProto, helper

    light = ModelProto(ir_version=proto.ir_version)
    light.opset_import.extend(proto.opset_import)
    light.functions.extend(proto.functions)
    source, graph = proto.graph, light.graph
    graph.name = source.name
    graph.node.extend(source.node)
    graph.input.extend(source.input)
    graph.output.extend(source.output)
    graph.value_info.extend(source.value_info)
    listed = {value.name for value in source.input}
    for tensor in source.initializer:
        if math.prod(tensor.dims) <= LARGE_ELEMENTS:
            graph.initializer.append(tensor)
        elif tensor.name not in listed:
            graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tuple(tensor.dims))
            )
    return light
