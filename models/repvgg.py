"""The RepVGG family as data: several branches in training, a stack of 3x3 convolutions when run.

Source: Ding, Zhang, Ma, Han, Ding, Sun, "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021,
sections 3.2 to 3.4. A stage's first block changes width and size. Small images keep their size
longer: below 96 pixels the stem and the first stage have stride 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .cost import Cost, Part, conv, global_pool, largest, linear, total
from .errors import BadInput
from .space import Space

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
class RepVGG:
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
    num_classes: int = 10
    image_size: int = 32
    """Height and width of the input, in pixels."""
    in_channels: int = 3

    def __post_init__(self) -> None:
        for name in ("blocks", "widths"):
            if len(getattr(self, name)) != len(BASE_WIDTHS):
                raise BadInput(f"repvgg {name} {getattr(self, name)}: expected 4 stages")
        sizes = (*self.blocks, *self.widths, self.stem)
        if min(*sizes, self.num_classes, self.image_size, self.in_channels) < 1:
            raise BadInput(f"repvgg sizes must be 1 or more, found {self}")

    @classmethod
    def scaled(
        cls,
        *,
        depth: int,
        width: float,
        num_classes: int = 10,
        image_size: int = 32,
        in_channels: int = 3,
    ) -> RepVGG:
        """RepVGG-A (22 convolutions) or -B (28) with all widths times `width`, by 8; the paper's
        a and b are one factor here."""
        if depth not in BLOCKS_BY_DEPTH:
            known = ", ".join(map(str, BLOCKS_BY_DEPTH))
            raise BadInput(f"repvgg depth {depth}: expected one of {known}")
        if not 1 / 16 <= width <= 16:
            raise BadInput(f"repvgg width {width} must lie between 0.0625 and 16")
        first, second, third, last = (max(8, 8 * round(base * width / 8)) for base in BASE_WIDTHS)
        return cls(
            blocks=BLOCKS_BY_DEPTH[depth],
            widths=(first, second, third, last),
            stem=min(64, first),
            num_classes=num_classes,
            image_size=image_size,
            in_channels=in_channels,
        )

    @classmethod
    def space(cls, *, num_classes: int, image_size: int, in_channels: int = 3) -> Space:
        """Every candidate: depths of the stages times widths that never shrink nor more than
        quadruple from one stage to the next."""

        def allowed(axes: Mapping[str, Any]) -> Any:
            widths = [axes[f"width{stage}"] for stage in range(1, 5)]
            fine: Any = True
            for before, after in itertools.pairwise(widths):
                fine = fine & (after >= before) & (after <= 4 * before)
            return fine

        def shaped(axes: Mapping[str, Any]) -> dict[str, Any]:
            return {
                "blocks": tuple(axes[f"blocks{stage}"] for stage in range(1, 5)),
                "widths": tuple(axes[f"width{stage}"] for stage in range(1, 5)),
                "stem": axes["width1"],
                **fixed,
            }

        fixed = {"num_classes": num_classes, "image_size": image_size, "in_channels": in_channels}
        axes = {f"blocks{stage}": choices for stage, choices in enumerate(SPACE_BLOCKS, 1)}
        axes |= {f"width{stage}": choices for stage, choices in enumerate(SPACE_WIDTHS, 1)}
        return Space(axes=axes, allowed=allowed, shaped=shaped, made=cls)

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

    def cost(self) -> Cost:
        """Cost of the network as it runs, its branches merged, in closed form."""
        return self.priced(self)

    @staticmethod
    def priced(shape: Any) -> Cost:
        """The same of any object with this class's fields, which may be columns: see `Part`."""
        stem_stride, strides = strides_for(shape.image_size)
        into = shape.in_channels * shape.image_size**2
        size = -(-shape.image_size // stem_stride)
        pixels = size * size
        parts: list[Part] = [conv(shape.in_channels, shape.stem, kernel=3, pixels=pixels)]
        live = [into + shape.stem * pixels]
        width_in, into = shape.stem, shape.stem * pixels
        for width, blocks, stride in zip(shape.widths, shape.blocks, strides, strict=True):
            size = -(-size // stride)
            pixels = size * size
            parts.append(conv(width_in, width, kernel=3, pixels=pixels))
            parts.append(conv(width, width, kernel=3, pixels=pixels).times(blocks - 1))
            out = width * pixels
            live += [into + out, 2 * out * (blocks > 1)]
            width_in, into = width, out
        parts += [global_pool(width_in, pixels), linear(width_in, shape.num_classes)]
        live += [into + width_in, width_in + shape.num_classes]
        return total(parts, peak_activation_elements=largest(live))


def strides_for(image_size: int) -> tuple[int, tuple[int, int, int, int]]:
    """Stride of the stem, and of the first block of every stage, for images of that size."""
    return (2, (2, 2, 2, 2)) if image_size >= LARGE else (1, (1, 2, 2, 2))
