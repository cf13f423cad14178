"""Which element types TensorRT takes, and where: findings from the types of a network's values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .tensorrt_finding import Finding, named
from .tensorrt_view import attributes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from onnx import NodeProto

    from .tensorrt_view import View

READ_SOURCE = "type conversion of TensorRT's ONNX parser (onnx/onnx-tensorrt, 8.6.1 and 10.1)"
UINT8_SOURCE = "kUINT8 in NvInferRuntimeBase.h, 8.6.1 to 11.1"
MOST_AXES = 8
"""nvinfer1::Dims::MAX_DIMS"""

QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
SMALL = ("float8e4m3fn", "int4", "float4e2m1")
FLOATS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "PRelu")
# Where the parser of 8.6 looks for integers itself, and what it finds is an error.
FLOATS_IN_8 = (
    *("Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Selu", "Softplus", "Softsign"),
    *("HardSigmoid", "ThresholdedRelu"),
)
# Their first input is no data, or any type will do.
UNTYPED = ("If", "Loop", "Scan", "OneHot", "Constant", "ConstantOfShape", "Cast", "CastLike")
SECOND = ("Where",)


def readable(version: tuple[int, ...]) -> set[str]:
    """The element types that the parser of a release can represent at all."""
    known = {"float32", "float64", "float16", "int8", "uint8", "bool", "int32", "int64"}
    if version >= (9,):
        known |= {"bfloat16", "float8e4m3fn"}
    if version >= (10,):
        known.add("int4")
    if version >= (10, 8):
        known.add("float4e2m1")
    return known


def type_findings(
    view: View, version: tuple[int, ...], table: Mapping[str, Collection[str]]
) -> Iterator[Finding]:
    """`table`: operator -> the types its data may have, none of them where it is not documented."""
    known = readable(version)
    yield from _unreadable(view, known)
    yield from _ends(view, version)
    yield from _bytes(view)
    yield from _doubles(view)
    yield from _ranks(view)
    for node in view.nodes:
        if finding := _of_operator(view, node, version, table.get(node.op_type, ())):
            yield finding


def _unreadable(view: View, known: set[str]) -> Iterator[Finding]:
    for name, kind in view.types.items():
        readers = view.read_by.get(name, [])
        # Zero points and codes are the affair of the Q/DQ rules, which say more.
        if kind in known or (readers and all(node.op_type in QUANTIZERS for node in readers)):
            continue
        node = view.made_by.get(name)
        yield Finding(
            node=named(node) if node else name,
            op=node.op_type if node else "",
            severity="error",
            why=f"{name!r} is {kind}; the parser of this release has no such type",
            source=READ_SOURCE,
        )


def _ends(view: View, version: tuple[int, ...]) -> Iterator[Finding]:
    """Inputs and outputs whose type in the engine is another one."""
    ends = (*view.inputs, *(value.name for value in view.proto.graph.output))
    for name in ends:
        kind = view.types.get(name)
        if kind == "float64":
            why = f"the network's {name!r} is float64; the engine's is float32"
            yield Finding(node=name, op="", severity="error", why=why, source=READ_SOURCE)
        elif kind == "int64" and version < (9,):
            why = f"the network's {name!r} is int64; the engine's is int32 before TensorRT 10"
            yield Finding(node=name, op="", severity="warning", why=why, source=READ_SOURCE)


def _bytes(view: View) -> Iterator[Finding]:
    """uint8 may enter through a Cast to float and leave through a Cast from float, no more."""
    for node in view.nodes:
        if node.op_type in QUANTIZERS:
            continue
        takes = [name for name in node.input if view.types.get(name) == "uint8"]
        gives = [name for name in node.output if view.types.get(name) == "uint8"]
        if not takes and not gives:
            continue
        if node.op_type == "Cast" and len(node.input) == 1:
            before, after = (view.types.get(name) for name in (node.input[0], node.output[0]))
            enters = takes and node.input[0] in view.inputs and after in ("float32", "float16")
            leaves = gives and node.output[0] in view.outputs and before in ("float32", "float16")
            if enters or (leaves and not view.read_by.get(node.output[0])):
                continue
        yield Finding(
            node=named(node),
            op=node.op_type,
            severity="error",
            why=f"{(takes or gives)[0]!r} is uint8; only an input of the network may be, read by a "
            "Cast to float, or an output, made by a Cast from float",
            source=UINT8_SOURCE,
        )


def _doubles(view: View) -> Iterator[Finding]:
    inside = [
        node for node in view.nodes if any(view.types.get(o) == "float64" for o in node.output)
    ]
    if inside:
        yield Finding(
            node=named(inside[0]),
            op=inside[0].op_type,
            severity="warning",
            why=f"{len(inside)} operators compute in float64; the engine computes them in float32",
            source=READ_SOURCE,
        )


def _ranks(view: View) -> Iterator[Finding]:
    for name, shape in view.shapes.items():
        node = view.made_by.get(name)
        if len(shape) > MOST_AXES:
            yield Finding(
                node=named(node) if node else name,
                op=node.op_type if node else "",
                severity="error",
                why=f"{name!r} has {len(shape)} axes; a tensor has at most {MOST_AXES}",
                source="Dims::MAX_DIMS in NvInferRuntimeBase.h",
            )


def _of_operator(
    view: View, node: NodeProto, version: tuple[int, ...], types: Collection[str]
) -> Finding | None:
    if node.op_type == "Cast":
        return _cast(node, version)
    place = int(node.op_type in SECOND)
    if not types or node.op_type in (*UNTYPED, *QUANTIZERS) or len(node.input) <= place:
        return None
    # What is computed from shapes and constants is computed while the engine is built.
    if view.sizes.issuperset(node.output):
        return None
    kind = view.types.get(node.input[place], "")
    # Bytes and doubles have findings of their own, and codes are read by quantizers alone.
    seen = {"float64": "float32", "int64": "int64" if version >= (9,) else "int32"}.get(kind, kind)
    if not seen or seen in types or seen == "uint8" or seen not in readable(version):
        return None
    integer = "int" in seen or seen == "bool"
    hard = integer and (node.op_type in FLOATS or (version < (9,) and node.op_type in FLOATS_IN_8))
    return Finding(
        node=named(node),
        op=node.op_type,
        severity="error" if hard else "warning",
        why=f"its input {node.input[place]!r} is {kind}; the table lists {', '.join(types)}",
        source="",
    )


def _cast(node: NodeProto, version: tuple[int, ...]) -> Finding | None:
    from onnx import TensorProto

    names = {number: name for name, number in TensorProto.DataType.items()}
    words = {"FLOAT": "float32", "DOUBLE": "float64"}
    name = names.get(attributes(node).get("to", 0), "UNDEFINED")
    kind = words.get(name, name.lower())
    if kind not in SMALL:
        return None  # a type that cannot be represented is found by its value
    why = f"it casts to {kind}; only QuantizeLinear makes that there"
    return Finding(node=named(node), op="Cast", severity="error", why=why, source=READ_SOURCE)
