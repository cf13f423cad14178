"""A global average written as a mean is pooled in INT8, though it drops the axes."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from edgestill.export.dialects import write_dialect
from edgestill.export.fusion import fusion_report
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.fake_quant import calibrate, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import ranges_of


class Mean(nn.Module):
    def __init__(self, *, keepdim: bool) -> None:
        super().__init__()
        self.conv, self.fc, self.keepdim = nn.Conv2d(3, 4, 3), nn.Linear(4, 2), keepdim

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.relu(self.conv(x)).mean([2, 3], keepdim=self.keepdim)
        logits: Tensor = self.fc(pooled.flatten(1))
        return logits


@pytest.mark.parametrize("keepdim", [True, False])
def test_a_mean_over_the_image_is_pooled_in_int8(keepdim: bool, tmp_path: Path) -> None:
    prepared = prepare(fold_batch_norm(Mean(keepdim=keepdim)))
    calibrate(prepared, [torch.randn((2, 3, 8, 8), generator=torch.Generator().manual_seed(0))])
    marked = onnx_from_model(prepared, (3, 8, 8))
    onnx.save(write_dialect(marked, ranges_of(prepared), "ort-x86"), tmp_path / "model.onnx")

    found = fusion_report(tmp_path / "model.onnx", "ort-x86")

    assert (found.int8, found.total, found.float_islands, found.qdq_left) == (2, 2, (), 1)
