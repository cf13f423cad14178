"""Reasons: which of ONNX Runtime's rules keeps an operation of a Q/DQ file in float.

The rules of its CPU provider (core/optimizer/qdq_transformer): an integer kernel exists for the
operation, every input comes from DequantizeLinear, the only reader of the output (or of the Relu or
Clip that alone reads it) is a QuantizeLinear of the same type, and what such a Relu or Clip cuts
off has no codes anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .fusion import PRODUCTS
from .graph import constants, outputs, producers, readers

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

INTEGER_KERNELS = (
    *(product for product in PRODUCTS if product != "ConvTranspose"),
    "Add",
    "Mul",
    "Concat",
    "AveragePool",
    "GlobalAveragePool",
    "Sigmoid",
    "LeakyRelu",
    "Softmax",
    "Where",
)


class Reasons:
    """The rules, applied to the nodes of one file."""

    def __init__(self, graph: GraphProto) -> None:
        self.made_by, self.read_by = producers(graph), readers(graph)
        self.known, self.outputs = constants(graph), outputs(graph)

    def why_float(self, node: NodeProto) -> str:
        """What in the file keeps ONNX Runtime from an integer kernel for `node`."""
        if node.op_type not in INTEGER_KERNELS:
            return f"ONNX Runtime has no integer kernel for {node.op_type}"
        data = node.input[:2] if node.op_type in PRODUCTS else node.input
        for name in data:
            if not self._quantized(name):
                return (
                    f"its {'weight' if name in self.known else 'input'} {name!r} is not quantized"
                )
        return self._output_of(node) or self._types_of(node) or "ONNX Runtime left it in float"

    def _output_of(self, node: NodeProto) -> str:
        """What is wrong after `node`, or ""."""
        value = node.output[0]
        after = self.read_by.get(value, [])
        if len(after) == 1 and after[0].op_type in ("Relu", "Clip"):
            activation = after[0]
            value = activation.output[0]
            after = self.read_by.get(value, [])
            quantized = after and all(reader.op_type == "QuantizeLinear" for reader in after)
            if quantized and (cut := self._cut(activation, after[0])):
                return cut
        if value in self.outputs or not after:
            return "its output is not quantized"
        others = [reader for reader in after if reader.op_type != "QuantizeLinear"]
        if others:
            return f"its output is not quantized: {others[0].name or others[0].op_type} reads it"
        return ""

    def _cut(self, activation: NodeProto, quantize: NodeProto) -> str:
        """Whether `activation` cuts off numbers that `quantize` has codes for."""
        scale, zero = (self._constant(name) for name in quantize.input[1:3])
        kind = np.iinfo(zero.dtype)
        lowest, highest = (float(scale) * (end - int(zero)) for end in (kind.min, kind.max))
        if activation.op_type == "Relu":
            return "the zero point after Relu is not the lowest code" if lowest < 0 else ""
        bounds = [self._constant(name) for name in activation.input[1:3] if name in self.known]
        if len(bounds) < 2:
            return ""
        least, most = map(float, bounds)
        # ONNX Runtime compares without tolerance.
        if lowest < least or highest > most:
            return (
                f"Clip to [{least:g}, {most:g}] cuts off codes, "
                f"which reach from {lowest:.6g} to {highest:.6g}"
            )
        return ""

    def _types_of(self, node: NodeProto) -> str:
        """Whether the codes before and after `node` have two types."""
        (after, *_) = self.read_by[node.output[0]]
        if after.op_type != "QuantizeLinear":
            (after, *_) = self.read_by[after.output[0]]
        types = [
            str(self._constant(each.input[2]).dtype)
            for each in (self.made_by[node.input[0]], after)
            if len(each.input) > 2
        ]
        if len(set(types)) == 2:
            return f"its input has {types[0]} codes and its output {types[1]} codes"
        return ""

    def _quantized(self, name: str) -> bool:
        return name in self.made_by and self.made_by[name].op_type == "DequantizeLinear"

    def _constant(self, name: str) -> np.ndarray[Any, Any]:
        from onnx import numpy_helper

        return numpy_helper.to_array(self.known[name])
