"""The cost of an ONNX file: as fvcore counts real exports, and small graphs by hand."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torchvision
from onnx import ModelProto, numpy_helper, parser
from torch import nn

from edgestill.export.check_report import Skip
from edgestill.export.dialects import write_dialect
from edgestill.export.onnx_cost import OnnxCost, inlined, onnx_cost, unknown_values
from edgestill.export.seen_shapes import with_seen_shapes
from edgestill.export.sized import sized
from edgestill.export.targets import TARGETS
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.cost import cost
from edgestill.models.fake_quant import calibrate, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import ranges_of
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet

SPEC = WideResNet(blocks=(1, 1, 1), widths=(8, 16, 32), image_size=16)
SHAPE = (3, 16, 16)


def cost_of(model: ModelProto, shape: tuple[int, ...] = SHAPE) -> OnnxCost:
    """The cost for one sample of a model with one input, as a check comes by it."""
    name = model.graph.input[0].name
    light = inlined(sized(model, {name: shape}, batch=1, whole=False))
    if missing := unknown_values(light):
        feeds = {name: np.zeros((1, *shape), np.float32)}
        light = with_seen_shapes(light, missing, feeds, run=inlined(model), folder=Path())
    return onnx_cost(light)


def by_fvcore(model: nn.Module, shape: tuple[int, ...]) -> tuple[dict[str, int], int]:
    """fvcore's count by operator, and its parameters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore's own; see models/measure.py
        from fvcore.nn import FlopCountAnalysis, parameter_count

        counted = FlopCountAnalysis(model, (torch.zeros(1, *shape),))
        counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        by_operator = {kind: int(macs) for kind, macs in counted.by_operator().items()}
        return by_operator, int(parameter_count(model)[""])


def products(by_operator: dict[str, int]) -> int:
    """The part of fvcore's count that is products: no normalisation, no pooling."""
    kinds = ("conv", "linear", "addmm", "matmul", "bmm", "einsum")
    return sum(by_operator.get(kind, 0) for kind in kinds)


def stirred(model: nn.Module) -> nn.Module:
    """`model` with no parameter left at zero or one: an export may drop biases that are zero."""
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for values in model.parameters():
            values.add_(0.01 * torch.rand(values.shape, generator=chance))
    return model.eval()


def student() -> nn.Module:
    return stirred(build(SPEC, seed=0))


@pytest.fixture(scope="module")
def exported() -> ModelProto:
    """A WRN-10 as onnx_from_model writes it, BatchNorm folded where it follows a convolution."""
    return onnx_from_model(student(), SHAPE)


def test_a_wide_residual_network_costs_what_its_spec_says(exported: ModelProto) -> None:
    by_operator, _ = by_fvcore(student(), SHAPE)
    closed = cost(SPEC)

    found = cost_of(exported)

    # What the spec counts beside products: two for each element that a BatchNorm writes, one for
    # each that the pooling reads.
    apart = by_operator["batch_norm"] + by_operator["adaptive_avg_pool2d"]
    assert found.macs == products(by_operator) == closed.macs - apart
    assert 4 * found.parameters == closed.bytes_fp32
    assert found.peak_activation_bytes == closed.peak_activation_bytes
    assert (found.uncounted, found.counted_once, found.unsized) == ((), (), "")


def test_folding_takes_a_scale_and_a_shift_and_leaves_a_bias(exported: ModelProto) -> None:
    _, params = by_fvcore(student(), SHAPE)
    channels = sum(m.num_features for m in student().modules() if isinstance(m, nn.BatchNorm2d))

    assert params == cost(SPEC).params
    assert cost_of(exported).parameters == params - 2 * channels + channels


def test_the_layers_add_up_and_have_the_files_names(exported: ModelProto) -> None:
    found = cost_of(exported)

    assert sum(layer.macs for layer in found.by_layer) == found.macs
    assert [layer.operator for layer in found.by_layer] == ["Conv"] * 10 + ["Gemm"]
    assert [layer.name for layer in found.by_layer] == [
        node.name for node in exported.graph.node if node.op_type in ("Conv", "Gemm")
    ]


def test_int8_costs_as_many_products_and_a_quarter_of_the_memory(exported: ModelProto) -> None:
    whole = cost_of(exported)
    prepared = prepare(fold_batch_norm(student()))
    calibrate(prepared, [torch.randn((16, *SHAPE), generator=torch.Generator().manual_seed(0))])
    marked, ranges = onnx_from_model(prepared, SHAPE), ranges_of(prepared)

    found = {target: cost_of(write_dialect(marked, ranges, target)) for target in TARGETS}

    # The first convolution of the x86 file reads a fourth channel, of zeros.
    pixels, filters = 16 * 16, SPEC.stem * 3 * 3
    assert found["ort-x86"].macs == whole.macs + pixels * filters
    assert found["ort-x86"].parameters == whole.parameters + filters
    for target in ("tensorrt", "ort-arm64"):
        assert (found[target].macs, found[target].parameters) == (whole.macs, whole.parameters)
    peaks = {target: each.peak_activation_bytes or 0 for target, each in found.items()}
    assert 4 * peaks["ort-x86"] == 4 * peaks["ort-arm64"] == whole.peak_activation_bytes
    # There the residual branch stays in float up to the sum.
    assert peaks["tensorrt"] > peaks["ort-x86"]


class Zoo(nn.Module):
    """Kinds of products that classifiers seldom have."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(4, 8, 3, stride=2, padding=2, dilation=2, groups=2)
        self.up = nn.ConvTranspose2d(8, 6, 3, stride=2, groups=2)
        self.line = nn.Conv1d(6, 5, 3, bias=False)
        self.linear = nn.Linear(5, 7)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.line(self.up(self.grouped(images)).flatten(2))
        x = self.linear(x.transpose(1, 2))
        scores = torch.matmul(x, x.transpose(1, 2)).softmax(-1)
        return torch.einsum("bji,bjk->bik", scores, x) + torch.bmm(scores, x)


def export(model: nn.Module, shape: tuple[int, ...]) -> ModelProto:
    """As torch's own exporter writes it."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of parts of itself that are deprecated
        program = torch.onnx.export(model, (torch.zeros(1, *shape),), dynamo=True, verbose=False)
    assert program is not None
    return program.model_proto


def test_every_kind_of_product_counts_as_in_fvcore() -> None:
    model, shape = Zoo().eval(), (4, 6, 6)
    by_operator, params = by_fvcore(model, shape)

    found = cost_of(export(model, shape), shape)

    assert found.macs == products(by_operator)
    assert found.parameters == params


# benchmarks/onnx_cost.py has fifteen; they take minutes to export.
@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet18"])
def test_torchvisions_networks_cost_what_fvcore_counts(name: str) -> None:
    shape = (3, 32, 32)
    model = stirred(getattr(torchvision.models, name)(weights=None, num_classes=10))
    by_operator, params = by_fvcore(model, shape)
    norms = sum(m.num_features for m in model.modules() if isinstance(m, nn.BatchNorm2d))

    found = cost_of(export(model, shape), shape)

    assert found.macs == products(by_operator)
    assert found.parameters == params - 2 * norms + norms  # each was folded into a convolution


def graph(text: str, *, opset: int = 21) -> ModelProto:
    """A model from ONNX text: `(inputs) => (outputs) <initializers> { nodes }`."""
    imports = f'["" : {opset}, "com.microsoft" : 1, "ours" : 1]'
    return parser.parse_model(f"<ir_version: 10, opset_import: {imports}> main {text}")


Q = "float xs = {0.1}, uint8 xz = {0}, float ws = {0.1}, int8 wz = {0}, float ys = {0.1}"


@pytest.mark.parametrize(
    ("text", "macs"),
    [
        # 2x2 windows at 3x3 places, 4 channels into 5
        (
            f"(uint8[1,4,4,4] x) => (y) <int8[5,4,2,2] w, {Q}, uint8 yz = {{0}}>"
            " {y = QLinearConv(x, xs, xz, w, ws, wz, ys, yz)}",
            5 * 3 * 3 * 4 * 2 * 2,
        ),
        ("(uint8[1,4,4,4] x) => (y) <int8[5,4,2,2] w> {y = ConvInteger(x, w)}", 5 * 9 * 16),
        ("(uint8[6,4] x) => (y) <int8[4,3] w> {y = MatMulInteger(x, w)}", 6 * 4 * 3),
        (
            f"(uint8[6,4] x) => (y) <int8[4,3] w, {Q}, uint8 yz = {{0}}>"
            " {y = QLinearMatMul(x, xs, xz, w, ws, wz, ys, yz)}",
            6 * 4 * 3,
        ),
        (
            "(float[2,1,6,4] x, float[3,4,5] v) => (y) {y = MatMul(x, v)}",
            2 * 3 * 6 * 4 * 5,
        ),
        ("(float[4] x, float[4] v) => (y) {y = MatMul(x, v)}", 4),
        ("(float[4,6] x, float[3,4] v) => (y) {y = Gemm<transA=1, transB=1>(x, v)}", 6 * 4 * 3),
        (
            "(float[5,2,3] x) => (y) <float[1,16,3] w, float[1,16,4] r>"
            " {y = LSTM<hidden_size=4>(x, w, r)}",
            5 * 2 * (16 * 3 + 16 * 4),
        ),
        # queries times keys, 3 x 7 x 8, and that times values, 3 x 7 x 6; 2 samples of 2 heads
        (
            "(float[2,2,3,8] q, float[2,2,7,8] k, float[2,2,7,6] v) => (y)"
            " {y = Attention(q, k, v)}",
            2 * 2 * (3 * 7 * 8 + 3 * 7 * 6),
        ),
    ],
)
def test_products_by_hand(text: str, macs: int) -> None:
    found = onnx_cost(onnx.shape_inference.infer_shapes(graph(text, opset=23)))

    assert found.macs == macs


def test_onnxruntimes_own_operators_count_with_the_shapes_of_a_run() -> None:
    model = graph(
        f"(uint8[6,4] x) => (z) <int8[4,3] w, {Q}, uint8 yz = {{0}}>"
        " {y = com.microsoft.QGemm(x, xs, xz, w, ws, wz, , ys, yz)"
        "  f = DequantizeLinear(y, ys, yz)"
        "  z = com.microsoft.FusedMatMul<transA=1>(f, f)}"
    )
    inferred = onnx.shape_inference.infer_shapes(model)
    codes = numpy_helper.from_array(np.ones((4, 3), np.int8), "w")
    model.graph.initializer.append(codes)

    feeds = {"x": np.ones((6, 4), np.uint8)}
    seen = with_seen_shapes(model, unknown_values(inferred), feeds, run=model, folder=Path())

    assert unknown_values(inferred) == ["y", "f", "z"]
    assert onnx_cost(seen).macs == 6 * 4 * 3 + 3 * 6 * 3


def test_both_branches_of_an_if_count_once_and_are_told() -> None:
    model = graph(
        "(bool c, float[2,3] x) => (float[2,4] y) <float[3,4] w> {"
        " y = If (c) <"
        "  then_branch = yes () => (float[2,4] a) {a = MatMul(x, w)},"
        "  else_branch = no () => (float[2,4] b) {m = MatMul(x, w) b = Relu(m)}>}"
    )

    found = onnx_cost(onnx.shape_inference.infer_shapes(model))

    assert found.macs == 2 * (2 * 3 * 4)
    assert set(found.counted_once) == {"MatMul -> a", "MatMul -> m"}
    # x, and the larger branch's product, or the output
    assert found.peak_activation_bytes == 1 + 4 * (6 + 8)


def test_a_function_counts_where_it_is_called() -> None:
    model = graph(
        "(float[2,3] x) => (y) <float[3,3] w> {a = ours.twice(x, w) y = ours.twice(a, w)}"
    )
    model.functions.append(
        parser.parse_function(
            '<domain: "ours", opset_import: ["" : 21]>'
            " twice (x, w) => (y) {a = MatMul(x, w) y = MatMul(a, w)}"
        )
    )

    assert onnx_cost(inlined(model)).macs == 4 * (2 * 3 * 3)


@pytest.mark.parametrize(
    "node", ["ours.Convolve(x)", "com.microsoft.Attention(x, x, x)", "STFT(x, x)"]
)
def test_what_multiplies_in_an_unknown_way_is_told(node: str) -> None:
    model = graph(f"(float[2,3] x) => (float[2,3] y) {{y = {node}}}")

    found = onnx_cost(model)

    assert (found.macs, len(found.uncounted)) == (0, 1)
    assert found.uncounted[0].startswith(node.partition("(")[0].rpartition(".")[2] + " -> y")


def test_an_unknown_shape_is_named() -> None:
    model = graph("(float[N,3] images) => (y) <float[3,4] w> {y = MatMul(images, w)}")

    with pytest.raises(Skip, match="images"):
        onnx_cost(onnx.shape_inference.infer_shapes(model))
