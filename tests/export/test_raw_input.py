"""Raw pixels in: the same bits reach the network as when its caller normalises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgestill.export.dialects import FloatType, write_dialect
from edgestill.export.graph import copied
from edgestill.export.ports import ports, run_samples
from edgestill.export.raw_input import Layout, scale_and_shift, take_pixels
from edgestill.export.runtime import open_session
from edgestill.export.targets import TARGETS
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.errors import BadInput
from edgestill.models.fake_quant import calibrate, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import Ranges, ranges_of
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet
from edgestill.pipeline.augment import normalize
from edgestill.pipeline.augment import scale_and_shift as in_training

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE = 16


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    """(8, H, W, C): every value of a byte comes up, in every channel."""
    return np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def normalised(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(8, C, H, W), as the training pipeline makes them of the pixels."""
    scale, shift = in_training(MEAN, STD, device=torch.device("cpu"))
    images: NDArray[np.float32]
    images = normalize(torch.from_numpy(pixels.transpose(0, 3, 1, 2)), scale, shift).numpy()
    return images


@pytest.fixture(scope="module")
def quantized(normalised: NDArray[np.float32]) -> tuple[onnx.ModelProto, Ranges]:
    network = build(WideResNet.scaled(depth=10, width=0.5, image_size=SIZE), seed=0).eval()
    prepared = prepare(fold_batch_norm(network))
    calibrate(prepared, [torch.from_numpy(normalised)])
    return onnx_from_model(prepared, (3, SIZE, SIZE)), ranges_of(prepared)


def given(model: onnx.ModelProto, images: NDArray[Any], target: str | None = None) -> NDArray[Any]:
    session = open_session(model.SerializeToString(), target=target)
    (port,) = ports(session).inputs
    outputs = run_samples(session, {port.name: images})
    return next(reversed(outputs.values()))


@pytest.mark.parametrize("layout", ["hwc", "chw"])
@pytest.mark.parametrize(
    ("target", "float_type"),
    [*((target, "float32") for target in TARGETS), ("tensorrt", "float16")],
)
def test_every_dialect_sees_the_bits_of_training(
    quantized: tuple[onnx.ModelProto, Ranges],
    pixels: NDArray[np.uint8],
    normalised: NDArray[np.float32],
    target: str,
    float_type: FloatType,
    layout: Layout,
) -> None:
    plain = write_dialect(*quantized, target, float_type=float_type)
    first = next(node for node in plain.graph.node if node.op_type == "QuantizeLinear").output[0]
    kind = TensorProto.UINT8 if target == "ort-x86" else TensorProto.INT8
    plain.graph.output.append(helper.make_tensor_value_info(first, kind, ["N", 3, SIZE, SIZE]))
    raw = copied(plain)

    take_pixels(raw, mean=MEAN, std=STD, layout=layout, cast_first=target == "tensorrt")

    images = pixels if layout == "hwc" else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    onnx.checker.check_model(raw, full_check=True)
    codes = given(plain, normalised, target)
    np.testing.assert_array_equal(given(raw, images, target), codes)
    assert len(np.unique(codes)) > 50, "the comparison says something"


def test_three_steps_of_torchvision_differ_by_rounding_alone() -> None:
    values = np.arange(256, dtype=np.float32)[:, None]
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)
    scale, shift = (each.reshape(1, 3) for each in scale_and_shift(MEAN, STD))

    steps = (values / np.float32(255) - mean) / std
    ours = values * scale + shift

    # Each of the two ways rounds at most four times, none of it beyond 2^-24 of the largest
    # number on the way, 255 * scale = 4.5.
    assert np.abs(ours - steps).max() <= 8 * 4.5 * 2**-24


def test_the_input_keeps_its_name_and_free_batch_and_moves_its_channels(
    quantized: tuple[onnx.ModelProto, Ranges],
) -> None:
    model = write_dialect(*quantized, "ort-x86")

    take_pixels(model, mean=MEAN, std=STD)

    (image,) = model.graph.input
    tensor = image.type.tensor_type
    sizes = [axis.dim_param or axis.dim_value for axis in tensor.shape.dim]
    assert (image.name, tensor.elem_type) == ("images", TensorProto.UINT8)
    assert sizes == ["N", SIZE, SIZE, 3]


def test_for_tensorrt_a_cast_stands_right_behind_the_bytes(
    quantized: tuple[onnx.ModelProto, Ranges],
) -> None:
    model = write_dialect(*quantized, "tensorrt")

    take_pixels(model, mean=MEAN, std=STD, cast_first=True)

    readers = [node.op_type for node in model.graph.node if "images" in node.input]
    assert readers == ["Cast"]


def one_op(kind: int, sizes: Sequence[int | str]) -> onnx.ModelProto:
    """Doubles its input."""
    values = [helper.make_tensor_value_info(name, kind, sizes) for name in ("images", "out")]
    two = numpy_helper.from_array(np.array(2, helper.tensor_dtype_to_np_dtype(kind)), "two")
    node = helper.make_node("Mul", ["images", "two"], ["out"])
    graph = helper.make_graph([node], "g", values[:1], values[1:], [two])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


@pytest.mark.parametrize(
    ("kind", "sizes", "mean", "std", "message"),
    [
        (TensorProto.FLOAT16, ("N", 3, 4, 4), MEAN, STD, "images is float16 of 4 axes"),
        (TensorProto.FLOAT, ("N", 3, 4), MEAN, STD, "expected float images"),
        (TensorProto.FLOAT, ("N", 1, 4, 4), MEAN, STD, "1 channels; mean and std are given for 3"),
        (TensorProto.FLOAT, ("N", 3, 4, 4), MEAN, (1.0,), "3 means and 1 deviations"),
        (TensorProto.FLOAT, ("N", 3, 4, 4), MEAN, (0.2, 0.0, 0.2), "std above 0"),
        (TensorProto.FLOAT, ("N", 3, 4, 4), (np.nan, 0, 0), STD, "expected finite numbers"),
        (TensorProto.FLOAT, ("N", 3, 4, 4), (123.7, 116.3, 103.5), STD, "divide both by 255"),
    ],
)
def test_what_takes_no_pixels_is_refused(
    kind: int, sizes: Sequence[int | str], mean: Any, std: Any, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        take_pixels(one_op(kind, sizes), mean=mean, std=std)
