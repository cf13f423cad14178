"""Multiply-accumulates of one ONNX operator, from the shapes of its inputs and outputs.

fvcore's count where it has one: a convolution or product counts one for each multiplication with a
weight, biases nothing. Operators that do arithmetic of another kind, element by element, count 0.
"""

# N batch, C channels, K the axis that a product sums over

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from .graph import attribute

if TYPE_CHECKING:
    from onnx import NodeProto

Shape = tuple[int, ...]
ShapeOf = Callable[[str], Shape]
"""The shape of a value by its name; raises where it is not known."""

MICROSOFT = "com.microsoft"
STANDARD = ("", "ai.onnx")


def macs(node: NodeProto, shape: ShapeOf) -> int | None:
    """Multiply-accumulates of one call; None for an operator that multiplies in a way not known
    here, or that only its own library knows."""
    if node.domain not in (*STANDARD, MICROSOFT):
        return None
    rules = ONNXRUNTIME_RULES if node.domain == MICROSOFT else RULES
    if node.op_type in rules:
        return rules[node.op_type](node, shape)
    return None if HEAVY_WORDS.search(node.op_type) else 0


def _convolution(weight: int) -> Callable[[NodeProto, ShapeOf], int]:
    """Each output element sums over one filter, (C_in / groups, kernel...)."""

    def count(node: NodeProto, shape: ShapeOf) -> int:
        return math.prod(shape(node.output[0])) * math.prod(shape(node.input[weight])[1:])

    return count


def _transposed(node: NodeProto, shape: ShapeOf) -> int:
    """Each input element is spread over one filter, (C_out / groups, kernel...)."""
    return math.prod(shape(node.input[0])) * math.prod(shape(node.input[1])[1:])


def _product(node: NodeProto, shape: ShapeOf) -> int:
    """Each output element sums over the last axis of the first input, or the one before it."""
    left = shape(node.input[0])
    turned = attribute(node, "transA", 0) and len(left) > 1
    return math.prod(shape(node.output[0])) * left[-2 if turned else -1]


def _fused_product(node: NodeProto, shape: ShapeOf) -> int | None:
    swapped = attribute(node, "transBatchA", 0) or attribute(node, "transBatchB", 0)
    return None if swapped else _product(node, shape)


def _recurrent(node: NodeProto, shape: ShapeOf) -> int:
    """Every step multiplies with W and R, (directions, gates, ...) each."""
    steps, rows = _steps(node, shape)
    return steps * rows * sum(math.prod(shape(name)) for name in node.input[1:3])


def _steps(node: NodeProto, shape: ShapeOf) -> tuple[int, int]:
    first, second = shape(node.input[0])[:2]
    return (second, first) if attribute(node, "layout", 0) else (first, second)


def _attention(node: NodeProto, shape: ShapeOf) -> int:
    """Queries times keys, and that times values: (N, heads, L, d), or (N, L, heads d)."""
    query, keys = shape(node.input[0]), shape(node.input[1])
    given = shape(node.output[0])
    past = 0
    if len(node.input) > 4 and node.input[4]:
        past = shape(node.input[4])[2]
    length = keys[-2] + past
    if len(query) == 3:
        return query[0] * query[1] * length * (query[2] + given[2])
    return math.prod(query[:3]) * length * (query[3] + given[3])


def _einsum(node: NodeProto, shape: ShapeOf) -> int | None:
    """The product of the sizes of all letters, for two inputs; None for more or for "..."."""
    equation = next((item.s.decode() for item in node.attribute if item.name == "equation"), "")
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    if "..." in equation or len(terms) != len(node.input) or len(terms) > 2:
        return None
    sizes: dict[str, int] = {}
    for term, name in zip(terms, node.input, strict=True):
        sizes.update(zip(term, shape(name), strict=True))
    return math.prod(sizes.values()) if len(terms) == 2 else 0


RULES: dict[str, Callable[[NodeProto, ShapeOf], int | None]] = {
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "DeformConv": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed,
    "Gemm": _product,
    "MatMul": _product,
    "MatMulInteger": _product,
    "QLinearMatMul": _product,
    "Einsum": _einsum,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "Attention": _attention,
}
ONNXRUNTIME_RULES: dict[str, Callable[[NodeProto, ShapeOf], int | None]] = {
    "FusedConv": _convolution(1),
    "NhwcFusedConv": _convolution(1),
    "NhwcConv": _convolution(1),
    "QLinearConv": _convolution(3),
    "QGemm": _product,
    "FusedGemm": _product,
    "FusedMatMul": _fused_product,
    "FusedMatMulActivation": _fused_product,
    "TransposeMatMul": _product,
    "MatMulIntegerToFloat": _product,
    "DynamicQuantizeMatMul": _product,
    "MatMulNBits": _product,
}
HEAVY_WORDS = re.compile(
    "Attention|Conv|MatMul|Gemm|LSTM|GRU|RNN|DFT|STFT|FFT|MoE|Decode|GatedDelta|Det$"
)
"""In the name of an operator that multiplies a lot, if it is not counted above."""
