"""The RepVGG family as data: several branches in training, a stack of 3x3 convolutions when run.

Source: Ding, Zhang, Ma, Han, Ding, Sun, "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021,
sections 3.2 to 3.4. A stage's first block changes width and size. Small images keep their size
longer: below 96 pixels the stem and the first stage have stride 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import BadInput
from .family import Spec, by_step, rising
from .layer import Layer, classifier, conv, present
from .space import Choice

if TYPE_CHECKING:
    from torch import nn

LARGE = 96
BASE_WIDTHS = (64, 128, 256, 512)
BLOCKS_BY_DEPTH = {22: (2, 4, 14, 1), 28: (4, 6, 16, 1)}
"""RepVGG-A and -B of the paper: convolutions, the stem included -> blocks of the four stages."""
SPACE_BLOCKS = ((1, 2, 4), (1, 2, 4, 6), (1, 2, 4, 8), (1, 2))
SPACE_WIDTHS = (
    tuple(range(8, 65, 8)),
    tuple(range(16, 129, 8)),
    tuple(range(16, 257, 16)),
    tuple(range(32, 513, 32)),
)


@dataclass(frozen=True, kw_only=True)
class RepVGG(Spec):
    """One member of the family; `BadInput` when the numbers make no network.

    >>> RepVGG.scaled(depth=22, width=0.5).widths
    (32, 64, 128, 256)
    """

    family: ClassVar[str] = "repvgg"

    blocks: tuple[int, int, int, int] = (1, 2, 4, 1)
    """Convolutions, as it runs, in each of four stages."""
    widths: tuple[int, int, int, int] = (32, 64, 128, 256)
    """Channels of the four stages."""
    stem: int = 32
    """Channels of the first convolution."""

    @classmethod
    def published(cls, depth: int, width: float) -> dict[str, Choice]:
        """RepVGG-A (22 convolutions) or -B (28) with all widths times `width`, by 8; the paper's
        a and b are one factor here."""
        if depth not in BLOCKS_BY_DEPTH:
            known = ", ".join(map(str, BLOCKS_BY_DEPTH))
            raise BadInput(f"repvgg depth {depth}: expected one of {known}")
        widths = tuple(by_step(base * width) for base in BASE_WIDTHS)
        return {"blocks": BLOCKS_BY_DEPTH[depth], "widths": widths, "stem": min(64, widths[0])}

    @classmethod
    def axes(cls) -> dict[str, Sequence[Choice]]:
        """Convolutions of the stages, then the stages' widths, narrow to wide; the stem is as wide
        as the first stage.

        >>> len(RepVGG.space(num_classes=10, image_size=32))
        746976
        """
        return {"blocks": list(itertools.product(*SPACE_BLOCKS)), "widths": rising(SPACE_WIDTHS)}

    @classmethod
    def shaped(cls, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The stem has the first stage's width, unless it is told."""
        return {"stem": chosen["widths"][0], **chosen}

    @staticmethod
    def layers(shape: Any) -> list[Layer]:
        """The layers as they run, branches merged, in order; see `Spec.layers`."""
        stem_stride, strides = strides_for(shape.image_size)
        layers = [
            conv(shape.in_channels, shape.stem, shape.image_size, stride=stem_stride, norm=False)
        ]
        channels, size = shape.stem, layers[0].size_out
        for width, blocks, stride in zip(shape.widths, shape.blocks, strides, strict=True):
            layers.append(conv(channels, width, size, stride=stride, norm=False))
            channels, size = width, layers[-1].size_out
            layers.append(conv(width, width, size, norm=False, count=blocks - 1))
        return [*present(layers), *classifier(channels, size, shape.num_classes)]

    def describe(self) -> str:
        """Short text for tables.

        >>> RepVGG().describe()
        'RepVGG [1, 2, 4, 1] (32, 64, 128, 256)'
        """
        stem = "" if self.stem == self.widths[0] else f" stem {self.stem}"
        return f"RepVGG {list(self.blocks)} ({', '.join(map(str, self.widths))}){stem}"

    def network(self) -> nn.Module:
        """The untrained network in its training form, with weights from torch's generator."""
        from .repvgg_net import RepVGGNetwork

        return RepVGGNetwork(self)


def strides_for(image_size: int) -> tuple[int, tuple[int, int, int, int]]:
    """Stride of the stem, and of the first block of every stage, for images of that size."""
    return (2, (2, 2, 2, 2)) if image_size >= LARGE else (1, (1, 2, 2, 2))
