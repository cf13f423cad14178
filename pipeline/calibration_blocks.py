"""Which blocks `edgestill calibrate` times, and the cases of a measurement they become.

Measured on 2 cores of an Intel Xeon, 1 thread, 5 rounds of 0.1 s a block: `small` and the chains
take 5 minutes, `full` about 9. An engine that TensorRT has to build takes its time besides, for
each block.

An inference of nothing takes ONNX Runtime 6 us there, what goes in and comes out of a block 1 to 50
us more, and a 1x1 or depthwise convolution itself 1 to 25. So blocks that take what they give stand
in a file ROW times in a row, where they are what they are in a network; the others stand alone,
edges included. deploy/latency_fit.py tells the edges from the layers: every kind of layer in a row
has some that are alone, at other shapes at least. The grids hold every layer of our families at
images of 32 and 64 pixels, or something smaller and something larger.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..export.block_files import IMAGE_CHANNELS, block_file
from ..export.single_block import Block, Timed

ROW = 8
CASES_AT_ONCE = 12
"""Timed in turns, then written: so much is lost at most when it is cut off."""
STARTS_FROM = 32
"""Height and width of the images at least."""
STEMS = (8, 16, 32, 64)
HEADS = (320, 1280)
CLASSES = (10, 100, 1000)
EXPANSIONS = (3, 6)
"""In turns: of an inverted residual's inner channels over those that it takes."""
WIDEST = 1440
"""Channels that a network of ours has at most."""
EMPTY = Block(kind="identity", in_channels=1, out_channels=1, size=1)
"""An inference of nothing: what a runtime takes for itself."""

# grid -> height and width -> channels; some are no multiple of what a kernel works on at once
GRIDS: dict[str, dict[int, tuple[int, ...]]] = {
    "small": {
        64: (8, 40),
        32: (8, 24, 64),
        16: (16, 40, 128),
        8: (32, 72, 256),
        4: (64, 240, 512),
    },
    "full": {
        128: (16, 32),
        64: (8, 16, 24, 64),
        32: (8, 16, 24, 40, 64, 96),
        16: (16, 32, 48, 72, 128, 160),
        8: (24, 32, 64, 96, 160, 256),
        4: (64, 128, 192, 240, 512),
    },
}


def grid(name: str) -> list[tuple[Block, ...]]:
    """The blocks of a grid, a tuple for each that stands in several files, in a shuffled order.

    The order is the same in every call. It is no order of size, since a device that slows down as
    it warms up would then seem slow at large blocks.
    """
    sizes = GRIDS[name]
    groups = list(dict.fromkeys(_groups(sizes)))
    random.Random(0).shuffle(groups)
    return groups


def batches(groups: Iterable[Sequence[Timed]]) -> Iterator[list[Timed]]:
    """The blocks by CASES_AT_ONCE or fewer; those of a group stay together."""
    batch: list[Timed] = []
    for group in groups:
        if batch and len(batch) + len(group) > CASES_AT_ONCE:
            yield batch
            batch = []
        batch.extend(group)
    if batch:
        yield batch


def written(timed: Timed, dialect: str | None, folder: Path) -> Path:
    """The ONNX file, named by its bytes."""
    content = block_file(timed, dialect=dialect)
    path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.onnx"
    path.write_bytes(content)
    return path


def sha256_of(timed: Timed, dialect: str | None) -> str:
    """Of the ONNX file as it would be written now."""
    return hashlib.sha256(block_file(timed, dialect=dialect)).hexdigest()


def _groups(sizes: dict[int, tuple[int, ...]]) -> Iterator[tuple[Block, ...]]:
    for size, widths in sizes.items():
        for number, width in enumerate(widths):
            yield from _residual(width, size)
            yield from _inverted(width, size, EXPANSIONS[number % len(EXPANSIONS)])
    yield from _starts([size for size in sizes if size >= STARTS_FROM])
    yield from _ends(sizes)
    yield (EMPTY,)


def _starts(sizes: Iterable[int]) -> Iterator[tuple[Block, ...]]:
    """What images go through first."""
    for size in sizes:
        for stem in STEMS:
            yield (_one("conv3x3", IMAGE_CHANNELS, stem, size),)
        yield (_one("conv3x3", IMAGE_CHANNELS, STEMS[-1], size, stride=2),)
        yield (_one("conv7x7", IMAGE_CHANNELS, STEMS[-1], size, stride=2),)
        for width in (STEMS[0], STEMS[-1]):
            yield (_one("max_pool", width, width, size, stride=2),)


def _ends(sizes: dict[int, tuple[int, ...]]) -> Iterator[tuple[Block, ...]]:
    """What a network ends with."""
    smallest, *others = sorted(sizes)
    for size in others[:2]:
        yield _square("global_pool", STEMS[0], size, 1)
        yield _square("global_pool", sizes[size][-1], size, 1)
    for width in (*sizes[smallest], *HEADS):
        yield _square("global_pool", width, smallest, 1)
    for width in HEADS:
        yield (_one("conv1x1", sizes[smallest][0], width, smallest),)
    for width in (STEMS[0], *sizes[smallest], *HEADS):
        yield (_one("linear", width, CLASSES[0], 1),)
    for classes in CLASSES[1:]:
        yield (_one("linear", HEADS[0], classes, 1),)
    for width in sizes[smallest]:
        yield _square("linear", width, 1, 1, ROW)


def _residual(width: int, size: int) -> Iterator[tuple[Block, ...]]:
    """What a stage of basic blocks is made of, and how it is entered."""
    yield _square("conv3x3", width, size, ROW)
    yield _square("conv3x3_add", width, size, ROW)
    yield (_one("conv3x3", width, 2 * width, size),)
    for kind in ("conv3x3", "conv1x1"):
        yield (_one(kind, width, 2 * width, size, stride=2),)


def _inverted(width: int, size: int, expansion: int) -> Iterator[tuple[Block, ...]]:
    """What a stage of inverted residuals is made of."""
    inner = expansion * width
    yield _square("conv1x1", width, size, 1)
    yield _square("conv1x1", width, size, ROW)
    yield _square("conv1x1_add", width, size, ROW)
    yield _square("depthwise3x3", width, size, ROW)
    yield (_one("depthwise3x3", width, width, size, stride=2),)
    if inner <= WIDEST:
        yield (_one("expand1x1", width, inner, size, count=ROW // 2),)
        yield _square("depthwise3x3", inner, size, ROW // 2)


def _square(kind: str, width: int, size: int, *counts: int) -> tuple[Block, ...]:
    """Blocks that give as many channels as they take."""
    return tuple(
        Block(kind=kind, in_channels=width, out_channels=width, size=size, count=count)
        for count in counts
    )


def _one(
    kind: str, width_in: int, width_out: int, size: int, stride: int = 1, count: int = 1
) -> Block:
    return Block(
        kind=kind,
        in_channels=width_in,
        out_channels=width_out,
        size=size,
        stride=stride,
        count=count,
    )
