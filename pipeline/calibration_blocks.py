"""Which blocks `edgestill calibrate` times, and the cases of a measurement they become.

Measured on 2 cores of an Intel Xeon, 1 thread, 5 rounds of 0.1 s a block: `small` takes 2 minutes,
`full` 6. An engine that TensorRT has to build takes its time besides, for each block.

An inference of nothing takes ONNX Runtime 6 us there, what goes in and comes out of a block 1 to 50
us more, and a 1x1 or depthwise convolution itself 1 to 25. So each block that takes what it gives
stands in a file once, and in another one ROW times in a row: their difference over ROW - 1 is one
block between others, as in a network. The rest stands alone, edges included.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..export.block_files import IMAGE_CHANNELS, block_file
from ..export.single_block import Block

ROW = 8
CASES_AT_ONCE = 12
"""Timed in turns, then written: so much is lost at most when it is cut off."""
STEMS = (8, 16)
EMPTY = Block(kind="identity", in_channels=1, out_channels=1, size=1)
"""An inference of nothing: what a runtime takes for itself."""

# grid -> size of the image -> channels
GRIDS: dict[str, dict[int, tuple[int, ...]]] = {
    "small": {32: (8, 16, 32), 16: (16, 32, 64), 8: (32, 64, 128)},
    "full": {
        64: (8, 16, 32, 64),
        32: (8, 16, 24, 32, 48, 64, 96, 128),
        16: (8, 16, 32, 48, 64, 96, 128, 256),
        8: (16, 32, 64, 96, 128, 192, 256),
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


def batches(groups: Iterable[Sequence[Block]]) -> Iterator[list[Block]]:
    """The blocks by CASES_AT_ONCE or fewer; those of a group stay together."""
    batch: list[Block] = []
    for group in groups:
        if batch and len(batch) + len(group) > CASES_AT_ONCE:
            yield batch
            batch = []
        batch.extend(group)
    if batch:
        yield batch


def written(block: Block, dialect: str | None, folder: Path) -> Path:
    """The block's ONNX file, named by its bytes."""
    content = block_file(block, dialect=dialect)
    path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.onnx"
    path.write_bytes(content)
    return path


def sha256_of(block: Block, dialect: str | None) -> str:
    """Of the block's ONNX file as it would be written now."""
    return hashlib.sha256(block_file(block, dialect=dialect)).hexdigest()


def _groups(sizes: dict[int, tuple[int, ...]]) -> Iterator[tuple[Block, ...]]:
    for size, widths in sizes.items():
        for width in widths:
            yield _square("conv3x3", width, size, 1, ROW) + _square("conv3x3_add", width, size, ROW)
            yield _square("conv1x1", width, size, 1, ROW)
            yield _square("depthwise3x3", width, size, 1, ROW)
            for kind in ("conv3x3", "conv1x1"):
                yield (_conv(kind, width, 2 * width, size),)
                yield (_conv(kind, width, 2 * width, size, stride=2),)
            yield _square("identity", width, size, 1)
            yield _square("global_pool", width, size, 1)
    largest = max(sizes)
    for stem in STEMS:
        yield (_conv("conv3x3", IMAGE_CHANNELS, stem, largest),)
    last = sizes[min(sizes)]
    for width in last:
        yield _square("linear", width, 1, 1, ROW)
    for classes in (10, 100):
        yield (Block(kind="linear", in_channels=last[-1], out_channels=classes, size=1),)
    yield (EMPTY,)


def _square(kind: str, width: int, size: int, *counts: int) -> tuple[Block, ...]:
    """Blocks that give as many channels as they take."""
    return tuple(
        Block(kind=kind, in_channels=width, out_channels=width, size=size, count=count)
        for count in counts
    )


def _conv(kind: str, width_in: int, width_out: int, size: int, stride: int = 1) -> Block:
    return Block(kind=kind, in_channels=width_in, out_channels=width_out, size=size, stride=stride)
