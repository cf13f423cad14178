"""Integer average pools divide as torch does where a window ends beyond the image."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edgestill.export.count_no_padding import count_no_padding
from edgestill.export.dialects import write_dialect
from edgestill.export.runtime import infer, open_session
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.fake_quant import calibrate, prepare, set_grid
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import ranges_of

IMAGES = torch.randn((4, 3, 16, 16), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("padding", [0, 1])
def test_a_window_that_ends_beyond_the_image_is_averaged_over_what_is_there(padding: int) -> None:
    torch.manual_seed(0)
    pool = nn.AvgPool2d(3, 2, padding, ceil_mode=True)
    layers = (nn.Conv2d(3, 16, 1), nn.ReLU(), pool, nn.Flatten(), nn.LazyLinear(5))
    model = nn.Sequential(*layers)
    model(IMAGES)
    prepared = prepare(fold_batch_norm(model))
    calibrate(prepared, [IMAGES], method="minmax")
    set_grid(prepared, "ort-x86")

    written = write_dialect(onnx_from_model(prepared, (3, 16, 16)), ranges_of(prepared), "ort-x86")

    onnx.checker.check_model(written, full_check=True)
    found, expected = (
        infer(open_session(written.SerializeToString()), IMAGES.numpy()),
        prepared(IMAGES),
    )
    # Single codes fall to the other side of a tie; with the wrong divisor it was a tenth of this.
    step = float(prepared.get_submodule("point_2").amax) / 255  # type: ignore[arg-type]
    largest = float(model[-1].weight.detach().abs().sum(1).max())  # type: ignore[operator]
    assert np.abs(found - expected.detach().numpy()).max() <= 0.05 * step * largest


def test_other_pools_stay_as_they_are() -> None:
    model = nn.Sequential(
        nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)
    )
    exported = onnx_from_model(model, (3, 16, 16))
    before = exported.SerializeToString(deterministic=True)

    assert count_no_padding(exported.graph) == 0
    assert exported.SerializeToString(deterministic=True) == before
