"""Operators of opset 18 and 19 --> the same operators as opset 13 to 17 define them.

Opset 18 gave them more: an input for the axes, more ways to resize, splits into unequal parts. A
node that does without says the same in the older form. TensorRT 8.6 reads opset 17, and torch's
exporter writes 18 at least.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .graph import attribute, constants

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

    Rewrite = Callable[[NodeProto, "Known"], str]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What of a graph is known without running it."""

    constants: Mapping[str, TensorProto]
    """Initializers by name."""
    shapes: Mapping[str, tuple[int | None, ...]]
    """Sizes by name of the value, as ONNX infers them; None where an axis is free."""


def lowered(node: NodeProto, newer: int, older: int, known: Known) -> str | None:
    """Rewrites `node` in place, from its definition of opset `newer` to that of `older`.

    "" if that is done, the reason if this node cannot be said in the older form, None if no way
    between these two definitions is known here.
    """
    rewrite = REWRITES.get((node.op_type, newer, older))
    return None if rewrite is None else rewrite(node, known)


def known_of(model: ModelProto) -> Known:
    """Constants of `model` and the shapes that ONNX infers."""
    from onnx import shape_inference

    graph: GraphProto = shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: tuple(
            int(axis.dim_value) if axis.HasField("dim_value") else None
            for axis in value.type.tensor_type.shape.dim
        )
        for value in (*graph.value_info, *graph.input)
    }
    return Known(constants=constants(model.graph), shapes=shapes)


def _reduce(node: NodeProto, known: Known) -> str:
    """Axes as an input --> as an attribute."""
    from onnx import helper, numpy_helper

    axes = node.input[1] if len(node.input) > 1 else ""
    if axes and axes not in known.constants:
        return "its axes are computed"
    if not axes and attribute(node, "noop_with_empty_axes", 0):
        return "without axes it does nothing"
    _drop(node, "noop_with_empty_axes")
    del node.input[1:]
    if axes:
        values = numpy_helper.to_array(known.constants[axes]).ravel().tolist()
        node.attribute.append(helper.make_attribute("axes", values))
    return ""


def _split(node: NodeProto, known: Known) -> str:
    """A number of parts --> none: opset 13 makes as many equal parts as there are outputs."""
    told = len(node.input) > 1 and node.input[1]
    shape = known.shapes.get(node.input[0], ())
    axis = attribute(node, "axis", 0)
    size = shape[axis] if -len(shape) <= axis < len(shape) else None
    if not told and (size is None or size % len(node.output)):
        return "its parts may be unequal"
    _drop(node, "num_outputs")
    return ""


def _pad(node: NodeProto, known: Known) -> str:
    if len(node.input) > 3 and node.input[3]:
        return "it pads some axes alone"
    del node.input[3:]
    return ""


def _scatter(node: NodeProto, known: Known) -> str:
    how = next((item.s for item in node.attribute if item.name == "reduction"), b"none")
    return f"it takes the {how.decode()}" if how in (b"min", b"max") else ""


def _resize(node: NodeProto, known: Known) -> str:
    if attribute(node, "antialias", 0):
        return "it smooths what it makes smaller"
    told = {item.name: item for item in node.attribute}
    if "axes" in told:
        return "it resizes some axes alone"
    if "keep_aspect_ratio_policy" in told and told["keep_aspect_ratio_policy"].s != b"stretch":
        return "it keeps the aspect ratio"
    for name in ("antialias", "keep_aspect_ratio_policy"):
        _drop(node, name)
    return ""


def _quantizer(node: NodeProto, known: Known) -> str:
    from onnx import TensorProto

    step = known.constants.get(node.input[1])
    if step is None or step.data_type != TensorProto.FLOAT:
        return "its step is float16" if step is not None else "its step is computed"
    _drop(node, "saturate")
    return ""


def _drop(node: NodeProto, name: str) -> None:
    for item in [item for item in node.attribute if item.name == name]:
        node.attribute.remove(item)


_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
REWRITES: dict[tuple[str, int, int], Rewrite] = {
    **{(f"Reduce{each}", 18, 13): _reduce for each in _REDUCTIONS},
    ("Split", 18, 13): _split,
    ("Pad", 18, 13): _pad,
    ("ScatterND", 18, 16): _scatter,
    ("ScatterElements", 18, 16): _scatter,
    ("Resize", 18, 13): _resize,
    ("QuantizeLinear", 19, 13): _quantizer,
    ("DequantizeLinear", 19, 13): _quantizer,
}
