"""What a network runs, counted as the estimate's networks were, and as layers where it can be."""

from __future__ import annotations

import csv
from importlib import resources
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from edgestill.models.families import FAMILIES
from edgestill.models.student import build
from edgestill.pipeline.layer_work import network_work
from edgestill.pipeline.traced_layers import Traced, traced

FIGURES = ("macs", "depthwise_macs", "params", "activations", "layers")


def shipped(network: str) -> dict[str, int]:
    text = (resources.files("edgestill.deploy") / "measured_networks.csv").read_text()
    row = next(row for row in csv.DictReader(text.splitlines()) if row["network"] == network)
    return {name: int(row[name]) for name in FIGURES}


def of_library(network: str, size: int = 224, **more: Any) -> Traced:
    with torch.device("meta"):
        model = torchvision.models.get_model(network, weights=None, **more)
    return traced(model, (3, size, size))


@pytest.mark.parametrize("network", ["resnet18", "mnasnet1_0", "squeezenet1_0"])
def test_totals_are_those_of_the_networks_that_the_estimate_was_fitted_on(network: str) -> None:
    found = of_library(network)

    assert {name: getattr(found.work, name) for name in FIGURES} == shipped(network)


@pytest.mark.parametrize("network", ["resnet18", "mobilenet_v2"])
def test_a_usual_network_is_told_layer_by_layer(network: str) -> None:
    found = of_library(network)

    assert found.others == []
    assert network_work(found.layers).macs == found.work.macs
    assert network_work(found.layers).depthwise_macs == found.work.depthwise_macs
    assert network_work(found.layers).params == found.work.params
    assert network_work(found.layers).activations == found.work.activations


def test_the_layers_of_a_small_network() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, 1, 1, groups=8),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    ).train()

    found = traced(model, (3, 16, 16))

    told = [(each.kind, each.channels_out, each.size, each.kernel) for each in found.layers]
    assert told == [
        ("conv", 8, 16, 3),
        ("depthwise", 8, 8, 3),
        ("max_pool", 8, 8, 2),
        ("global_pool", 8, 4, 0),
        ("linear", 5, 1, 0),
    ]
    assert [each.norm for each in found.layers[:2]] == [True, False]
    assert model.training


def test_a_residual_sum_stands_with_the_layer_before_it() -> None:
    found = of_library("resnet18", 64)

    assert sum(each.adds for each in found.layers) == 8


class Odd(nn.Module):
    """Layers that no family has."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, images: torch.Tensor) -> Any:
        """Of (1, 4, 12, 12)."""
        return self.layer(images)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (nn.Conv2d(4, 8, 3, padding=1, groups=2), "a convolution of 2 groups"),
        (nn.Conv2d(4, 8, 3, padding=2, dilation=2), "a dilated convolution"),
        (nn.Conv2d(4, 8, 3), "a convolution from 12x12 to 10x10 pixels"),
        (nn.Conv2d(4, 8, (1, 3), padding=(0, 1)), "a convolution of 1x3 over 12x12 pixels"),
        (nn.ConvTranspose2d(4, 8, 2, 2), "a transposed convolution"),
        (nn.AvgPool2d(2), "avg_pool2d from 12x12 to 6x6"),
        (nn.Upsample(scale_factor=2), "upsample_nearest2d from 12x12 to 24x24"),
        (nn.Softmax(dim=1), "softmax from 12x12 to 12x12"),
        (nn.MaxPool2d(3, 2), "max_pool2d_with_indices from 12x12 to 5x5"),
    ],
)
def test_what_no_layer_tells_is_counted_all_the_same(layer: nn.Module, said: str) -> None:
    found = traced(Odd(layer), (4, 12, 12))

    assert found.layers == []
    assert found.others == [said]
    assert found.work.layers == 1
    assert found.work.activations > 0


@pytest.mark.parametrize("family", ["wideresnet", "resnet", "mobilenetv2"])
def test_a_familys_layers_are_those_that_its_network_runs(family: str) -> None:
    space = FAMILIES[family].space(num_classes=7, image_size=32)
    for row in (0, len(space) // 3, len(space) - 1):
        spec = space.spec(row)

        found = traced(build(spec, seed=0), (3, 32, 32))

        assert found.work == network_work(spec.layers(spec))
