"""What all families share: which numbers make a network, and a space of the promised size."""

from __future__ import annotations

import random
from typing import Any

import pytest

from edgestill.models.errors import BadInput
from edgestill.models.families import FAMILIES, Spec
from edgestill.models.mobilenetv2 import MobileNetV2
from edgestill.models.repvgg import RepVGG
from edgestill.models.resnet import ResNet

SIZES = {"wideresnet": 1_170_072, "resnet": 636_417, "mobilenetv2": 1_002_240, "repvgg": 746_976}


@pytest.mark.parametrize(
    ("family", "wrong", "said"),
    [
        (ResNet, {"large_stem": 2}, "resnet large_stem 2: must be 1 or less"),
        (ResNet, {"large_stem": -1}, "resnet large_stem -1: must be 0 or more"),
        (ResNet, {"widths": (8, 8, 8)}, "expected 4 stages, found 3"),
        (MobileNetV2, {"expansion": 1}, "mobilenetv2 expansion 1: must be 2 or more"),
        (MobileNetV2, {"repeats": (1, 1, 1, 1, 1, 0, 1)}, "must be 1 or more"),
        (RepVGG, {"in_channels": 0}, "repvgg in_channels 0: must be 1 or more"),
        (RepVGG, {"blocks": ()}, "expected 4 stages, found 0"),
    ],
)
def test_numbers_that_make_no_network_are_refused(
    family: type[Spec], wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        family(**wrong)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("width", [0.0, -1.0, 0.01, float("inf"), float("nan")])
def test_a_width_without_channels_is_refused(family: str, width: float) -> None:
    depth = {"wideresnet": 16, "resnet": 18, "mobilenetv2": 53, "repvgg": 22}[family]

    with pytest.raises(BadInput, match="width"):
        FAMILIES[family].scaled(depth=depth, width=width)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_space_has_the_networks_that_it_says_each_once(family: str) -> None:
    space = FAMILIES[family].space(num_classes=10, image_size=32)
    rows = random.Random(0).sample(range(len(space)), 2000)

    specs = [space.spec(row) for row in rows]

    assert len(space) == SIZES[family]
    assert all(len(choices) == len(set(choices)) for choices in space.axes.values())
    assert len({spec.describe() for spec in specs}) == len(set(specs)) == len(rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_stages_of_a_space_grow_by_eights_and_never_shrink(family: str) -> None:
    space: Any = FAMILIES[family].space(num_classes=10, image_size=32)

    for row in random.Random(1).sample(range(len(space)), 500):
        widths = space.spec(row).widths
        assert list(widths) == sorted(widths)
        assert all(width % 8 == 0 for width in widths)
