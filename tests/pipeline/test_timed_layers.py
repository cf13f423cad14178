"""Layers as a latency table's fit knows them."""

from __future__ import annotations

import numpy as np
import pytest

from edgestill.deploy.latency_terms import TERMS
from edgestill.models.families import FAMILIES
from edgestill.models.layer import Layer
from edgestill.models.mobilenetv2 import MobileNetV2
from edgestill.models.resnet import ResNet
from edgestill.pipeline.timed_layers import timed_layers


def test_a_large_resnet_begins_with_a_wide_window_and_a_max_pool() -> None:
    spec = ResNet(blocks=(1, 1, 1, 1), widths=(16, 32, 64, 128), large_stem=1, image_size=224)

    layers = timed_layers(spec.layers(spec))

    told = [
        (layer.kind, layer.in_channels, layer.size, layer.stride, layer.kernel) for layer in layers
    ]
    assert told[:2] == [("conv7x7", 3, 224, 2, 7), ("max_pool", 16, 112, 2, 3)]
    assert [layer.kind for layer in layers[2:4]] == ["conv3x3", "conv3x3_add"]
    assert told[-2:] == [("global_pool", 128, 7, 1, 0), ("linear", 128, 1, 1, 0)]


def test_inverted_residuals_end_in_a_sum_where_there_is_one() -> None:
    spec = MobileNetV2(widths=(16, 16, 24, 32, 32, 64, 64), repeats=(1, 2, 1, 1, 1, 1, 1), stem=32)

    layers = timed_layers(spec.layers(spec))

    assert [layer.kind for layer in layers[:4]] == ["conv3x3", "depthwise3x3", "conv1x1", "conv1x1"]
    sums = [
        (layer.in_channels, layer.out_channels) for layer in layers if layer.kind[-4:] == "_add"
    ]
    assert sums[0] == (96, 16)
    clipped = [layer.kind for layer in layers if layer.clipped]
    assert clipped == [
        layer.kind
        for layer in layers
        if layer.out_channels > layer.in_channels or layer.kind == "depthwise3x3"
    ]


def test_a_sum_that_only_some_networks_have_makes_two_layers_that_share_the_count() -> None:
    adds, count = np.array([0, 1, 1]), np.array([2, 3, 0])
    layer = Layer(
        kind="conv", channels_in=8, channels_out=8, size=4, kernel=3, adds=adds, count=count
    )

    without, with_sum = timed_layers([layer])

    assert (without.kind, with_sum.kind) == ("conv3x3", "conv3x3_add")
    assert (without.count.tolist(), with_sum.count.tolist()) == ([2, 0, 0], [0, 3, 0])


def test_of_what_there_is_none_nothing_is_left() -> None:
    assert timed_layers([Layer(kind="conv", channels_in=8, channels_out=8, size=4, count=0)]) == []


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("image_size", [32, 224])
def test_every_layer_of_every_family_has_terms(family: str, image_size: int) -> None:
    space = FAMILIES[family].space(num_classes=10, image_size=image_size)
    chunk = next(space.chunks(500, start=len(space) // 2))

    layers = timed_layers(FAMILIES[family].layers(chunk.shape))

    assert {group for layer in layers for group in layer.groups} <= TERMS.keys()
