"""Which constants of a file are weights: small graphs, one question each."""

from __future__ import annotations

import pytest
from onnx import ModelProto, parser

from edgestill.export.onnx_parameters import parameters, weights


def graph(text: str) -> ModelProto:
    imports = '["" : 21, "com.microsoft" : 1]'
    return parser.parse_model(f"<ir_version: 10, opset_import: {imports}> main {text}")


FOUR = "{1.0, 1.0, 1.0, 1.0}"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        # a weight and a bias
        (
            f"(float[N,2] x) => (y) <float[2,2] w = {FOUR}, float[2] b = {{1.0, 1.0}}>"
            " {y = Gemm(x, w, b)}",
            6,
        ),
        # a normalisation: scale and shift, not what it has seen
        (
            "(float[N,2] x) => (y) <float[2] s = {1.0, 1.0}, float[2] b = {0.0, 0.0},"
            " float[2] m = {0.0, 0.0}, float[2] v = {1.0, 1.0}>"
            " {y = BatchNormalization(x, s, b, m, v)}",
            4,
        ),
        # limits, scales, shapes and factors are settings
        (
            "(float[N,2] x) => (y) <float low = {0.0}, float high = {6.0}>"
            " {y = Clip(x, low, high)}",
            0,
        ),
        (
            "(float[1,1,2,2] x) => (y) <float[4] s = {1.0, 1.0, 2.0, 2.0}> {y = Resize(x, , s)}",
            0,
        ),
        ("(float[N,4] x) => (y) <int64[3] s = {-1, 2, 2}> {y = Reshape(x, s)}", 0),
        ("(float[N,4] x) => (y) <float half = {0.5}> {y = Mul(x, half)}", 0),
        # a table of positions is a weight, the indices into a table are not
        (f"(float[N,4] x) => (y) <float[4] p = {FOUR}> {{y = Add(x, p)}}", 4),
        (
            f"(float[N,2] x) => (z) <float[2,2] t = {FOUR}, int64[2] i = {{0, 1}}>"
            " {y = Gather(t, i) z = Add(x, y)}",
            4,
        ),
        # codes count, their scale and zero point do not
        (
            "(float[N,2] x) => (y) <int8[2,2] w = {1, 2, 3, 4}, float[2] s = {1.0, 1.0},"
            " int8[2] z = {0, 0}> {f = DequantizeLinear<axis=1>(w, s, z) y = MatMul(x, f)}",
            4,
        ),
        (
            "(float[N,2] x) => (y) <float[2] s = {1.0, 1.0}, uint8[2] z = {0, 0}>"
            " {q = QuantizeLinear<axis=1>(x, s, z) y = DequantizeLinear<axis=1>(q, s, z)}",
            0,
        ),
        # a float weight that is quantized in the graph
        (
            f"(float[N,2] x) => (y) <float[2,2] w = {FOUR}, float s = {{1.0}}, int8 z = {{0}}>"
            " {q = QuantizeLinear(w, s, z) f = DequantizeLinear(q, s, z) y = MatMul(x, f)}",
            4,
        ),
        (
            "(uint8[N,2] x) => (y) <int8[2,2] w = {1, 2, 3, 4}, uint8 z = {0}>"
            " {y = MatMulInteger(x, w, z)}",
            4,
        ),
        # a constant node, behind a reshape; read twice, it is one weight
        (
            "(float[N,2] x) => (z) <int64[2] s = {2, 2}>"
            f" {{c = Constant<value = float[4] {FOUR}>()"
            " w = Reshape(c, s) y = MatMul(x, w) z = MatMul(y, w)}",
            4,
        ),
        # what nothing reads is no part of the model
        (f"(float[N,4] x) => (y) <float[4] dead = {FOUR}> {{y = Relu(x)}}", 0),
        # two weights to a byte
        (
            "(float[N,16] x) => (y) <uint8[2,1,8] b, float[2] s = {1.0, 1.0}>"
            " {y = com.microsoft.MatMulNBits<K=16, N=2, bits=4, block_size=16>(x, b, s)}",
            32,
        ),
    ],
)
def test_weights_and_settings(text: str, count: int) -> None:
    model = graph(text)
    for name in ("b",) if "MatMulNBits" in text else ():
        tensor = model.graph.initializer.add(name=name, data_type=2, raw_data=bytes(16))
        tensor.dims.extend([2, 1, 8])

    assert parameters(model) == count


def test_a_weight_outside_of_the_branch_that_reads_it_counts_once() -> None:
    model = graph(
        f"(bool c, float[2,2] x) => (float[2,2] y) <float[2,2] w = {FOUR}> {{"
        " y = If (c) <"
        "  then_branch = yes () => (float[2,2] a) {a = MatMul(x, w)},"
        "  else_branch = no () => (float[2,2] b) {b = MatMul(w, x)}>}"
    )

    assert [*weights(model)] == [("w", 4)]
