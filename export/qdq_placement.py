"""Q/DQ nodes at the wrong place: what a runtime must compute in float although it has INT8 kernels.

    ONNX Runtime   Add, Mul, Concat                every input from DQ, a product's too
                   product or Add -> Relu -> Q     the zero point is the lowest code
    TensorRT       product -> Add                  the other input from DQ, the product's own not

Sources: core/optimizer/qdq_transformer of ONNX Runtime; "Q/DQ Layer-Placement Recommendations" in
NVIDIA's developer guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .fusion import PRODUCTS
from .graph import constants, outputs, producers, readers
from .targets import DIALECTS
from .tensorrt_view import numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto

JOINING = ("Add", "Mul", "Concat")
RECTIFIERS = ("Relu", "Clip")


def misplaced(graph: GraphProto, target: str) -> list[str]:
    """A sentence per fault, "NODE: what is wrong"; none in a file without products in INT8.

    target: tensorrt | ort-x86 | ort-arm64.
    """
    placement = _Placement(graph)
    nodes = [node for node in graph.node if len(node.input) > 1 and node.output]
    if not any(placement.in_integers(node) for node in nodes):
        return []
    if not DIALECTS[target].onnxruntime:
        return [
            f"{node.name or node.output[0]}: {fault}"
            for node in nodes
            if node.op_type == "Add" and (fault := placement.tensorrt_add(node))
        ]
    return [
        f"{node.name or node.output[0]}: {fault}"
        for node in nodes
        if (fault := placement.one_branch(node) or placement.cut_off(node))
    ]


class _Placement:
    def __init__(self, graph: GraphProto) -> None:
        # A node without inputs or outputs is broken, or a Constant; nothing is placed around it.
        made = producers(graph).items()
        self.made_by = {name: node for name, node in made if node.input}
        self.read_by = {
            name: [node for node in nodes if node.output] for name, nodes in readers(graph).items()
        }
        self.known, self.outputs = constants(graph), outputs(graph)
        for node in graph.node:
            if node.op_type == "Constant" and node.output:
                name = node.output[0]
                self.known.update((name, a.t) for a in node.attribute if a.name == "value")

    def in_integers(self, node: NodeProto) -> bool:
        """Whether `node` is a product whose inputs are all dequantized."""
        return (
            node.op_type in PRODUCTS
            and len(node.input) > 1
            and all(map(self._dequantized, node.input[:2]))
        )

    def one_branch(self, node: NodeProto) -> str:
        """ONNX Runtime: one input has Q/DQ, and the float result of a product is another."""
        if node.op_type not in JOINING or not any(map(self._dequantized, node.input)):
            return ""
        for name in node.input:
            product = self._product(name)
            if product is not None and self.in_integers(product):
                return (
                    f"Q/DQ on one branch only: the output of {_called(product)} has none, so both "
                    "are computed in float"
                )
        return ""

    def cut_off(self, node: NodeProto) -> str:
        """ONNX Runtime: a Relu cuts off numbers that the Q behind it has codes for."""
        if node.op_type not in JOINING and not self.in_integers(node):
            return ""
        after = self._only_reader(node.output[0])
        if (
            after is None
            or after.op_type != "Relu"
            or not all(map(self._dequantized, node.input[:2]))
        ):
            return ""
        quantize = next(iter(self.read_by.get(after.output[0], [])), None)
        if quantize is None or quantize.op_type != "QuantizeLinear" or len(quantize.input) < 3:
            return ""
        zero = self._number(quantize.input[2])
        if zero is None or not zero.size or zero.dtype.kind not in "iu":
            return ""
        lowest = np.iinfo(zero.dtype).min
        if int(zero.flat[0]) == lowest:
            return ""
        return (
            f"the zero point after its Relu is {int(zero.flat[0])}, not the lowest code {lowest}, "
            "so both are computed in float"
        )

    def tensorrt_add(self, node: NodeProto) -> str:
        """TensorRT: a product takes the Add into its kernel if the other input is dequantized."""
        branches = [name for name in node.input if name not in self.known]
        if len(branches) != 2:
            return ""
        plain = [name for name in branches if not self._dequantized(name)]
        merged = [name for name in branches if self._merges(name)]
        if merged and len(plain) == 2:
            other = next((name for name in plain if name not in merged), plain[0])
            return f"its other branch {other!r} has no Q/DQ, so the addition is in float"
        for branch, other in (branches, branches[::-1]):
            product = self._quantized_product(branch)
            if product is None or self._dequantized(other) or other not in self._before(product):
                continue
            return (
                f"Q/DQ on the branch of {_called(product)}, none on the identity {other!r}; "
                "the identity is the one to quantize"
            )
        return ""

    def _merges(self, name: str) -> bool:
        """Whether a value is the output of an INT8 product that nothing else reads."""
        made = self.made_by.get(name)
        return made is not None and self.in_integers(made) and self._only_reader(name) is not None

    def _product(self, name: str) -> NodeProto | None:
        """The product behind a float value, a Relu or Clip between them or not."""
        node = self.made_by.get(name)
        if node is not None and node.op_type in RECTIFIERS:
            node = self.made_by.get(node.input[0])
        # ONNX Runtime has no integer kernel for transposed convolutions.
        return node if node is not None and node.op_type != "ConvTranspose" else None

    def _quantized_product(self, name: str) -> NodeProto | None:
        """product -> Q -> DQ -> `name`: the product, if all its inputs are dequantized too."""
        node = self.made_by.get(name)
        for wanted in ("DequantizeLinear", "QuantizeLinear"):
            if node is None or node.op_type != wanted:
                return None
            node = self.made_by.get(node.input[0])
        return node if node is not None and self.in_integers(node) else None

    def _before(self, node: NodeProto) -> set[str]:
        """Every value that `node` is computed from."""
        seen: set[str] = set()
        waiting = list(node.input)
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            if (made := self.made_by.get(name)) is not None:
                waiting += made.input
        return seen

    def _only_reader(self, name: str) -> NodeProto | None:
        after = self.read_by.get(name, [])
        return after[0] if len(after) == 1 and name not in self.outputs else None

    def _dequantized(self, name: str) -> bool:
        node = self.made_by.get(name)
        return node is not None and node.op_type == "DequantizeLinear"

    def _number(self, name: str) -> NDArray[Any] | None:
        return numbers(self.known[name]) if name in self.known else None


def _called(node: NodeProto) -> str:
    return f"{node.op_type} {node.name or node.output[0]}"
