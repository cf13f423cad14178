"""A linear layer on three axes keeps its name, so its ranges find it and it runs in INT8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from edgestill.export.dialects import write_dialect
from edgestill.export.fusion import fusion_report
from edgestill.export.runtime import infer, open_session
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.fake_quant import calibrate, prepare, set_grid
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import ranges_of


class Tokens(nn.Module):
    """Pixels as tokens through two linear layers, one of them without a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 16), nn.Linear(16, 5, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        tokens = torch.relu(self.first(x.flatten(2).transpose(1, 2)))
        logits: Tensor = self.second(tokens).mean(1)
        return logits


@pytest.mark.parametrize("target", ["ort-x86", "ort-arm64", "tensorrt"])
def test_products_on_three_axes_are_quantized_with_their_own_steps(
    target: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    images = torch.randn((8, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    prepared = prepare(fold_batch_norm(Tokens()))
    calibrate(prepared, [images])
    marked = onnx_from_model(prepared, (3, 4, 4))

    dialect = write_dialect(marked, ranges_of(prepared), target)

    onnx.checker.check_model(dialect, full_check=True)
    onnx.save(dialect, tmp_path / "model.onnx")
    report = fusion_report(tmp_path / "model.onnx", target)
    assert (report.int8, report.total) == (2, 2)
    set_grid(prepared, target)  # type: ignore[arg-type]  # a known target
    found = infer(open_session(tmp_path / "model.onnx"), images.numpy())
    # Two codes of the hidden values; a wrong step or axis is off by tenths.
    np.testing.assert_allclose(found, prepared(images).detach().numpy(), rtol=0, atol=0.02)
