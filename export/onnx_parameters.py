"""The parameters of an ONNX file: which of its constants are weights, and which are settings.

torch's count, as far as a file tells: weights and biases, the scale and shift of a normalisation,
tables of embeddings and positions; not its running statistics, no scalar in a formula, no index,
shape, limit or padding, and not the scales and zero points of a quantization. A weight stored in
8 bits counts its elements. A constant that is no weight but looks like one is counted, such as a
mask that was computed at export.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .model_parts import parts

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

# Inputs that hold settings, whatever their type.
_QUANTIZED_PAIR = frozenset({1, 2, 4, 5, 6, 7})  # x, scale, zero, y, scale, zero, scale, zero
SETTINGS: dict[str, frozenset[int]] = {
    "QuantizeLinear": frozenset({1, 2}),
    "DequantizeLinear": frozenset({1, 2}),
    "QLinearConv": _QUANTIZED_PAIR,
    "QLinearMatMul": _QUANTIZED_PAIR,
    "QLinearAdd": _QUANTIZED_PAIR,
    "QLinearMul": _QUANTIZED_PAIR,
    "QGemm": frozenset({1, 2, 4, 5, 7, 8}),
    "MatMulIntegerToFloat": frozenset({2, 3, 4, 5}),
    "DynamicQuantizeMatMul": frozenset({2, 3}),
    "ConvInteger": frozenset({2, 3}),
    "MatMulInteger": frozenset({2, 3}),
    "QAttention": frozenset({3, 4, 5, 6, 7}),
    "MatMulNBits": frozenset({2, 3, 4}),
    "BatchNormalization": frozenset({3, 4}),
    "Clip": frozenset({1, 2}),
    "Dropout": frozenset({1, 2}),
    "Pad": frozenset({1, 2, 3}),
    "Resize": frozenset({1, 2, 3}),
    "Upsample": frozenset({1}),
    "OneHot": frozenset({0, 1, 2}),
    "Range": frozenset({0, 1, 2}),
    "NonMaxSuppression": frozenset({2, 3, 4}),
    "QLinearAveragePool": frozenset({1, 2, 3, 4}),
    "QLinearGlobalAveragePool": frozenset({1, 2, 3, 4}),
    "QLinearSigmoid": frozenset({1, 2, 3, 4}),
    "QLinearLeakyRelu": frozenset({1, 2, 3, 4}),
    "QLinearSoftmax": frozenset({1, 2, 3, 4}),
}
# Inputs where whole numbers are weights; elsewhere they are indices and shapes.
CODES: dict[str, frozenset[int]] = {
    "DequantizeLinear": frozenset({0}),
    "QLinearConv": frozenset({3, 8}),
    "QLinearMatMul": frozenset({0, 3}),
    "QLinearAdd": frozenset({0, 3}),
    "QLinearMul": frozenset({0, 3}),
    "QGemm": frozenset({3, 6}),
    "ConvInteger": frozenset({1}),
    "MatMulInteger": frozenset({0, 1}),
    "MatMulIntegerToFloat": frozenset({0, 1}),
    "DynamicQuantizeMatMul": frozenset({1}),
    "QAttention": frozenset({1}),
    "MatMulNBits": frozenset({1}),
    "MatMulBnb4": frozenset({1}),
    "GatherBlockQuantized": frozenset({0}),
    "DynamicQuantizeLSTM": frozenset({1, 2}),
}
# Operators through which a constant is still the same constant, by their first input.
THROUGH = frozenset(
    {
        "Identity",
        "Cast",
        "Reshape",
        "Flatten",
        "Transpose",
        "Squeeze",
        "Unsqueeze",
        "Gather",
        "Slice",
        "Split",
    }
)


def parameters(model: ModelProto) -> int:
    """Elements of all weights in `model`, those in subgraphs too."""
    return sum(count for _, count in weights(model))


def weights(model: ModelProto) -> Iterator[tuple[str, int]]:
    """Each weight's name and its elements; functions must have been inlined."""
    uses = _uses(model)
    for name, dims, kind in _constants(model):
        elements = math.prod(dims)
        if not dims or kind is None:
            continue
        for node, position in _ends(name, uses):
            if position in SETTINGS.get(node.op_type, ()):
                continue
            if kind == "float" or position in CODES.get(node.op_type, ()):
                yield name, _packed(node, elements)
                break


def _packed(node: NodeProto, elements: int) -> int:
    """Elements of a weight; MatMulNBits packs several into a byte, and pads."""
    if node.op_type != "MatMulNBits":
        return elements
    sizes = {item.name: item.i for item in node.attribute}
    return int(sizes["K"] * sizes["N"])


def _uses(model: ModelProto) -> dict[str, list[tuple[NodeProto, int]]]:
    """Value name -> the inputs that read it. Names are unique over a graph and those inside it."""
    uses: dict[str, list[tuple[NodeProto, int]]] = {}
    for part in parts(model):
        for node in part.body.node:
            for position, name in enumerate(node.input):
                uses.setdefault(name, []).append((node, position))
    return uses


def _ends(
    name: str, uses: dict[str, list[tuple[NodeProto, int]]]
) -> Iterator[tuple[NodeProto, int]]:
    """Where a constant ends up, behind reshapes and the like."""
    waiting, seen = [name], {name}
    while waiting:
        for node, position in uses.get(waiting.pop(), ()):
            if node.op_type not in THROUGH:
                yield node, position
            elif position == 0:
                waiting += [each for each in node.output if each not in seen]
                seen.update(node.output)


def _constants(model: ModelProto) -> Iterator[tuple[str, tuple[int, ...], str | None]]:
    """Name, dims and "float" or "whole" (None for texts and truth values) of each constant."""
    from onnx import FunctionProto

    seen = set()
    for part in parts(model):
        tensors: list[tuple[str, TensorProto]] = []
        if not isinstance(part.body, FunctionProto):
            tensors += [(tensor.name, tensor) for tensor in part.body.initializer]
            for sparse in part.body.sparse_initializer:
                yield sparse.values.name, tuple(sparse.dims), _kind(sparse.values.data_type)
        for node in part.body.node:
            if node.op_type != "Constant":
                continue
            for item in node.attribute:
                if item.name == "value":
                    tensors.append((node.output[0], item.t))
                elif item.name == "value_floats":
                    yield node.output[0], (len(item.floats),), "float"
                elif item.name == "sparse_value":
                    dims = tuple(item.sparse_tensor.dims)
                    yield node.output[0], dims, _kind(item.sparse_tensor.values.data_type)
        for name, tensor in tensors:
            if name not in seen:
                seen.add(name)
                yield name, tuple(tensor.dims), _kind(tensor.data_type)


def _kind(data_type: int) -> str | None:
    from onnx import TensorProto

    words = {number: word for word, number in TensorProto.DataType.items()}
    word = words.get(data_type, "")
    if word.startswith(("FLOAT", "DOUBLE", "BFLOAT")):
        return "float"
    return "whole" if word.startswith(("INT", "UINT")) else None
