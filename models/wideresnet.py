"""The WideResNet family as data: shapes, its searched space, its cost in closed form; no torch.

Source: Zagoruyko, Komodakis, "Wide Residual Networks", BMVC 2016, in the CIFAR form that graph
distillation was published with: conv3x3 BN ReLU, three stages of post-activation basic blocks at
strides 1, 2, 2, a 1x1 conv + BN shortcut where the shape changes, global average pool, linear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .cost import Cost, Part, conv_bn, global_pool, largest, linear, total
from .errors import BadInput
from .space import Space

if TYPE_CHECKING:
    from torch import nn

STRIDES = (1, 2, 2)
# The space stops at WRN-40-4 (about 1.3 GMAC at 32x32); what is wider is a teacher, not a student.
SPACE_DEPTHS = (10, 16, 22, 28, 34, 40)
SPACE_WIDEST = (64, 128, 256)
SPACE_STEP = 8
# The narrow stem costs half as much at full resolution: below 3 MMAC most of what fits has it.
SPACE_STEMS = (8, 16)


@dataclass(frozen=True, kw_only=True)
class WideResNet:
    """One member of the family; `BadInput` when the numbers make no network.

    >>> WideResNet.scaled(depth=28, width=0.5)
    WideResNet(depth=28, widths=(8, 16, 32), stem=16, num_classes=10, image_size=32, in_channels=3)
    """

    family: ClassVar[str] = "wideresnet"

    depth: int = 16
    """6n + 4: n blocks of two convolutions in each of three stages."""
    widths: tuple[int, int, int] = (16, 32, 64)
    """Channels of the three stages."""
    stem: int = 16
    """Channels of the first convolution."""
    num_classes: int = 10
    image_size: int = 32
    """Height and width of the input, in pixels."""
    in_channels: int = 3

    def __post_init__(self) -> None:
        if self.depth < 10 or self.depth % 6 != 4:
            below = max(10, (self.depth - 4) // 6 * 6 + 4)
            raise BadInput(
                f"wideresnet depth {self.depth} is not 6n + 4 with n >= 1;"
                f" use {below} or {below + 6}"
            )
        if len(self.widths) != len(STRIDES):
            raise BadInput(
                f"wideresnet widths {self.widths}: expected 3 stages, found {len(self.widths)}"
            )
        sizes = (*self.widths, self.stem, self.num_classes, self.image_size, self.in_channels)
        if min(sizes) < 1:
            raise BadInput(f"wideresnet sizes must be 1 or more, found {self}")

    @classmethod
    def scaled(
        cls,
        *,
        depth: int,
        width: float,
        num_classes: int = 10,
        image_size: int = 32,
        in_channels: int = 3,
    ) -> WideResNet:
        """WRN-depth-width: stages of 16, 32 and 64 channels times `width`."""
        if not 1 / 16 <= width <= 64:
            raise BadInput(f"wideresnet width {width} must lie between 0.0625 and 64")
        widths = tuple(round(base * width) for base in (16, 32, 64))
        return cls(
            depth=depth,
            widths=(widths[0], widths[1], widths[2]),
            num_classes=num_classes,
            image_size=image_size,
            in_channels=in_channels,
        )

    @classmethod
    def space(cls, *, num_classes: int, image_size: int, in_channels: int = 3) -> Space:
        """Every candidate of the search, shallow to deep and narrow to wide, in a fixed order.

        Six depths times stage widths in multiples of 8 that never shrink and at most quadruple
        from one stage to the next; a stem of 16 channels, or of 8 before a first stage of 8 or 16.

        >>> len(WideResNet.space(num_classes=10, image_size=32))
        9732
        """

        def allowed(axes: Mapping[str, Any]) -> Any:
            first, second, third = axes["first"], axes["second"], axes["third"]
            return (
                ((axes["stem"] != 8) | (first <= 16)) & _near(first, second) & _near(second, third)
            )

        def shaped(axes: Mapping[str, Any]) -> dict[str, Any]:
            return {
                "depth": axes["depth"],
                "widths": (axes["first"], axes["second"], axes["third"]),
                "stem": axes["stem"],
                **fixed,
            }

        fixed = {"num_classes": num_classes, "image_size": image_size, "in_channels": in_channels}
        widths = [tuple(range(SPACE_STEP, widest + 1, SPACE_STEP)) for widest in SPACE_WIDEST]
        axes = {"depth": SPACE_DEPTHS, "first": widths[0], "stem": SPACE_STEMS}
        axes |= {"second": widths[1], "third": widths[2]}
        return Space(axes=axes, allowed=allowed, shaped=shaped, made=cls)

    @property
    def blocks_per_stage(self) -> int:
        """n of depth = 6n + 4."""
        return (self.depth - 4) // 6

    def describe(self) -> str:
        """Short text for tables.

        >>> WideResNet(depth=16, widths=(8, 16, 32)).describe()
        'WRN-16 (8, 16, 32)'
        """
        stem = "" if self.stem == 16 else f" stem {self.stem}"
        return f"WRN-{self.depth} ({', '.join(map(str, self.widths))}){stem}"

    def network(self) -> nn.Module:
        """The untrained network, with weights from torch's default generator."""
        from .wideresnet_net import WideResNetwork

        return WideResNetwork(self)

    def cost(self) -> Cost:
        """Cost in closed form; `models/cost.py` says what is counted."""
        return self.priced(self)

    @staticmethod
    def priced(shape: Any) -> Cost:
        """The same of any object with this class's fields, which may be columns: see `Part`."""
        size, repeats = shape.image_size, (shape.depth - 4) // 6 - 1
        pixels = size * size
        parts: list[Part] = [conv_bn(shape.in_channels, shape.stem, kernel=3, pixels=pixels)]
        live = [(shape.in_channels + shape.stem) * pixels]
        width_in, into = shape.stem, shape.stem * pixels
        for width, stride in zip(shape.widths, STRIDES, strict=True):
            size = -(-size // stride)
            pixels = size * size
            second = conv_bn(width, width, kernel=3, pixels=pixels)
            parts += [conv_bn(width_in, width, kernel=3, pixels=pixels), second]
            changes = 1 if stride != 1 else width_in != width
            parts.append(conv_bn(width_in, width, kernel=1, pixels=pixels).times(changes))
            parts.append(second.times(2 * repeats))
            # While a block's second convolution (or its shortcut) runs, three tensors are alive:
            # the block's input and two of the output's size. The sum then happens in place.
            out = width * pixels
            live += [into + 2 * out, 3 * out * (repeats > 0)]
            width_in, into = width, out
        parts += [global_pool(width_in, pixels), linear(width_in, shape.num_classes)]
        live += [into + width_in, width_in + shape.num_classes]
        return total(parts, peak_activation_elements=largest(live))


def _near(before: Any, after: Any) -> Any:
    """Whether a stage may follow the one before it."""
    return (after >= before) & (after <= 4 * before)
