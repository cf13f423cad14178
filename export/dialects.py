"""Dialects: one marked network and its ranges as the INT8 ONNX file that each runtime really fuses.

                activations                          residual Add     bias     after max-pool
    tensorrt    int8, zero point 0                   identity only    float    Q/DQ moved behind it
    ort-x86     uint8, zero point 0; signed: 128     both inputs      int32    Q/DQ on both sides
    ort-arm64   int8, zero point -128; signed: 0     both inputs      int32    Q/DQ on both sides

After ReLU the zero point is the type's lowest code, so ONNX Runtime takes the ReLU into the
convolution; all 256 codes then cover [0, amax]. Weights are int8 per output channel everywhere. The
three files of one network differ in encoding, not in what was learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from ..models.errors import BadInput
from .count_no_padding import count_no_padding
from .graph import attribute, copied, drop_unread_dequantizes, drop_unused_constants
from .integer_hard_sigmoid import integer_hard_sigmoid
from .keep_float import keep_float
from .markers import carry_markers, forget_domain, markers, point_of, remove_markers
from .pad_channels import pad_channels
from .quantize_activations import quantize_activations
from .quantize_weights import quantize_weights
from .strong_types import half_floats
from .targets import DIALECTS, TARGETS
from .tensorrt_refusals import refuse_what_tensorrt_refuses

if TYPE_CHECKING:
    from onnx import ModelProto

    from ..models.ranges import Ranges

FloatType = Literal["float32", "float16"]


def write_dialect(
    marked: ModelProto, ranges: Ranges, target: str, *, float_type: FloatType = "float32"
) -> ModelProto:
    """The INT8 network for `target`: a copy of `marked` (see `onnx_from_model`) with Q/DQ nodes.

    `float_type` is the type of what stays float inside, and of the steps of its Q/DQ nodes, as a
    strongly typed TensorRT network needs them; images and logits stay float32. "float16" is for
    `tensorrt` only, from version 10 on; "float32" is read by 8.6 to 11.

    Raises `BadInput` for an unknown target, a graph without markers, a point without a range, and
    for what the target cannot express, with the node's name.
    """
    if target not in DIALECTS:
        raise BadInput(f"unknown target {target!r}; known: {', '.join(TARGETS)}")
    if float_type not in get_args(FloatType):
        raise BadInput(f"unknown float type {float_type!r}; known: float32, float16")
    half = float_type == "float16"
    if half and target != "tensorrt":
        raise BadInput(
            f"float16 was asked for {target}: ONNX Runtime's CPU kernels compute in float32"
        )
    if not markers(marked.graph):
        raise BadInput("the ONNX graph has no markers: export a model made by fake_quant.prepare")
    missing = {point_of(node) for node in markers(marked.graph)} - set(ranges.activations)
    if missing:
        raise BadInput(
            f"no range for {len(missing)} of the network's points, such as {min(missing)!r}: "
            "these ranges belong to another network"
        )
    dialect = DIALECTS[target]
    model = copied(marked)
    graph = model.graph
    if not dialect.all_points:
        left_out = {m.output[0] for m in markers(graph) if not attribute(m, "tensorrt", 0)}
        remove_markers(graph, left_out)
    carry_markers(graph, repeat=dialect.all_points)
    quantize_activations(graph, ranges, dialect)
    quantize_weights(
        graph, ranges, kernels=dialect.kernels, integer_bias=dialect.integer_bias, half=half
    )
    if dialect.onnxruntime:
        integer_hard_sigmoid(graph)
        count_no_padding(graph)
        pad_channels(graph, dialect.input_channels)
        keep_float(graph)
    drop_unread_dequantizes(graph)
    drop_unused_constants(graph)
    forget_domain(model)
    if half:
        model = half_floats(model)
    if target == "tensorrt":
        refuse_what_tensorrt_refuses(model)
    model.metadata_props.add(key="edgestill.target", value=target)
    return model
