"""The first convolution reads four channels, and its result stays what it was to the last bit."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from edgestill.export.dialects import write_dialect
from edgestill.export.graph import constants
from edgestill.export.pad_channels import pad_channels
from edgestill.export.runtime import infer, open_session
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.fake_quant import calibrate, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import ranges_of

IMAGES = torch.randn((4, 3, 8, 8), generator=torch.Generator().manual_seed(0))


def unpadded(*, outputs: int = 16, groups: int = 1) -> onnx.ModelProto:
    """A dialect that needs no padding, for the rewrite to be tried on."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, outputs, 3, groups=groups, padding=1), nn.ReLU(), nn.Flatten())
    prepared = prepare(fold_batch_norm(nn.Sequential(*layers, nn.Linear(64 * outputs, 5))))
    calibrate(prepared, [IMAGES])
    marked = onnx_from_model(prepared, (3, 8, 8))
    return write_dialect(marked, ranges_of(prepared), "ort-arm64")


def logits(model: onnx.ModelProto) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return infer(open_session(model.SerializeToString()), IMAGES.numpy())


def test_four_channels_give_the_same_bits_as_three() -> None:
    model = unpadded()
    before = logits(model)

    added = pad_channels(model.graph, 4)

    onnx.checker.check_model(model, full_check=True)
    assert added == 1
    assert constants(model.graph)["0.weight.codes_padded"].dims == [16, 4, 3, 3]
    np.testing.assert_array_equal(logits(model), before)


def test_what_is_added_has_the_code_of_zero() -> None:
    model = unpadded()

    pad_channels(model.graph, 4)

    (pad,) = (node for node in model.graph.node if node.op_type == "Pad")
    known = constants(model.graph)
    assert pad.input[2] == "images.zero_point"
    assert numpy_helper.to_array(known[pad.input[1]]).tolist() == [0, 0, 0, 0, 0, 1, 0, 0]
    assert not numpy_helper.to_array(known["0.weight.codes_padded"])[:, 3].any()


@pytest.mark.parametrize(
    ("options", "multiple"),
    [({"outputs": 8}, 4), ({"outputs": 24, "groups": 3}, 4), ({}, 3), ({}, 1)],
    ids=["few outputs", "groups", "enough channels", "no need"],
)
def test_a_convolution_that_gains_nothing_is_left_alone(
    options: dict[str, int], multiple: int
) -> None:
    model = unpadded(**options)
    before = model.SerializeToString()

    assert pad_channels(model.graph, multiple) == 0

    assert model.SerializeToString() == before
