"""The ResNet family of basic blocks as data: stems for small and for large images; no torch.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.1
(ImageNet: 7x7 stem at stride 2 and max-pooling) and 4.2 (CIFAR: 3x3 stem), with projection
shortcuts (its option B) where the shape changes. Stages after the first halve the image.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .cost import Cost, Part, conv_bn, global_pool, largest, linear, total
from .errors import BadInput
from .space import Space

if TYPE_CHECKING:
    from torch import nn

IMAGENET_STEM_FROM = 96
"""Images of so many pixels and more get the 7x7 stem with max-pooling, unless told otherwise."""
BASE_WIDTHS = (64, 128, 256, 512)
BLOCKS_BY_DEPTH = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 26: (3, 3, 3, 3), 34: (3, 4, 6, 3)}
SPACE_BLOCKS = (1, 2, 3)
SPACE_WIDTHS = (tuple(range(16, 65, 8)), tuple(range(24, 129, 8)), tuple(range(32, 257, 16)))
SPACE_LAST = tuple(range(64, 513, 32))


@dataclass(frozen=True, kw_only=True)
class ResNet:
    """One member of the family; `BadInput` when the numbers make no network.

    >>> ResNet.scaled(depth=18, width=0.5).widths
    (32, 64, 128, 256)
    """

    family: ClassVar[str] = "resnet"

    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    """Basic blocks in each of four stages."""
    widths: tuple[int, int, int, int] = BASE_WIDTHS
    """Channels of the four stages; the stem has those of the first."""
    large_stem: int = 0
    """1: 7x7 at stride 2, then 3x3 max-pooling at stride 2. 0: 3x3 at stride 1."""
    num_classes: int = 10
    image_size: int = 32
    """Height and width of the input, in pixels."""
    in_channels: int = 3

    def __post_init__(self) -> None:
        for name in ("blocks", "widths"):
            if len(getattr(self, name)) != len(BASE_WIDTHS):
                raise BadInput(f"resnet {name} {getattr(self, name)}: expected 4 stages")
        sizes = (*self.blocks, *self.widths, self.num_classes, self.image_size, self.in_channels)
        if min(sizes) < 1:
            raise BadInput(f"resnet sizes must be 1 or more, found {self}")
        if self.large_stem not in (0, 1):
            raise BadInput(f"resnet large_stem {self.large_stem}: expected 0 or 1")

    @classmethod
    def scaled(
        cls,
        *,
        depth: int,
        width: float,
        num_classes: int = 10,
        image_size: int = 32,
        in_channels: int = 3,
    ) -> ResNet:
        """ResNet-10, -18, -26 or -34 with all widths times `width`, in multiples of 8."""
        if depth not in BLOCKS_BY_DEPTH:
            known = ", ".join(map(str, BLOCKS_BY_DEPTH))
            raise BadInput(f"resnet depth {depth}: expected one of {known}")
        if not 1 / 16 <= width <= 16:
            raise BadInput(f"resnet width {width} must lie between 0.0625 and 16")
        first, second, third, last = (max(8, 8 * round(base * width / 8)) for base in BASE_WIDTHS)
        return cls(
            blocks=BLOCKS_BY_DEPTH[depth],
            widths=(first, second, third, last),
            large_stem=int(image_size >= IMAGENET_STEM_FROM),
            num_classes=num_classes,
            image_size=image_size,
            in_channels=in_channels,
        )

    @classmethod
    def space(cls, *, num_classes: int, image_size: int, in_channels: int = 3) -> Space:
        """Every candidate: 1 to 3 blocks a stage, stage widths that never shrink nor more than
        quadruple from one stage to the next."""

        def allowed(axes: Mapping[str, Any]) -> Any:
            widths = [axes[name] for name in ("first", "second", "third", "last")]
            fine: Any = True
            for before, after in itertools.pairwise(widths):
                fine = fine & (after >= before) & (after <= 4 * before)
            return fine

        def shaped(axes: Mapping[str, Any]) -> dict[str, Any]:
            return {
                "blocks": tuple(axes[f"blocks{stage}"] for stage in range(1, 5)),
                "widths": tuple(axes[name] for name in ("first", "second", "third", "last")),
                **fixed,
            }

        fixed = {
            "large_stem": int(image_size >= IMAGENET_STEM_FROM),
            "num_classes": num_classes,
            "image_size": image_size,
            "in_channels": in_channels,
        }
        axes: dict[str, tuple[int, ...]] = {f"blocks{stage}": SPACE_BLOCKS for stage in range(1, 5)}
        axes |= dict(zip(("first", "second", "third"), SPACE_WIDTHS, strict=True))
        return Space(axes={**axes, "last": SPACE_LAST}, allowed=allowed, shaped=shaped, made=cls)

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

    def cost(self) -> Cost:
        """Cost in closed form; `models/cost.py` says what is counted."""
        return self.priced(self)

    @staticmethod
    def priced(shape: Any) -> Cost:
        """The same of any object with this class's fields, which may be columns: see `Part`."""
        size, width_in = shape.image_size, shape.widths[0]
        entered = shape.in_channels * size * size
        kernel = 7 if shape.large_stem else 3
        if shape.large_stem:
            size = -(-size // 2)
        stem = width_in * size * size
        parts: list[Part] = [
            conv_bn(shape.in_channels, width_in, kernel=kernel, pixels=size * size)
        ]
        live = [entered + stem]
        if shape.large_stem:
            size = -(-size // 2)
            live.append(stem + width_in * size * size)
        into = width_in * size * size
        for stage, (width, blocks) in enumerate(zip(shape.widths, shape.blocks, strict=True)):
            stride = 2 if stage else 1
            size = -(-size // stride)
            pixels = size * size
            second = conv_bn(width, width, kernel=3, pixels=pixels)
            parts += [conv_bn(width_in, width, kernel=3, pixels=pixels), second]
            if stage:
                parts.append(conv_bn(width_in, width, kernel=1, pixels=pixels))
            parts.append(second.times(2 * (blocks - 1)))
            # As in wideresnet: a block's input and two tensors of its output's size.
            out = width * pixels
            live += [into + 2 * out, 3 * out * (blocks > 1)]
            width_in, into = width, out
        parts += [global_pool(width_in, pixels), linear(width_in, shape.num_classes)]
        live += [into + width_in, width_in + shape.num_classes]
        return total(parts, peak_activation_elements=largest(live))
