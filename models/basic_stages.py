"""Stages of basic residual blocks as layers, shared by the families made of them; no torch.

A block is two 3x3 convolutions and a sum; where a stage's first block changes the shape, its input
reaches the sum through a 1x1 convolution.
"""

from __future__ import annotations

from collections.abc import Sequence

from .cost import largest
from .layer import Layer, Whole, conv, present


def basic_stages(
    channels: Whole,
    size: int,
    *,
    widths: Sequence[Whole],
    blocks: Sequence[Whole],
    strides: Sequence[int],
) -> tuple[list[Layer], int]:
    """The stages' layers in the order in which they run, and the height and width they give.

    channels, size: of what the first stage reads. Each stage has its width, its number of blocks,
    and the stride of its first one.
    """
    layers: list[Layer] = []
    for width, count, stride in zip(widths, blocks, strides, strict=True):
        layers += _stage(channels, width, size, stride, count)
        channels, size = width, -(-size // stride)
    return present(layers), size


def unevenness(blocks: Sequence[Whole]) -> Whole:
    """By how many blocks the deepest stage exceeds the shallowest.

    >>> unevenness([2, 2, 2]), unevenness([1, 6, 4])
    (0, 5)
    """
    return largest(blocks) + largest([-each for each in blocks])


def _stage(channels: Whole, width: Whole, size: int, stride: int, blocks: Whole) -> list[Layer]:
    after = -(-size // stride)
    # Where the stride is 1, only a width that changes needs the 1x1 convolution.
    changes = 1 if stride != 1 else (channels != width) * 1
    # While a block's second convolution (or its shortcut) runs, three tensors are alive: the
    # block's input and two of the output's size. The sum then happens in place.
    entered, written = channels * size**2, width * after**2
    return [
        conv(channels, width, size, stride=stride),
        conv(width, width, after, adds=1, kept=entered),
        conv(channels, width, size, kernel=1, stride=stride, count=changes),
        conv(width, width, after, count=blocks - 1),
        conv(width, width, after, adds=1, kept=written, count=blocks - 1),
    ]
