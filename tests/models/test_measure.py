"""Measuring the cost of networks that are not ours."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgestill.models.errors import BadInput
from edgestill.models.measure import measure


class Branching(nn.Module):
    """A forward that torch.fx cannot follow: it branches on a value."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 2)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(images.flatten(1))
        return logits if images.sum() >= 0 else -logits


def test_a_torchvision_network_is_counted() -> None:
    torchvision = pytest.importorskip("torchvision")
    network = torchvision.models.resnet18(weights=None)

    found = measure(network, (3, 32, 32))

    assert found.params == 11_689_512
    # The most is alive at the max pool: the stem's 64 channels at 16x16 and the pooled 8x8.
    assert found.peak_activation_bytes == 4 * (64 * 16 * 16 + 64 * 8 * 8)


def test_an_untraceable_network_has_no_peak_but_the_rest() -> None:
    found = measure(Branching(), (3, 2, 2))

    assert found.peak_activation_bytes is None
    assert (found.macs, found.params) == (24, 26)


def test_a_batch_norm_without_a_convolution_before_it_stays() -> None:
    norm_first = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1))
    conv_first = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))

    stays, folds = (measure(network, (3, 5, 5)) for network in (norm_first, conv_first))

    assert stays.bytes_int8 == 12 + 8 * 4 + 4 * 2 * 3
    assert folds.bytes_int8 == 12 + 8 * 4


def test_measuring_puts_every_module_back_into_its_mode() -> None:
    norm = nn.BatchNorm2d(4).eval()
    network = nn.Sequential(nn.Conv2d(3, 4, 1), norm)
    before = norm.get_buffer("running_mean").clone()

    measure(network, (3, 5, 5))

    assert [module.training for module in network] == [True, False]
    assert torch.equal(norm.get_buffer("running_mean"), before)


def test_arithmetic_that_fvcore_passes_over_is_refused_and_not_counted_as_nothing() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(8, 16, batch_first=True)
            self.head = nn.Linear(16, 4)

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.head(self.lstm(images.flatten(1, 2))[0][:, -1])
            return logits

    with pytest.raises(BadInput, match=r"fvcore cannot count aten::lstm"):
        measure(Recurrent(), (3, 8, 8))
