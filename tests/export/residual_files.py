"""A small residual network written for every target; made once, for all tests that ask."""

from __future__ import annotations

from functools import cache

import torch
from onnx import ModelProto
from torch import fx

from edgestill.export.dialects import write_dialect
from edgestill.export.targets import TARGETS
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.fake_quant import calibrate, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import ranges_of
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet

SHAPE = (3, 16, 16)


@cache
def residual_network() -> fx.GraphModule:
    """An identity shortcut and two projected ones, folded, in float."""
    spec = WideResNet(blocks=(1, 1, 1), widths=(16, 16, 32), image_size=SHAPE[1])
    return fold_batch_norm(build(spec, seed=0).eval())


@cache
def residual_files(keep_float: tuple[str, ...] = ()) -> dict[str, ModelProto]:
    """Target -> its INT8 file. Copy what you change."""
    prepared = prepare(residual_network(), keep_float=keep_float)
    calibrate(prepared, [torch.randn((8, *SHAPE), generator=torch.Generator().manual_seed(1))])
    marked, ranges = onnx_from_model(prepared, SHAPE), ranges_of(prepared)
    return {target: write_dialect(marked, ranges, target) for target in TARGETS}
