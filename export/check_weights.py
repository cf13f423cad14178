"""The lines of a check about weights in 8 bits: how finely they are quantized, and how well."""

# O output channels

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .check_report import Line, Skip, judged
from .check_subject import Subject
from .graph import attribute, constants, producers, readers

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# A scale chosen by least squared error lets some codes saturate, at most one in a channel of nine
# weights. Half as large a scale as that puts a third of normally distributed weights at the ends.
LARGEST_SATURATED_SHARE = 0.25
# A scale as large as this leaves less than 6 of 8 bits.
SMALLEST_LARGEST_CODE = 32


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """A weight that is stored in 8 bits."""

    layer: str
    codes: NDArray[Any]
    scales: int
    """How many scales it has."""
    axis: int | None
    """Of its scales; None where it has one, or a shape of its own between it and the product."""
    channels: int
    """The axis of its output channels."""


def weights(subject: Subject) -> Line:
    """Weights have a scale for each output channel, if the contract asks for that."""
    found = _found(subject)
    coarse = [each.layer for each in found if each.scales == 1 and max(each.codes.shape) > 1]
    asked = subject.contract.weights
    return judged(
        "weights",
        not coarse or asked != "per-channel",
        found=f"{len(found) - len(coarse)} of {len(found)} weights per channel"
        + (f"; per tensor: {_some(coarse)}" if coarse else ""),
        expected=f"{asked} scales",
        figures={"per_tensor": len(coarse), "total": len(found)},
    )


def zero_channels_max(subject: Subject) -> Line:
    """Few enough output channels compute nothing: all their weights are zero."""
    limit = subject.contract.zero_channels_max or 0
    dead = {
        name: count for name, count in zero_channels(subject.whole_proto.graph).items() if count
    }
    count = sum(dead.values())
    told = _some([f"{name} has {number}" for name, number in dead.items()])
    return judged(
        "zero_channels_max",
        count <= limit,
        found=f"{count} channels are all zero" + (f": {told}" if told else ""),
        expected=f"<= {limit}",
        figures={"zero_channels": count, "limit": limit},
    )


def biased_layers_min(subject: Subject) -> Line:
    """Enough convolutions and products have a bias: one that is lost in 8 bits hardly shows."""
    limit = subject.contract.biased_layers_min or 0
    biased, total = biased_layers(subject.proto.graph)
    return judged(
        "biased_layers_min",
        biased >= limit,
        found=f"{biased} of {total} convolutions and products have a bias",
        expected=f">= {limit}",
        figures={"biased_layers": biased, "total": total, "limit": limit},
    )


def weight_codes(subject: Subject) -> Line:
    """The codes of quantized weights fill their range, and do not crowd at its ends."""
    import numpy as np

    found = _found(subject)
    wrong = []
    for each in found:
        if each.axis is not None and each.axis % each.codes.ndim != each.channels:
            wrong.append(
                f"{each.layer}: scales along axis {each.axis}, output channels are {each.channels}"
            )
            continue
        info = np.iinfo(each.codes.dtype)
        middle = 0 if info.min else 128
        apart = np.abs(each.codes.astype(np.int32) - middle)
        share = float((apart >= 127).mean())
        if share > LARGEST_SATURATED_SHARE and each.codes.size > each.scales * 4:
            wrong.append(f"{each.layer}: {share:.0%} of the codes are at the ends")
        elif 0 < apart.max() < SMALLEST_LARGEST_CODE:
            wrong.append(f"{each.layer}: the largest code is {apart.max()} of 127")
    return judged(
        "weight_codes",
        not wrong,
        found=_some(wrong) if wrong else f"{len(found)} weights use their codes",
        expected=f"at most {LARGEST_SATURATED_SHARE:.0%} of a weight's codes at the ends, and the"
        f" largest at least {SMALLEST_LARGEST_CODE}",
        figures={"wrong": len(wrong), "total": len(found)},
    )


def _found(subject: Subject) -> list[Quantized]:
    found = list(quantized_weights(subject.proto.graph))
    if not found:
        raise Skip("no convolution or product has weights in 8 bits")
    return found


def quantized_weights(graph: GraphProto) -> list[Quantized]:
    """Weights that products read through DequantizeLinear, and those of QLinear operators."""
    from onnx import TensorProto, numpy_helper

    known, made_by = constants(graph), producers(graph)
    found = []
    for node in graph.node:
        if node.op_type in PRODUCTS and len(node.input) > 1:
            through = made_by.get(node.input[1])
            direct = through is not None and through.op_type == "DequantizeLinear"
            while through is not None and through.op_type in ("Transpose", "Reshape"):
                through = made_by.get(through.input[0])
            if through is None or through.op_type != "DequantizeLinear":
                continue
            codes, scale = known.get(through.input[0]), known.get(through.input[1])
            axis = attribute(through, "axis", 1) if direct else None
        elif node.op_type in ("QLinearConv", "QLinearMatMul") and len(node.input) > 4:
            codes, scale = known.get(node.input[3]), known.get(node.input[4])
            axis = None
        else:
            continue
        if (
            codes is None
            or scale is None
            or TensorProto.EXTERNAL
            in (
                codes.data_location,
                scale.data_location,
            )
        ):
            continue
        if codes.data_type in (TensorProto.INT8, TensorProto.UINT8) and 0 not in codes.dims:
            found.append(
                Quantized(
                    layer=node.name or node.output[0],
                    codes=numpy_helper.to_array(codes),
                    # A largest weight for all channels, written once for each, is one scale.
                    scales=(many := len(set(numpy_helper.to_array(scale).ravel().tolist()))),
                    axis=axis if many > 1 else None,
                    channels=_channels(node, len(codes.dims)),
                )
            )
    return found


def biased_layers(graph: GraphProto) -> tuple[int, int]:
    """How many convolutions and products with weights have a bias, and how many there are.

    A bias is the third input, or a constant that is added behind, as exporters write a linear
    layer on more than two axes; through Q/DQ, too.
    """
    known, made_by, read_by = constants(graph), producers(graph), readers(graph)

    def constant(name: str) -> bool:
        through = made_by.get(name)
        if through is not None and through.op_type == "DequantizeLinear":
            name = through.input[0]
        return name in known

    biased = total = 0
    for node in graph.node:
        if node.op_type not in PRODUCTS or len(node.input) < 2 or not constant(node.input[1]):
            continue
        total += 1
        behind = read_by.get(node.output[0], [])
        biased += (len(node.input) > 2 and bool(node.input[2])) or (
            len(behind) == 1 and behind[0].op_type == "Add" and any(map(constant, behind[0].input))
        )
    return biased, total


def zero_channels(graph: GraphProto) -> dict[str, int]:
    """How many output channels of each convolution and product have no weight but zero."""
    from onnx import numpy_helper

    known, made_by = constants(graph), producers(graph)
    found = {}
    for node in graph.node:
        if node.op_type not in PRODUCTS or len(node.input) < 2:
            continue
        name, middle = node.input[1], 0.0
        through = made_by.get(name)
        if through is not None and through.op_type == "DequantizeLinear":
            zero = known.get(through.input[2]) if len(through.input) > 2 else None
            middle = 0.0 if zero is None else numpy_helper.to_array(zero).ravel()[0]
            name = through.input[0]
        if name not in known or 0 in known[name].dims or not known[name].dims:
            continue
        weight = numpy_helper.to_array(known[name])
        axis = _channels(node, weight.ndim)
        rest = tuple(other for other in range(weight.ndim) if other != axis)
        found[node.name or node.output[0]] = int((weight == middle).all(axis=rest).sum())
    return found


def _channels(product: NodeProto, axes: int) -> int:
    """The axis of a weight along which lie the product's output channels."""
    if product.op_type == "Gemm":
        return 0 if attribute(product, "transB", 0) else 1
    if product.op_type in ("MatMul", "QLinearMatMul"):
        return axes - 1
    return 1 if product.op_type == "ConvTranspose" else 0


def _some(items: list[str]) -> str:
    return "; ".join(items[:3]) + (f" and {len(items) - 3} more" if len(items) > 3 else "")
