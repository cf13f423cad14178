"""The weights of convolutions and products, as floats or as codes, with scales, axis and bias."""

# O output channels

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .fusion import PRODUCTS
from .graph import attribute, held, producers, readers

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto, TensorProto

# Operators on codes: where weight, scale, zero point and bias stand among their inputs.
QUANTIZED = {"QLinearConv": (3, 4, 5, 8), "QLinearMatMul": (3, 4, 5, 99), "QGemm": (3, 4, 5, 6)}
TURNING = ("Transpose", "Reshape")


@dataclass(frozen=True, kw_only=True)
class LayerWeight:
    """A constant that a convolution or product multiplies with."""

    layer: str
    values: NDArray[Any]
    """As the file holds them: floats, or codes."""
    scales: NDArray[Any] | None
    """Flat; None where the values are floats."""
    zeros: NDArray[Any]
    """Flat: the codes that stand for zero, one or one for each scale."""
    axis: int | None
    """Of the scales; None where there is one, or where a Transpose lies behind them."""
    channels: int
    """The axis of `values` along which lie the output channels."""
    biased: bool

    @property
    def dead(self) -> int:
        """Output channels with no weight but zero."""
        import numpy as np

        by_channel = np.moveaxis(self.values, self.channels, 0).reshape(
            self.values.shape[self.channels], -1
        )
        zeros = self.zeros if len(self.zeros) == len(by_channel) else self.zeros[:1]
        return int((by_channel == zeros[:, None]).all(axis=1).sum())


def layer_weights(graph: GraphProto) -> list[LayerWeight]:
    """One for each convolution and product with a constant weight, those of `graph` itself.

    The graph holds its weights: of a file with side files, load these first.
    """
    known, made_by, read_by = held(graph), producers(graph), readers(graph)
    found = []
    for node in graph.node:
        if node.op_type in PRODUCTS and len(node.input) > 1 and node.output:
            weight = _weight(node, known, made_by)
        elif node.op_type in QUANTIZED and node.output:
            weight = _quantized(node, known)
        else:
            continue
        if weight is not None:
            biased = _biased(node, known, made_by, read_by)
            found.append(LayerWeight(**weight, biased=biased))
    return found


def _weight(
    node: NodeProto, known: Mapping[str, TensorProto], made_by: Mapping[str, NodeProto]
) -> dict[str, Any] | None:
    import numpy as np

    through = made_by.get(node.input[1])
    turned: list[NodeProto] = []
    while through is not None and through.op_type in TURNING and through.input:
        turned.append(through)
        through = made_by.get(through.input[0])
    source = turned[-1].input[0] if turned else node.input[1]
    told: dict[str, Any] = {"scales": None, "zeros": np.zeros(1), "axis": None}
    if through is not None and through.op_type == "DequantizeLinear" and len(through.input) > 1:
        source, scale = through.input[0], known.get(through.input[1])
        zero = known.get(through.input[2]) if len(through.input) > 2 else None
        if scale is None:
            return None
        told = _scaled(scale, zero, None if turned else attribute(through, "axis", 1))
    if source not in known or not known[source].dims or 0 in known[source].dims:
        return None
    values = _array(known[source])
    channels = _channels(node, values.ndim)
    if turned:
        swaps = [n for n in turned if n.op_type == "Transpose"]
        plain = len(turned) == len(swaps) == 1
        channels = _before(swaps[0], channels, values.ndim) if plain else channels
    return {"layer": node.name or node.output[0], "values": values, "channels": channels, **told}


def _quantized(node: NodeProto, known: Mapping[str, TensorProto]) -> dict[str, Any] | None:
    weight, scale, zero = (
        known.get(node.input[place]) if place < len(node.input) else None
        for place in QUANTIZED[node.op_type][:3]
    )
    if weight is None or scale is None or not weight.dims or 0 in weight.dims:
        return None
    values = _array(weight)
    return {
        "layer": node.name or node.output[0],
        "values": values,
        "channels": _channels(node, values.ndim),
        **_scaled(scale, zero, None),
    }


def _scaled(scale: TensorProto, zero: TensorProto | None, axis: int | None) -> dict[str, Any]:
    import numpy as np

    scales = _array(scale).ravel()
    zeros = np.zeros(1) if zero is None else _array(zero).ravel()
    return {"scales": scales, "zeros": zeros, "axis": axis if len(scales) > 1 else None}


def _biased(
    node: NodeProto,
    known: Mapping[str, TensorProto],
    made_by: Mapping[str, NodeProto],
    read_by: Mapping[str, list[NodeProto]],
) -> bool:
    """A third input, or a constant that is added behind, as exporters write a linear layer on more
    than two axes; through Q/DQ too."""

    def constant(name: str) -> bool:
        through = made_by.get(name)
        if through is not None and through.op_type == "DequantizeLinear" and through.input:
            name = through.input[0]
        return name in known

    place = QUANTIZED[node.op_type][3] if node.op_type in QUANTIZED else 2
    if len(node.input) > place and node.input[place]:
        return True
    behind = read_by.get(node.output[0], [])
    if len(behind) != 1:
        return False
    # A BatchNorm that was not folded shifts as a bias does.
    added = behind[0].op_type == "Add" and any(map(constant, behind[0].input))
    return added or behind[0].op_type == "BatchNormalization"


def _channels(product: NodeProto, axes: int) -> int:
    """The axis of a weight, as the product reads it, along which lie its output channels."""
    if product.op_type in ("Gemm", "QGemm"):
        return 0 if attribute(product, "transB", 0) else 1
    if product.op_type in ("MatMul", "QLinearMatMul"):
        return axes - 1
    return 1 if product.op_type == "ConvTranspose" else 0


def _before(transpose: NodeProto, axis: int, axes: int) -> int:
    """Which axis of its input a Transpose hands on as `axis`."""
    order = next((list(a.ints) for a in transpose.attribute if a.name == "perm"), None)
    return axes - 1 - axis if order is None or len(order) != axes else int(order[axis])


def _array(tensor: TensorProto) -> NDArray[Any]:
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor)
