"""Peak activation memory of small graphs that can be counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, fx, nn

from edgestill.models.liveness import peak_activation_bytes


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.conv(images) + images)


class KeptForLater(nn.Module):
    """The ReLU's input is read again after it, so the ReLU needs memory of its own."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(images) * images


CASES = [
    # input 2x4x4 = 128 bytes; a convolution holds its input and its output
    (nn.Conv2d(2, 2, 3, padding=1), 256),
    (nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.ReLU()), 256),
    (nn.Sequential(nn.Conv2d(2, 6, 1), nn.ReLU(), nn.Conv2d(6, 2, 1)), 512),
    (nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(32, 1)), 132),
    (Residual(), 256),
    (KeptForLater(), 256),
]


@pytest.mark.parametrize(("network", "expected_bytes"), CASES)
def test_the_peak_is_the_one_counted_by_hand(network: nn.Module, expected_bytes: int) -> None:
    traced = fx.symbolic_trace(nn.Sequential(network).eval())

    found = peak_activation_bytes(traced, torch.zeros(1, 2, 4, 4))

    assert found == expected_bytes
