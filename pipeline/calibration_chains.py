"""Whole networks that `edgestill calibrate` times besides the blocks: what its fit is judged by.

They are built as the families are, without the branches. Most of their convolutions are of shapes
(channels and size) that the small grid does not have; of the full one, which has more, some.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from ..export.single_block import Block, Chain, Timed
from .calibration_blocks import grid

SIZES = (32, 64)
"""Height and width of their images."""
STAGES: dict[str, dict[int, tuple[int, ...]]] = {
    "basic": {16: (1, 2, 1), 48: (2, 1, 1)},
    "plain": {16: (1, 2, 3, 1), 56: (2, 1, 1, 1)},
    "inverted": {16: (1, 2, 2, 1), 40: (2, 2, 3, 1)},
}
"""Style -> channels of the first stage -> blocks of each stage. "basic": two convolutions, a sum;
"plain": convolutions alone; "inverted": to EXPANSION times as many channels, depthwise, back."""
EXPANSION = 4
HEAD = 200
"""Channels before the classifier of an inverted network."""
CLASSES = 10


def chains() -> list[Chain]:
    """Each style at each width and size; the same each time."""
    return [
        Chain(name=f"{style} {width} at {size}", blocks=tuple(_network(style, width, size, stages)))
        for style, widths in STAGES.items()
        for width, stages in widths.items()
        for size in SIZES
    ]


def timed(grid_name: str) -> list[tuple[Timed, ...]]:
    """All that is timed: the groups of a grid and the chains, shuffled as `grid` says why."""
    groups: list[tuple[Timed, ...]] = [*grid(grid_name), *((chain,) for chain in chains())]
    random.Random(0).shuffle(groups)
    return groups


def _network(style: str, width: int, size: int, stages: Sequence[int]) -> Iterator[Block]:
    yield _block("conv3x3", 3, width, size)
    before = width
    for number, blocks in enumerate(stages):
        after, stride = width << number, 1 if number == 0 else 2
        for each in range(blocks):
            yield from _BLOCKS[style](before, after, size, 1 if each else stride)
            size, before = size if each else -(-size // stride), after
    if style == "inverted":
        yield _block("conv1x1", before, HEAD, size)
        before = HEAD
    yield _block("global_pool", before, before, size)
    yield _block("linear", before, CLASSES, 1)


def _basic(before: int, after: int, size: int, stride: int) -> Iterator[Block]:
    yield _block("conv3x3", before, after, size, stride)
    yield _block("conv3x3_add", after, after, -(-size // stride))


def _plain(before: int, after: int, size: int, stride: int) -> Iterator[Block]:
    yield _block("conv3x3", before, after, size, stride)


def _inverted(before: int, after: int, size: int, stride: int) -> Iterator[Block]:
    inner = EXPANSION * before
    yield _block("conv1x1", before, inner, size)
    yield _block("depthwise3x3", inner, inner, size, stride)
    yield _block("conv1x1", inner, after, -(-size // stride))


_BLOCKS = {"basic": _basic, "plain": _plain, "inverted": _inverted}


def _block(kind: str, before: int, after: int, size: int, stride: int = 1) -> Block:
    return Block(kind=kind, in_channels=before, out_channels=after, size=size, stride=stride)


YARDSTICK = Chain(
    name="yardstick",
    blocks=(
        _block("conv3x3", 3, 8, 16),
        _block("conv3x3", 8, 16, 16, stride=2),
        _block("conv3x3_add", 16, 16, 8),
        _block("conv1x1", 16, 64, 8),
        _block("depthwise3x3", 64, 64, 8),
        _block("conv1x1", 64, 32, 8),
        _block("conv3x3", 32, 32, 8),
        _block("global_pool", 32, 32, 8),
        _block("linear", 32, CLASSES, 1),
    ),
)
"""Timed beside every window: something of everything, in less than a tenth of a millisecond on a
CPU, so that it slows down as networks do. With another one a table cannot be gone on with."""
