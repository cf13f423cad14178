"""A block's numbers: the work in it, and what makes none."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from edgestill.export.single_block import Block, Chain
from edgestill.models.errors import BadInput
from edgestill.models.measure import measure

LAYERS: dict[str, tuple[Block, nn.Module]] = {
    "conv3x3": (
        Block(kind="conv3x3", in_channels=3, out_channels=8, size=9, stride=2),
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
    ),
    "conv1x1": (
        Block(kind="conv1x1", in_channels=6, out_channels=4, size=5),
        nn.Conv2d(6, 4, 1),
    ),
    "conv7x7": (
        Block(kind="conv7x7", in_channels=3, out_channels=8, size=17, stride=2),
        nn.Conv2d(3, 8, 7, stride=2, padding=3),
    ),
    "conv1x1_add": (
        Block(kind="conv1x1_add", in_channels=6, out_channels=6, size=5),
        nn.Conv2d(6, 6, 1),
    ),
    "expand1x1": (
        Block(kind="expand1x1", in_channels=6, out_channels=24, size=5),
        nn.Sequential(nn.Conv2d(6, 24, 1), nn.Conv2d(24, 6, 1)),
    ),
    "max_pool": (
        Block(kind="max_pool", in_channels=6, out_channels=6, size=8, stride=2),
        nn.MaxPool2d(3, stride=2, padding=1),
    ),
    "depthwise3x3": (
        Block(kind="depthwise3x3", in_channels=6, out_channels=6, size=5),
        nn.Conv2d(6, 6, 3, padding=1, groups=6),
    ),
    "global_pool": (
        Block(kind="global_pool", in_channels=6, out_channels=6, size=5),
        nn.AdaptiveAvgPool2d(1),
    ),
    "linear": (
        Block(kind="linear", in_channels=6, out_channels=10, size=1),
        nn.Linear(6, 10),
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_a_block_counts_what_a_network_of_it_would_count(kind: str) -> None:
    block, layer = LAYERS[kind]
    # Whatever counts whole networks takes images: those of a linear layer have one pixel.
    network = nn.Sequential(nn.Flatten(), layer) if kind == "linear" else layer

    counted = measure(network, (block.in_channels, block.size, block.size))

    assert (block.macs, block.params) == (counted.macs, counted.params)


def test_a_row_of_blocks_has_the_work_of_all_of_them() -> None:
    one = Block(kind="conv3x3_add", in_channels=4, out_channels=4, size=8)
    row = Block(kind="conv3x3_add", in_channels=4, out_channels=4, size=8, count=8)

    assert row.macs == 8 * one.macs == 8 * 9 * 4 * 4 * 64
    assert row.params == 8 * one.params == 8 * (9 * 4 * 4 + 4)


def test_a_block_that_goes_there_and_back_gives_what_it_takes_and_can_stand_in_a_row() -> None:
    one = Block(kind="expand1x1", in_channels=4, out_channels=24, size=8)
    row = Block(kind="expand1x1", in_channels=4, out_channels=24, size=8, count=4)

    assert row.channels_after == 4
    assert (row.macs, row.params) == (4 * one.macs, 4 * one.params)


def test_nothing_is_done_in_an_identity() -> None:
    empty = Block(kind="identity", in_channels=4, out_channels=4, size=8)

    assert (empty.macs, empty.params) == (0, 0)


@pytest.mark.parametrize(
    "numbers",
    [
        {"kind": "conv5x5"},
        {"size": 0},
        {"count": 0},
        {"out_channels": 8, "count": 2},
        {"stride": 2, "count": 2},
        {"kind": "conv3x3_add", "out_channels": 8},
        {"kind": "conv3x3_add", "stride": 2},
        {"kind": "conv1x1_add", "out_channels": 8},
        {"kind": "expand1x1", "stride": 2},
        {"kind": "max_pool", "out_channels": 8},
        {"kind": "depthwise3x3", "out_channels": 8},
        {"kind": "global_pool", "count": 2},
        {"kind": "identity", "stride": 2},
        {"kind": "linear", "size": 8},
    ],
    ids=str,
)
def test_numbers_that_make_no_block_are_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as refused:
        Block(**{"kind": "conv3x3", "in_channels": 4, "out_channels": 4, "size": 8, **numbers})

    assert "\n" not in str(refused.value)


def test_a_chain_is_the_work_of_its_blocks() -> None:
    first, second = (
        Block(kind="conv3x3", in_channels=3, out_channels=8, size=8, stride=2),
        Block(kind="expand1x1", in_channels=8, out_channels=24, size=4, count=2),
    )
    last = Block(kind="global_pool", in_channels=8, out_channels=8, size=4)

    chain = Chain(name="small", blocks=(first, second, last))

    assert chain.macs == first.macs + second.macs + last.macs
    assert chain.params == first.params + second.params
    assert first.blocks == (first,)


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ({"in_channels": 16, "out_channels": 16}, "conv3x3 16-16 at 4 cannot stand behind"),
        ({"size": 8}, "conv3x3 8-8 at 8 cannot stand behind"),
    ],
    ids=str,
)
def test_a_block_that_takes_something_else_than_it_is_given_is_refused(
    after: dict[str, int], told: str
) -> None:
    first = Block(kind="conv3x3", in_channels=3, out_channels=8, size=8, stride=2)
    shape = {"in_channels": 8, "out_channels": 8, "size": 4, **after}

    with pytest.raises(BadInput, match=told):
        Chain(name="broken", blocks=(first, Block(kind="conv3x3", **shape)))
