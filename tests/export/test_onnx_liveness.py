"""Activations alive at once, by hand: floats of 4 bytes, in graphs of a few nodes."""

from __future__ import annotations

import math

import onnx
import pytest
from onnx import parser

from edgestill.export.onnx_liveness import Unsized, peak_bytes

BYTES = {onnx.TensorProto.FLOAT: 4, onnx.TensorProto.UINT8: 1, onnx.TensorProto.INT8: 1}


def peak(text: str) -> int:
    imports = '["" : 21]'
    model = parser.parse_model(f"<ir_version: 10, opset_import: {imports}> main {text}")
    graph = onnx.shape_inference.infer_shapes(model).graph
    sizes: dict[str, int | None] = {
        value.name: BYTES[value.type.tensor_type.elem_type]
        * math.prod(axis.dim_value for axis in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    return peak_bytes(graph, sizes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # what is read and what is written, at the widest place
        (
            "(float[2] x) => (float[2] z) {y = Concat<axis=0>(x, x, x) z = ReduceMax(y)}",
            4 * (2 + 6),
        ),
        # in place, as often as one likes
        ("(float[8] x) => (float[8] z) {y = Relu(x) z = Sigmoid(y)}", 4 * 8),
        # not in place where the input is read again
        ("(float[8] x) => (float[8] z) {y = Relu(x) z = Add(x, y)}", 4 * 16),
        # a product is never in place
        ("(float[4,4] x) => (float[4,4] z) {z = MatMul(x, x)}", 4 * 32),
        # a view is no memory of its own, though both names are read again
        (
            "(float[8] x) => (float[8] z) <int64[2] s = {2, 4}>"
            " {v = Reshape(x, s) f = Flatten<axis=0>(v) w = Squeeze(f) z = Concat<axis=0>(x)}",
            4 * 16,
        ),
        # an output is kept to the end
        (
            "(float[4] x) => (float[8] y, float[8] z) {y = Concat<axis=0>(x, x)"
            " z = Concat<axis=0>(x, x)}",
            4 * (4 + 8 + 8),
        ),
        # a weight is no activation, however it is made
        (
            "(float[2] x) => (float[2] z) <int8[2] w = {1, 2}, float s = {1.0}>"
            " {f = DequantizeLinear(w, s) z = Mul(x, f)}",
            4 * 2,
        ),
        # between quantizer and dequantizer there are codes: 8 floats, then 16 bytes at most
        (
            "(float[8] x) => (float[8] z) <float s = {1.0}, uint8 o = {0}>"
            " {q = QuantizeLinear(x, s, o) d = DequantizeLinear(q, s, o)"
            "  y = Concat<axis=0>(d) r = Relu(y) p = QuantizeLinear(r, s, o)"
            "  z = DequantizeLinear(p, s, o)}",
            4 * 8 + 8,
        ),
    ],
)
def test_the_largest_sum_of_live_values(text: str, expected: int) -> None:
    assert peak(text) == expected


def test_a_float_that_is_read_beside_its_quantizer_is_kept_as_a_float() -> None:
    both = peak(
        "(float[8] x) => (float[8] z) <float s = {1.0}, uint8 o = {0}>"
        " {y = Concat<axis=0>(x) q = QuantizeLinear(y, s, o) d = DequantizeLinear(q, s, o)"
        "  z = Sub(y, d)}"
    )

    assert both == 4 * 16


def test_a_value_without_a_size_is_named() -> None:
    model = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> main (float[N] x) => (y) {y = Relu(x)}'
    )

    with pytest.raises(Unsized, match="x"):
        peak_bytes(model.graph, {"x": None})
