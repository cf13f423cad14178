"""The WideResNet spec: what it accepts, its space."""

from __future__ import annotations

from typing import Any

import pytest

from edgestill.models.errors import BadInput
from edgestill.models.wideresnet import WideResNet


def test_scaled_multiplies_the_three_stages() -> None:
    spec = WideResNet.scaled(depth=28, width=0.5, num_classes=100)

    assert spec.widths == (8, 16, 32)
    assert (spec.stem, spec.num_classes) == (16, 100)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"depth": 17}, "use 16 or 22"),
        ({"depth": 4}, "use 10 or 16"),
        ({"widths": (8, 16)}, "expected 3 stages, found 2"),
        ({"widths": (8, 0, 16)}, "must be 1 or more"),
        ({"num_classes": 0}, "must be 1 or more"),
        ({"image_size": -3}, "must be 1 or more"),
    ],
)
def test_numbers_that_make_no_network_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        WideResNet(**wrong)


@pytest.mark.parametrize("width", [0.0, -1.0, 0.01, float("inf")])
def test_a_width_without_channels_is_refused(width: float) -> None:
    with pytest.raises(BadInput, match="width"):
        WideResNet.scaled(depth=16, width=width)


def test_the_space_is_distinct_monotone_and_holds_the_published_student() -> None:
    space = list(WideResNet.space(num_classes=10, image_size=32))

    assert len(space) == len(set(space)) > 5000
    assert all(list(spec.widths) == sorted(spec.widths) for spec in space)
    assert all(width % 8 == 0 for spec in space for width in spec.widths)
    assert WideResNet.scaled(depth=28, width=0.5) in space


def test_an_unusual_stem_is_part_of_the_description() -> None:
    names = [spec.describe() for spec in WideResNet.space(num_classes=10, image_size=32)]

    assert len(names) == len(set(names))
    assert WideResNet(depth=10, widths=(8, 8, 16), stem=8).describe() == "WRN-10 (8, 8, 16) stem 8"
