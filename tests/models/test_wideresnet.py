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
        ({"blocks": (2, 2)}, "expected 3 stages, found 2"),
        ({"blocks": (2, 0, 2)}, "must be 1 or more"),
        ({"widths": (8, 16)}, "expected 3 stages, found 2"),
        ({"widths": (8, 0, 16)}, "must be 1 or more"),
        ({"num_classes": 0}, "must be 1 or more"),
        ({"image_size": -3}, "must be 1 or more"),
    ],
)
def test_numbers_that_make_no_network_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        WideResNet(**wrong)


@pytest.mark.parametrize(("depth", "said"), [(17, "use 16 or 22"), (4, "use 10 or 16")])
def test_a_depth_of_unequal_stages_is_refused(depth: int, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        WideResNet.scaled(depth=depth, width=1.0)


def test_a_description_tells_the_blocks_where_they_differ_and_an_unusual_stem() -> None:
    even = WideResNet(blocks=(1, 1, 1), widths=(8, 8, 16), stem=8)
    uneven = WideResNet(blocks=(1, 2, 1), widths=(8, 8, 16))

    assert even.describe() == "WRN-10 (8, 8, 16) stem 8"
    assert uneven.describe() == "WRN [1, 2, 1] (8, 8, 16)"


def test_the_space_holds_a_million_networks_and_the_published_student() -> None:
    space = WideResNet.space(num_classes=10, image_size=32)
    published = WideResNet.scaled(depth=28, width=0.5)
    channels = (published.stem, *published.widths)

    row = space.axes["blocks"].index(published.blocks) * len(space.axes["channels"])

    assert len(space) == 1_170_072
    assert space.spec(row + space.axes["channels"].index(channels)) == published


def test_of_equally_deep_networks_the_even_ones_come_first() -> None:
    blocks = WideResNet.axes()["blocks"]

    assert blocks[:2] == [(1, 1, 1), (1, 1, 2)]
    assert blocks.index((2, 2, 2)) < blocks.index((1, 2, 3)) < blocks.index((4, 1, 1))
    assert blocks[-1] == (6, 6, 6)
