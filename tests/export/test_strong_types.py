"""float16 beside INT8 for strongly typed TensorRT networks: one float type, steps included."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, TensorProto, numpy_helper
from torch import fx, nn

from edgestill.export.dialects import write_dialect
from edgestill.export.graph import constants, producers
from edgestill.export.quantize_weights import codes, half_steps
from edgestill.export.runtime import infer, open_session
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.errors import BadInput
from edgestill.models.fake_quant import calibrate, prepare, set_grid
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import ActivationRange, Ranges, WeightRange, ranges_of

IMAGES = torch.randn((16, 3, 8, 8), generator=torch.Generator().manual_seed(0))


class Small(nn.Module):
    """A residual network, a gate without an integer kernel, a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.up, self.gate = nn.ConvTranspose2d(16, 8, 2, 2), nn.Hardswish()
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = self.gate(self.up(x + self.body(x)))
        logits: torch.Tensor = self.fc(x.mean((2, 3)))
        return logits


@pytest.fixture(scope="module")
def prepared() -> fx.GraphModule:
    torch.manual_seed(0)
    made = prepare(fold_batch_norm(Small()))
    calibrate(made, [IMAGES])
    set_grid(made, "tensorrt")
    return made


@pytest.fixture(scope="module")
def marked(prepared: fx.GraphModule) -> ModelProto:
    return onnx_from_model(prepared, (3, 8, 8))


@pytest.fixture(scope="module")
def ranges(prepared: fx.GraphModule) -> Ranges:
    return ranges_of(prepared)


def types_of(model: ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in inferred.initializer}


def test_all_floats_inside_are_float16_and_images_and_logits_float32(
    marked: ModelProto, ranges: Ranges
) -> None:
    model = write_dialect(marked, ranges, "tensorrt", float_type="float16")

    onnx.checker.check_model(model, full_check=True)
    types = types_of(model)
    ends = {model.graph.input[0].name, model.graph.output[0].name}
    assert {name for name, kind in types.items() if kind == TensorProto.FLOAT} == ends
    assert model.opset_import[0].version >= 19  # the first whose steps may be float16
    assert model.ir_version >= 9  # the one that came with opset 19


def test_quantizers_take_and_give_the_type_of_their_step(
    marked: ModelProto, ranges: Ranges
) -> None:
    model = write_dialect(marked, ranges, "tensorrt", float_type="float16")

    types = types_of(model)
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            beside = node.input[0] if node.op_type == "QuantizeLinear" else node.output[0]
            assert types[beside] == types[node.input[1]] == TensorProto.FLOAT16, node.name
            assert types[node.input[2]] == TensorProto.INT8


@pytest.mark.parametrize(("float_type", "tolerance"), [("float32", 1e-5), ("float16", 5e-3)])
def test_it_computes_what_the_network_does(
    marked: ModelProto,
    ranges: Ranges,
    prepared: fx.GraphModule,
    float_type: str,
    tolerance: float,
) -> None:
    """float16 has 11 bits, so each of some ten roundings is off by 5e-4 of the largest logit."""
    expected = prepared(IMAGES).detach().numpy()

    model = write_dialect(marked, ranges, "tensorrt", float_type=float_type)  # type: ignore[arg-type]  # a known type

    found = infer(open_session(model.SerializeToString()), IMAGES.numpy())
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_no_step_becomes_zero_and_no_weight_is_clipped_in_float16() -> None:
    steps = np.array([1e-9, 3e-6, 0.01, 0.0123], dtype=np.float32)
    weights = steps[:, None] * np.array([[-127, -3.3, 0.4, 127]], dtype=np.float32)

    rounded = half_steps(steps, "layer")

    assert (rounded >= steps).all() and (rounded == rounded.astype(np.float16)).all()
    # Half a step is all that rounding costs, as in float32.
    restored = codes(weights, rounded) * rounded[:, None]
    assert (np.abs(restored - weights) <= 0.5 * rounded[:, None] * 1.001).all()


def test_a_step_beyond_float16_is_refused_with_the_layers_name(
    marked: ModelProto, ranges: Ranges
) -> None:
    stem = ranges.weights["stem"]
    huge = ranges.weights | {"stem": WeightRange(scales=(7e4, *stem.scales[1:]))}

    with pytest.raises(BadInput, match=r"stem has a step of 7e\+04; float16 ends at 65504"):
        write_dialect(
            marked,
            Ranges(activations=ranges.activations, weights=huge),
            "tensorrt",
            float_type="float16",
        )


def test_an_activation_step_that_float16_does_not_hold_is_refused(
    marked: ModelProto, ranges: Ranges
) -> None:
    tiny = ranges.activations | {"images": ActivationRange(amax=1e-7, signed=True)}

    with pytest.raises(BadInput, match=r"images/quantize has the step 7.87e-10, which float16"):
        write_dialect(
            marked,
            Ranges(activations=tiny, weights=ranges.weights),
            "tensorrt",
            float_type="float16",
        )


def test_values_beyond_float16_are_refused(marked: ModelProto, ranges: Ranges) -> None:
    large = ranges.activations | {"images": ActivationRange(amax=1e5, signed=True)}

    with pytest.raises(BadInput, match=r"images/quantize has values up to 1e\+05; float16 ends"):
        write_dialect(
            marked,
            Ranges(activations=large, weights=ranges.weights),
            "tensorrt",
            float_type="float16",
        )


@pytest.mark.parametrize(
    ("target", "float_type", "reason"),
    [("ort-x86", "float16", "compute in float32"), ("tensorrt", "bfloat16", "'bfloat16'")],
)
def test_a_type_that_the_target_does_not_compute_in_is_refused(
    marked: ModelProto, ranges: Ranges, target: str, float_type: str, reason: str
) -> None:
    with pytest.raises(BadInput, match=reason):
        write_dialect(marked, ranges, target, float_type=float_type)  # type: ignore[arg-type]  # on purpose


def test_tensorrt_gets_no_operator_that_its_parser_lacks(
    marked: ModelProto, ranges: Ranges
) -> None:
    strange = onnx.ModelProto()
    strange.CopyFrom(marked)
    strange.graph.node[-1].op_type = "Det"

    with pytest.raises(BadInput, match=r"TensorRT cannot take \S+ \(Det\)"):
        write_dialect(strange, ranges, "tensorrt")


def test_steps_along_the_wrong_axis_are_refused(marked: ModelProto, ranges: Ranges) -> None:
    other = ranges.weights | {"body": WeightRange(scales=ranges.weights["body"].scales, axis=1)}

    with pytest.raises(BadInput, match=r"body \(Conv\) .* axis 1; .* axis 0 alone"):
        write_dialect(marked, Ranges(activations=ranges.activations, weights=other), "ort-x86")


def test_all_inputs_of_convolutions_come_from_symmetric_int8(
    marked: ModelProto, ranges: Ranges
) -> None:
    graph = write_dialect(marked, ranges, "tensorrt").graph

    made_by, known = producers(graph), constants(graph)
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            sources = [made_by[name] for name in node.input[:2]]
            assert {source.op_type for source in sources} == {"DequantizeLinear"}
            zeros = [numpy_helper.to_array(known[source.input[2]]) for source in sources]
            assert all(zero.dtype == np.int8 and not zero.any() for zero in zeros)
