"""Seeded damage to ONNX files: bytes turned, cut and moved, and fields that still parse changed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

HUGE = (2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, -1, -(2**31), -(2**63), 0)
# fmt: off
OPERATORS = (
    "Conv", "Relu", "Add", "Mul", "MatMul", "Gemm", "Softmax", "Reshape", "Transpose", "Concat",
    "Split", "Slice", "Pad", "Resize", "Loop", "If", "Scan", "Expand", "Tile",
    "ConstantOfShape", "Gather", "GatherND", "ScatterND", "QuantizeLinear", "DequantizeLinear",
    "LSTM", "NonMaxSuppression", "TopK", "Range", "Cast", "MaxPool", "AveragePool",
    "BatchNormalization", "Einsum", "Identity", "Dropout", "RandomNormal", "Where", "Nonsense",
)
# fmt: on


@dataclass(frozen=True)
class Mutation:
    """A damaged file: how it was made and its bytes."""

    how: str
    data: bytes


def mutated(original: bytes, seed: int) -> Mutation:
    """One file made from `original`; the same seed gives the same bytes."""
    chance = random.Random(seed)
    if chance.random() < 0.3:
        change = chance.choice(BYTES)
        return Mutation(change.__name__, change(chance, original))
    model = ModelProto.FromString(original)
    names = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        edit = chance.choice(EDITS)
        edit(chance, model)
        names.append(edit.__name__)
    return Mutation("+".join(names), model.SerializeToString())


def flip_bits(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def flip_near_the_end(chance: random.Random, data: bytes) -> bytes:
    # Weights come first in most files; the wiring is in the small rest.
    changed = bytearray(data)
    for _ in range(chance.choice((1, 2, 4))):
        changed[-1 - chance.randrange(min(2000, len(changed)))] = chance.randrange(256)
    return bytes(changed)


def truncate(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data))]


def splice(chance: random.Random, data: bytes) -> bytes:
    start, stop = sorted(chance.randrange(len(data)) for _ in range(2))
    at = chance.randrange(len(data))
    return data[:at] + data[start : min(stop, start + 4096)] + data[at:]


def cut_out(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.choice((1, 2, 16, 300)) :]


def overwrite(chance: random.Random, data: bytes) -> bytes:
    at, size = chance.randrange(len(data)), chance.choice((1, 4, 32, 256))
    filled = chance.choice((b"\xff", b"\0", b"\x80")) * size
    return data[:at] + filled + data[at + size :]


def swap_fields(chance: random.Random, data: bytes) -> bytes:
    """Two pieces of the same length change places."""
    size = chance.choice((2, 8, 40))
    first, second = sorted(chance.randrange(max(1, len(data) - size)) for _ in range(2))
    if second - first < size:
        return truncate(chance, data)
    a, b = data[first : first + size], data[second : second + size]
    return data[:first] + b + data[first + size : second] + a + data[second + size :]


def change_dims(chance: random.Random, model: ModelProto) -> None:
    tensor = _tensor(chance, model.graph)
    if tensor is not None and tensor.dims:
        at = chance.randrange(len(tensor.dims))
        near = tensor.dims[at] + chance.choice((-1, 1))
        tensor.dims[at] = chance.choice((*HUGE, near, 1))


def swap_dims(chance: random.Random, model: ModelProto) -> None:
    tensor = _tensor(chance, model.graph)
    if tensor is not None and len(tensor.dims) > 1:
        dims = list(tensor.dims)
        chance.shuffle(dims)
        tensor.dims[:] = dims


def change_tensor_type(chance: random.Random, model: ModelProto) -> None:
    tensor = _tensor(chance, model.graph)
    if tensor is not None:
        tensor.data_type = chance.randrange(30)


def change_values(chance: random.Random, model: ModelProto) -> None:
    tensor = _tensor(chance, model.graph)
    if tensor is not None and tensor.raw_data:
        data = bytearray(tensor.raw_data)
        at = chance.randrange(len(data))
        data[at] = chance.randrange(256)
        tensor.raw_data = bytes(data)


def plant_nan(chance: random.Random, model: ModelProto) -> None:
    tensor = _tensor(chance, model.graph)
    if tensor is not None and tensor.data_type == TensorProto.FLOAT and len(tensor.raw_data) >= 4:
        data = np.frombuffer(tensor.raw_data, "<f4").copy()
        data[chance.randrange(len(data))] = chance.choice((np.nan, np.inf, 3e38))
        tensor.raw_data = data.tobytes()


def scale_values(chance: random.Random, model: ModelProto) -> None:
    tensor = _tensor(chance, model.graph)
    if tensor is not None and tensor.data_type == TensorProto.FLOAT and tensor.raw_data:
        factor = np.float32(chance.choice((0.0, -1.0, 0.5, 1.01, 2.0, 1e10)))
        tensor.raw_data = (np.frombuffer(tensor.raw_data, "<f4") * factor).tobytes()


def point_outside(chance: random.Random, model: ModelProto) -> None:
    tensor = _tensor(chance, model.graph)
    if tensor is not None:
        tensor.data_location = TensorProto.EXTERNAL
        if chance.random() < 0.7:
            tensor.ClearField("raw_data")
        places = ("weights.bin", "../../etc/passwd", "/etc/passwd", "", "/dev/zero", ".", "a\0b")
        for key, value in (
            ("location", chance.choice(places)),
            ("offset", str(chance.choice(HUGE))),
            ("length", str(chance.choice(HUGE))),
        ):
            tensor.external_data.add(key=key, value=value)


def drop_tensor(chance: random.Random, model: ModelProto) -> None:
    if model.graph.initializer:
        del model.graph.initializer[chance.randrange(len(model.graph.initializer))]


def drop_node(chance: random.Random, model: ModelProto) -> None:
    if model.graph.node:
        del model.graph.node[chance.randrange(len(model.graph.node))]


def repeat_node(chance: random.Random, model: ModelProto) -> None:
    model.graph.node.add().CopyFrom(_node(chance, model))


def swap_nodes(chance: random.Random, model: ModelProto) -> None:
    first, second = NodeProto(), _node(chance, model)
    first.CopyFrom(second)
    other = _node(chance, model)
    second.CopyFrom(other)
    other.CopyFrom(first)


def change_operator(chance: random.Random, model: ModelProto) -> None:
    _node(chance, model).op_type = chance.choice(OPERATORS)


def change_domain(chance: random.Random, model: ModelProto) -> None:
    domain = chance.choice(("custom", "com.microsoft", "ai.onnx.ml", "ai.onnx", "\x1b[2J\n"))
    _node(chance, model).domain = domain
    if chance.random() < 0.5:
        model.opset_import.add(domain=domain, version=1)


def rename_value(chance: random.Random, model: ModelProto) -> None:
    node = _node(chance, model)
    names = node.input if chance.random() < 0.5 else node.output
    if names:
        names[chance.randrange(len(names))] = chance.choice(
            ("", "nowhere", _name(chance, model), _name(chance, model))
        )


def swap_inputs(chance: random.Random, model: ModelProto) -> None:
    node = _node(chance, model)
    names = list(node.input)
    chance.shuffle(names)
    node.input[:] = names


def drop_input(chance: random.Random, model: ModelProto) -> None:
    node = _node(chance, model)
    if node.input:
        del node.input[chance.randrange(len(node.input))]


def change_attribute(chance: random.Random, model: ModelProto) -> None:
    attribute = _attribute(chance, model)
    if attribute is None:
        return
    if attribute.ints:
        at = chance.randrange(len(attribute.ints))
        attribute.ints[at] = chance.choice((*HUGE, attribute.ints[at] + 1, 2, 7))
    elif attribute.type == AttributeProto.INT:
        attribute.i = chance.choice((*HUGE, 1, 2, attribute.i + 1))
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = chance.choice((0.0, -1.0, float("nan"), float("inf"), attribute.f * 1.1))
    else:
        attribute.s = chance.choice((b"", b"\xff\xfe", b"SAME_UPPER", b"x" * 1000))


def stretch_attribute(chance: random.Random, model: ModelProto) -> None:
    attribute = _attribute(chance, model)
    if attribute is not None and attribute.ints:
        attribute.ints[:] = list(attribute.ints) * chance.choice((0, 2, 9))


def change_attribute_type(chance: random.Random, model: ModelProto) -> None:
    attribute = _attribute(chance, model)
    if attribute is not None:
        attribute.type = chance.choice(list(AttributeProto.AttributeType.values()))


def drop_attribute(chance: random.Random, model: ModelProto) -> None:
    node = _node(chance, model)
    if node.attribute:
        del node.attribute[chance.randrange(len(node.attribute))]


def change_declared(chance: random.Random, model: ModelProto) -> None:
    values = [*model.graph.input, *model.graph.output, *model.graph.value_info]
    dims = chance.choice(values).type.tensor_type.shape.dim if values else []
    if dims:
        dim = dims[chance.randrange(len(dims))]
        if chance.random() < 0.7:
            dim.dim_value = chance.choice((*HUGE, 1, 3, dim.dim_value + 1))
        else:
            dim.dim_param = chance.choice(("N", "H", ""))


def change_declared_type(chance: random.Random, model: ModelProto) -> None:
    value = chance.choice([*model.graph.input, *model.graph.output])
    value.type.tensor_type.elem_type = chance.randrange(30)


def change_version(chance: random.Random, model: ModelProto) -> None:
    version = chance.choice((0, 1, 6, 9, 12, 13, 17, 19, 21, 25, 99, *HUGE))
    if chance.random() < 0.5 or not model.opset_import:
        model.ir_version = version
    else:
        model.opset_import[0].version = version


def drop_output(chance: random.Random, model: ModelProto) -> None:
    if model.graph.output:
        del model.graph.output[chance.randrange(len(model.graph.output))]


def bury_in_if(chance: random.Random, model: ModelProto) -> None:
    """A node moves into both branches of an If, some levels deep."""
    node = _node(chance, model)
    inner = NodeProto()
    inner.CopyFrom(node)
    for _ in range(chance.choice((1, 2, 9))):
        outputs = [helper.make_empty_tensor_value_info(name) for name in inner.output if name]
        graph = helper.make_graph([inner], "inner", [], outputs)
        truth = helper.make_tensor("truth", TensorProto.BOOL, [], [True])
        graph.initializer.append(truth)
        inner = helper.make_node("If", ["truth"], list(inner.output), then_branch=graph)
        inner.attribute.append(helper.make_attribute("else_branch", graph))
    node.CopyFrom(inner)
    model.graph.initializer.append(helper.make_tensor("truth", TensorProto.BOOL, [], [True]))


def break_text(chance: random.Random, model: ModelProto) -> None:
    """A name that is no UTF-8: set through the bytes, as protobuf's Python refuses it."""
    name = _node(chance, model).op_type.encode()
    if len(name) > 1:
        data = model.SerializeToString().replace(name, b"\xff" + name[1:], 1)
        model.ParseFromString(data)


def _tensor(chance: random.Random, graph: GraphProto) -> TensorProto | None:
    return chance.choice(graph.initializer) if graph.initializer else None


def _node(chance: random.Random, model: ModelProto) -> NodeProto:
    nodes: Sequence[NodeProto] = model.graph.node
    return chance.choice(nodes) if nodes else model.graph.node.add()


def _attribute(chance: random.Random, model: ModelProto) -> AttributeProto | None:
    found = [attribute for node in model.graph.node for attribute in node.attribute]
    return chance.choice(found) if found else None


def _name(chance: random.Random, model: ModelProto) -> str:
    names = [name for node in model.graph.node for name in (*node.input, *node.output)]
    return chance.choice(names) if names else "x"


BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    flip_bits,
    flip_near_the_end,
    truncate,
    splice,
    cut_out,
    overwrite,
    swap_fields,
)
EDITS: tuple[Callable[[random.Random, ModelProto], None], ...] = (
    change_dims,
    swap_dims,
    change_tensor_type,
    change_values,
    plant_nan,
    scale_values,
    point_outside,
    drop_tensor,
    drop_node,
    repeat_node,
    swap_nodes,
    change_operator,
    change_domain,
    rename_value,
    swap_inputs,
    drop_input,
    change_attribute,
    stretch_attribute,
    change_attribute_type,
    drop_attribute,
    change_declared,
    change_declared_type,
    change_version,
    drop_output,
    bury_in_if,
    break_text,
)
