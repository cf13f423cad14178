"""Products for TensorRT: both inputs quantized or neither, and an output only where it is read so.

    Conv, ConvTranspose, MatMul, Gemm   every input from DQ, or none
    product -> Q -> DQ                  for a reader that computes in INT8, or for a residual Add
                                        that is not merged with the product itself

Source: "Q/DQ Layer-Placement Recommendations" in NVIDIA's developer guide. None of this stops a
build: what is found is slower than it could be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .fusion import PRODUCTS
from .tensorrt_finding import Finding, named

if TYPE_CHECKING:
    from onnx import NodeProto

    from .tensorrt_view import View

SOURCE = "Q/DQ placement in NVIDIA's developer guide"
# Computed in float there, whatever stands before them.
FLOAT_READERS = (
    *("Softmax", "LogSoftmax", "Sigmoid", "HardSigmoid", "Tanh", "Erf", "Gelu", "HardSwish"),
    *("LayerNormalization", "InstanceNormalization", "GroupNormalization", "ArgMax", "TopK"),
)


def product_findings(view: View) -> Iterator[Finding]:
    """At most one warning for each product."""
    for node in view.nodes:
        if node.op_type in PRODUCTS and (why := _half(view, node) or _needless(view, node)):
            yield Finding(
                node=named(node), op=node.op_type, severity="warning", why=why, source=SOURCE
            )


def _half(view: View, node: NodeProto) -> str:
    """One input quantized, the other not."""
    quantized = [_dequantized(view, name) for name in node.input[:2]]
    if len(quantized) < 2 or quantized[0] == quantized[1]:
        return ""
    what = ("input", "weight" if node.input[1] in view.foldable else "second input")
    place = quantized.index(False)
    return f"its {what[place]} {node.input[place]!r} has no Q/DQ and its {what[1 - place]} has"


def _needless(view: View, node: NodeProto) -> str:
    """An output of an INT8 product that is quantized for readers that make nothing of it."""
    if not all(_dequantized(view, name) for name in node.input[:2]):
        return ""
    quantize = _only_reader(view, node.output[0])
    if quantize is None or quantize.op_type != "QuantizeLinear":
        return ""
    dequantize = _only_reader(view, quantize.output[0])
    if dequantize is None or dequantize.op_type != "DequantizeLinear":
        return ""
    value = dequantize.output[0]
    after = view.read_by.get(value, [])
    if all(reader.op_type in FLOAT_READERS for reader in after):
        reader = f"{after[0].op_type} {named(after[0])}" if after else "the network's output"
        return f"its output has Q/DQ for {reader} alone, which is in float"
    if len(after) == 1 and after[0].op_type == "Add":
        others = [name for name in after[0].input if name != value]
        if others and all(_dequantized(view, name) for name in others):
            return (
                f"its output has Q/DQ before {named(after[0])}, whose other branch has too: "
                "without it the addition is merged into the product"
            )
    return ""


def _only_reader(view: View, name: str) -> NodeProto | None:
    after = view.read_by.get(name, [])
    return after[0] if len(after) == 1 and name not in view.outputs else None


def _dequantized(view: View, name: str) -> bool:
    node = view.made_by.get(name)
    return node is not None and node.op_type == "DequantizeLinear"
