"""The MobileNetV2 family as data: inverted residuals with depthwise convolutions; no torch.

Source: Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", CVPR 2018, table 2. Small images keep their size longer, as is usual on CIFAR: the
stem, and below 64 pixels the second stage too, then have stride 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import BadInput
from .family import Spec
from .layer import Layer, Whole, classifier, conv, present
from .space import Choice

if TYPE_CHECKING:
    from torch import nn

STEM, HEAD = 32, 1280
BASE_WIDTHS = (16, 24, 32, 64, 96, 160, 320)
BASE_REPEATS = (1, 2, 3, 4, 3, 3, 1)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
LARGE, MIDDLE = 128, 64
"""From LARGE pixels on all strides are the paper's; from MIDDLE on all but the stem's."""
DEPTH = 53
"""Layers with weights of the published network, which is how its depth is told."""
SPACE_EIGHTHS = range(1, 13)
"""Widths in eighths of the published ones."""
SPACE_EXPANSIONS = (2, 3, 4, 6)
SPACE_HEADS = (64, 128, 320, 640, 1280)


@dataclass(frozen=True, kw_only=True)
class MobileNetV2(Spec):
    """One member of the family; `BadInput` when the numbers make no network.

    >>> MobileNetV2.scaled(depth=53, width=0.5).widths
    (8, 16, 16, 32, 48, 80, 160)
    """

    family: ClassVar[str] = "mobilenetv2"
    widest: ClassVar[int] = 8

    widths: tuple[int, int, int, int, int, int, int] = BASE_WIDTHS
    """Channels of the seven stages."""
    repeats: tuple[int, int, int, int, int, int, int] = BASE_REPEATS
    """Blocks in each."""
    expansion: int = field(default=6, metadata={"least": 2})
    """Of a block's inner channels over its input's; the first stage has 1."""
    stem: int = STEM
    head: int = HEAD
    """Channels of the last 1x1 convolution."""

    @classmethod
    def published(cls, depth: int, width: float) -> dict[str, Choice]:
        """The published network, of 53 layers, with all widths times `width` in multiples of 8."""
        if depth != DEPTH:
            raise BadInput(f"mobilenetv2 depth {depth}: expected {DEPTH}, the published one")
        return {
            "channels": tuple(rounded(base * width) for base in (STEM, *BASE_WIDTHS)),
            "repeats": BASE_REPEATS,
            "expansion": 6,
            "head": rounded(HEAD * max(1.0, width)),
        }

    @classmethod
    def axes(cls) -> dict[str, Sequence[Choice]]:
        """Widths of early, middle and late stages as three scales of the published ones that never
        shrink with depth, repeats up to the published ones, expansions and heads.

        >>> len(MobileNetV2.space(num_classes=10, image_size=32))
        1002240
        """
        scales = itertools.combinations_with_replacement(SPACE_EIGHTHS, 3)
        channels = dict.fromkeys(_channels(*scale) for scale in scales)
        repeats = itertools.product(*(range(1, most + 1) for most in BASE_REPEATS))
        return {
            "channels": list(channels),
            "repeats": list(repeats),
            "expansion": SPACE_EXPANSIONS,
            "head": SPACE_HEADS,
        }

    @classmethod
    def shaped(cls, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The stem and the stages come on one axis."""
        fields = dict(chosen)
        stem, *widths = fields.pop("channels")
        return {**fields, "stem": stem, "widths": tuple(widths)}

    @staticmethod
    def layers(shape: Any) -> list[Layer]:
        """The layers in the order in which they run; see `Spec.layers`."""
        stem_stride, strides = strides_for(shape.image_size)
        size = shape.image_size
        layers = [conv(shape.in_channels, shape.stem, size, stride=stem_stride)]
        channels, size = shape.stem, layers[0].size_out
        stages = zip(shape.widths, shape.repeats, strides, strict=True)
        for stage, (width, repeats, stride) in enumerate(stages):
            expansion = shape.expansion if stage else 1
            same = (channels == width) * 1 if stride == 1 else 0
            layers += _block(channels, width, expansion, size, stride=stride, residual=same)
            channels, size = width, layers[-1].size_out
            layers += _block(width, width, expansion, size, residual=1, count=repeats - 1)
        layers.append(conv(channels, shape.head, size, kernel=1))
        return [*present(layers), *classifier(shape.head, size, shape.num_classes)]

    def describe(self) -> str:
        """Short text for tables."""
        widths, repeats = (", ".join(map(str, each)) for each in (self.widths, self.repeats))
        return f"MobileNetV2 ({widths}) x [{repeats}] t{self.expansion} head {self.head}"

    def network(self) -> nn.Module:
        """The untrained network, with weights from torch's default generator."""
        from .mobilenetv2_net import MobileNetV2Network

        return MobileNetV2Network(self)


def strides_for(image_size: int) -> tuple[int, tuple[int, ...]]:
    """Stride of the stem, and of the first block of every stage, for images of that size."""
    if image_size >= LARGE:
        return 2, STRIDES
    if image_size >= MIDDLE:
        return 1, STRIDES
    return 1, (1, 1, *STRIDES[2:])


def rounded(width: float) -> int:
    """To a multiple of 8, never more than a tenth below: the rule of the paper's own code."""
    near = max(8, int(width + 4) // 8 * 8)
    return near + 8 if near < 0.9 * width else near


def _channels(early: int, middle: int, late: int) -> tuple[int, ...]:
    """Of the stem and the seven stages, from scales in eighths of the published ones."""
    scales = (early, early, early, early, middle, middle, late, late)
    return tuple(
        rounded(base * scale / 8) for base, scale in zip((STEM, *BASE_WIDTHS), scales, strict=True)
    )


def _block(
    channels: Whole,
    width: Whole,
    expansion: Whole,
    size: int,
    *,
    stride: int = 1,
    residual: Whole = 0,
    count: Whole = 1,
) -> list[Layer]:
    """An inverted residual's layers, `count` of each."""
    inner = channels * expansion
    kept = channels * size**2 * residual
    depthwise = Layer(
        kind="depthwise",
        channels_in=inner,
        channels_out=inner,
        size=size,
        kernel=3,
        stride=stride,
        norm=True,
        kept=kept,
        count=count,
    )
    project = conv(
        inner, width, depthwise.size_out, kernel=1, adds=residual, kept=kept, count=count
    )
    if isinstance(expansion, int) and expansion == 1:
        return [depthwise, project]
    return [conv(channels, inner, size, kernel=1, count=count), depthwise, project]
