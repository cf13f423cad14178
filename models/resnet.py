"""The ResNet family of basic blocks as data: stems for small and for large images; no torch.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.1
(ImageNet: 7x7 stem at stride 2 and max-pooling) and 4.2 (CIFAR: 3x3 stem), with projection
shortcuts (its option B) where the shape changes. Stages after the first halve the image.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from .basic_stages import basic_stages, unevenness
from .errors import BadInput
from .family import Spec, by_step, rising
from .layer import Layer, Whole, classifier, conv
from .space import Choice

if TYPE_CHECKING:
    from torch import nn

IMAGENET_STEM_FROM = 96
"""Images of so many pixels and more get the 7x7 stem with max-pooling, unless told otherwise."""
BASE_WIDTHS = (64, 128, 256, 512)
STRIDES = (1, 2, 2, 2)
BLOCKS_BY_DEPTH = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 26: (3, 3, 3, 3), 34: (3, 4, 6, 3)}
SPACE_BLOCKS = (1, 2, 3)
SPACE_WIDTHS = (
    range(8, 65, 8),
    range(8, 129, 8),
    (8, 16, 24, *range(32, 257, 16)),
    (16, 24, 32, 48, *range(64, 513, 32)),
)


@dataclass(frozen=True, kw_only=True)
class ResNet(Spec):
    """One member of the family; `BadInput` when the numbers make no network.

    >>> ResNet.scaled(depth=18, width=0.5).widths
    (32, 64, 128, 256)
    """

    family: ClassVar[str] = "resnet"

    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    """Basic blocks in each of four stages."""
    widths: tuple[int, int, int, int] = BASE_WIDTHS
    """Channels of the four stages; the stem has those of the first."""
    large_stem: int = field(default=0, metadata={"least": 0, "most": 1})
    """1: 7x7 at stride 2, then 3x3 max-pooling at stride 2. 0: 3x3 at stride 1."""

    @classmethod
    def published(cls, depth: int, width: float) -> dict[str, Choice]:
        """ResNet-10, -18, -26 or -34 with all widths times `width`, in multiples of 8."""
        if depth not in BLOCKS_BY_DEPTH:
            known = ", ".join(map(str, BLOCKS_BY_DEPTH))
            raise BadInput(f"resnet depth {depth}: expected one of {known}")
        widths = tuple(by_step(base * width) for base in BASE_WIDTHS)
        return {"blocks": BLOCKS_BY_DEPTH[depth], "widths": widths}

    @classmethod
    def axes(cls) -> dict[str, Sequence[Choice]]:
        """1 to 3 blocks a stage, then the stages' widths, narrow to wide.

        >>> len(ResNet.space(num_classes=10, image_size=32))
        636417
        """
        blocks = list(itertools.product(SPACE_BLOCKS, repeat=len(BASE_WIDTHS)))
        return {"blocks": blocks, "widths": rising(SPACE_WIDTHS)}

    @classmethod
    def shaped(cls, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The image decides upon the stem."""
        return {**chosen, "large_stem": int(chosen["image_size"] >= IMAGENET_STEM_FROM)}

    @staticmethod
    def layers(shape: Any) -> list[Layer]:
        """The layers in the order in which they run; see `Spec.layers`."""
        width, size = shape.widths[0], shape.image_size
        if shape.large_stem:
            stem = [conv(shape.in_channels, width, size, kernel=7, stride=2)]
            pool = {"channels_in": width, "channels_out": width, "size": stem[0].size_out}
            stem.append(Layer(kind="max_pool", kernel=3, stride=2, **pool))
        else:
            stem = [conv(shape.in_channels, width, size)]
        stages, size = basic_stages(
            width, stem[-1].size_out, widths=shape.widths, blocks=shape.blocks, strides=STRIDES
        )
        return [*stem, *stages, *classifier(shape.widths[-1], size, shape.num_classes)]

    @staticmethod
    def unevenness(shape: Any) -> Whole:
        """By how many blocks the deepest stage exceeds the shallowest."""
        return unevenness(shape.blocks)

    def describe(self) -> str:
        """Short text for tables.

        >>> ResNet().describe()
        'ResNet [2, 2, 2, 2] (64, 128, 256, 512)'
        """
        stem = " large stem" if self.large_stem else ""
        return f"ResNet {list(self.blocks)} ({', '.join(map(str, self.widths))}){stem}"

    def network(self) -> nn.Module:
        """The untrained network, with weights from torch's default generator."""
        from .resnet_net import ResNetwork

        return ResNetwork(self)
