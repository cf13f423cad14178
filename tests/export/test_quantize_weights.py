"""Weights and biases as integers: torch's codes, and no overflow."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import numpy_helper
from torch import nn

from edgestill.export.dialects import write_dialect
from edgestill.export.graph import constants
from edgestill.export.quantize_weights import codes
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.fake_quant import calibrate, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.quantized_layers import quantized, weight_scales
from edgestill.models.ranges import ranges_of


def test_codes_times_step_are_the_weights_that_torch_trained_with() -> None:
    torch.manual_seed(0)
    layer = quantized(nn.Conv2d(16, 32, 3), 8)
    scales = weight_scales(layer.weight.detach()).numpy()

    found = codes(layer.weight.detach().numpy(), scales)

    expected = layer.quantized_weight().detach().numpy()
    np.testing.assert_array_equal(found * scales[:, None, None, None], expected)


def int8_of(model: nn.Module, images: torch.Tensor) -> tuple[onnx.ModelProto, nn.Module]:
    prepared = prepare(fold_batch_norm(model))
    calibrate(prepared, [images])
    marked = onnx_from_model(prepared, tuple(images.shape[1:]))
    return write_dialect(marked, ranges_of(prepared), "ort-x86"), prepared


def test_a_channel_with_vanishing_weights_keeps_its_bias() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    with torch.no_grad():
        model[0].weight[1] = 1e-20  # type: ignore[operator]
        model[0].bias[1] = 2.0  # type: ignore[operator]
    images = torch.randn((8, 3, 2, 2), generator=torch.Generator().manual_seed(0))

    dialect, prepared = int8_of(model, images)

    session = ort.InferenceSession(dialect.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": images.numpy()})
    # Quantization noise of two layers; without the bias of channel 1 the logits would be off by 1.
    np.testing.assert_allclose(found, prepared(images).detach().numpy(), rtol=0, atol=0.02)


def test_layers_that_share_a_weight_keep_their_own_bias_steps() -> None:
    torch.manual_seed(0)
    shared = nn.Conv2d(3, 3, 1)
    model = nn.Sequential(shared, nn.ReLU(), shared, nn.Flatten(), nn.Linear(12, 2))
    images = torch.randn((8, 3, 2, 2), generator=torch.Generator().manual_seed(0))

    dialect, prepared = int8_of(model, images)

    onnx.checker.check_model(dialect, full_check=True)
    steps = [
        numpy_helper.to_array(tensor)
        for name, tensor in constants(dialect.graph).items()
        if "bias" in name and name.endswith(".scale") and tensor.dims == [3]
    ]
    assert len(steps) == 2 and not np.array_equal(steps[0], steps[1])
    session = ort.InferenceSession(dialect.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": images.numpy()})
    # Quantization noise of three layers.
    np.testing.assert_allclose(found, prepared(images).detach().numpy(), rtol=0, atol=0.02)
