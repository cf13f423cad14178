"""The WideResNet family as data: shapes, layers and its searched space; no torch.

Source: Zagoruyko, Komodakis, "Wide Residual Networks", BMVC 2016, in the CIFAR form that graph
distillation was published with: conv3x3 BN ReLU, three stages of post-activation basic blocks at
strides 1, 2, 2, a 1x1 conv + BN shortcut where the shape changes, global average pool, linear.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .basic_stages import basic_stages, unevenness
from .errors import BadInput
from .family import STEP, Spec, rising
from .layer import Layer, Whole, classifier, conv
from .space import Choice

if TYPE_CHECKING:
    from torch import nn

STRIDES = (1, 2, 2)
STEM, BASE_WIDTHS = 16, (16, 32, 64)
# The space stops at WRN-40-4 (about 1.3 GMAC at 32x32); what is wider is a teacher, not a student.
SPACE_BLOCKS = range(1, 7)
SPACE_WIDEST = (64, 128, 256)
# The narrow stem costs half as much at full resolution: below 3 MMAC most of what fits has it.
SPACE_STEMS = (8, 16, 24, 32)


@dataclass(frozen=True, kw_only=True)
class WideResNet(Spec):
    """One member of the family; `BadInput` when the numbers make no network.

    >>> WideResNet.scaled(depth=28, width=0.5).blocks
    (4, 4, 4)
    """

    family: ClassVar[str] = "wideresnet"
    widest: ClassVar[int] = 64

    blocks: tuple[int, int, int] = (2, 2, 2)
    """Blocks of two convolutions in each of three stages: n of each make depth 6n + 4."""
    widths: tuple[int, int, int] = BASE_WIDTHS
    """Channels of the three stages."""
    stem: int = STEM
    """Channels of the first convolution."""

    @classmethod
    def published(cls, depth: int, width: float) -> dict[str, Choice]:
        """WRN-depth-width: stages of 16, 32 and 64 channels times `width`, equally deep."""
        if depth < 10 or depth % 6 != 4:
            below = max(10, (depth - 4) // 6 * 6 + 4)
            raise BadInput(
                f"wideresnet depth {depth} is not 6n + 4 with n >= 1; use {below} or {below + 6}"
            )
        widths = (round(base * width) for base in BASE_WIDTHS)
        return {"blocks": ((depth - 4) // 6,) * len(STRIDES), "channels": (STEM, *widths)}

    @classmethod
    def axes(cls) -> dict[str, Sequence[Choice]]:
        """Blocks, shallow to deep and of equal depth the evenest first, then stages and stem.

        1 to 6 blocks a stage; stage widths in multiples of 8 that never shrink and at most
        quadruple from one stage to the next; a stem of 8 to 32 channels, no wider than the first
        stage unless it is the published 16.

        >>> len(WideResNet.space(num_classes=10, image_size=32))
        1170072
        """
        blocks = sorted(
            itertools.product(SPACE_BLOCKS, repeat=len(STRIDES)),
            key=lambda each: (sum(each), max(each) - min(each)),
        )
        stages = rising([range(STEP, widest + 1, STEP) for widest in SPACE_WIDEST])
        channels = [
            (stem, *widths)
            for widths in stages
            for stem in SPACE_STEMS
            if stem <= max(STEM, widths[0])
        ]
        return {"blocks": blocks, "channels": channels}

    @classmethod
    def shaped(cls, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The stem and the stages come on one axis."""
        fields = dict(chosen)
        stem, *widths = fields.pop("channels")
        return {**fields, "stem": stem, "widths": tuple(widths)}

    @staticmethod
    def layers(shape: Any) -> list[Layer]:
        """The layers in the order in which they run; see `Spec.layers`."""
        stem = conv(shape.in_channels, shape.stem, shape.image_size)
        stages, size = basic_stages(
            shape.stem, shape.image_size, widths=shape.widths, blocks=shape.blocks, strides=STRIDES
        )
        return [stem, *stages, *classifier(shape.widths[-1], size, shape.num_classes)]

    @staticmethod
    def unevenness(shape: Any) -> Whole:
        """By how many blocks the deepest stage exceeds the shallowest."""
        return unevenness(shape.blocks)

    def describe(self) -> str:
        """Short text for tables.

        >>> WideResNet(blocks=(2, 2, 2), widths=(8, 16, 32)).describe()
        'WRN-16 (8, 16, 32)'
        >>> WideResNet(blocks=(1, 2, 3), widths=(8, 16, 32), stem=8).describe()
        'WRN [1, 2, 3] (8, 16, 32) stem 8'
        """
        even = len(set(self.blocks)) == 1
        depth = f"WRN-{6 * self.blocks[0] + 4}" if even else f"WRN {list(self.blocks)}"
        stem = "" if self.stem == STEM else f" stem {self.stem}"
        return f"{depth} ({', '.join(map(str, self.widths))}){stem}"

    def network(self) -> nn.Module:
        """The untrained network, with weights from torch's default generator."""
        from .wideresnet_net import WideResNetwork

        return WideResNetwork(self)
