"""The MobileNetV2 family as data: inverted residuals with depthwise convolutions; no torch.

Source: Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", CVPR 2018, table 2. Small images keep their size longer, as is usual on CIFAR: the
stem, and below 64 pixels the second stage too, then have stride 1.
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

STEM, HEAD = 32, 1280
BASE_WIDTHS = (16, 24, 32, 64, 96, 160, 320)
BASE_REPEATS = (1, 2, 3, 4, 3, 3, 1)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
LARGE, MIDDLE = 128, 64
"""From LARGE pixels on all strides are the paper's; from MIDDLE on all but the stem's."""
DEPTH = 53
"""Layers with weights of the published network, which is how its depth is told."""
SPACE_SCALES = tuple(range(3, 13))
"""Widths in eighths of the published ones."""
SPACE_REPEATS = (1, 2, 3, 4)
SPACE_EXPANSIONS = (2, 3, 4, 6)


@dataclass(frozen=True, kw_only=True)
class MobileNetV2:
    """One member of the family; `BadInput` when the numbers make no network.

    >>> MobileNetV2.scaled(depth=53, width=0.5).widths
    (8, 16, 16, 32, 48, 80, 160)
    """

    family: ClassVar[str] = "mobilenetv2"

    widths: tuple[int, int, int, int, int, int, int] = BASE_WIDTHS
    """Channels of the seven stages."""
    repeats: tuple[int, int, int, int, int, int, int] = BASE_REPEATS
    """Blocks in each."""
    expansion: int = 6
    """Of a block's inner channels over its input's; the first stage has 1."""
    stem: int = STEM
    head: int = HEAD
    """Channels of the last 1x1 convolution."""
    num_classes: int = 10
    image_size: int = 32
    """Height and width of the input, in pixels."""
    in_channels: int = 3

    def __post_init__(self) -> None:
        for name in ("widths", "repeats"):
            if len(getattr(self, name)) != len(STRIDES):
                raise BadInput(f"mobilenetv2 {name} {getattr(self, name)}: expected 7 stages")
        sizes = (*self.widths, *self.repeats, self.expansion, self.stem, self.head)
        if min(*sizes, self.num_classes, self.image_size, self.in_channels) < 1:
            raise BadInput(f"mobilenetv2 sizes must be 1 or more, found {self}")
        if self.expansion < 2:
            raise BadInput(f"mobilenetv2 expansion {self.expansion}: expected 2 or more")

    @classmethod
    def scaled(
        cls,
        *,
        depth: int,
        width: float,
        num_classes: int = 10,
        image_size: int = 32,
        in_channels: int = 3,
    ) -> MobileNetV2:
        """The published network, of 53 layers, with all widths times `width` in multiples of 8."""
        if depth != DEPTH:
            raise BadInput(f"mobilenetv2 depth {depth}: expected {DEPTH}, the published one")
        if not 1 / 16 <= width <= 8:
            raise BadInput(f"mobilenetv2 width {width} must lie between 0.0625 and 8")
        widths = tuple(rounded(base * width) for base in BASE_WIDTHS)
        return cls(
            widths=widths,  # type: ignore[arg-type]  # seven, as BASE_WIDTHS
            stem=rounded(STEM * width),
            head=rounded(HEAD * max(1.0, width)),
            num_classes=num_classes,
            image_size=image_size,
            in_channels=in_channels,
        )

    @classmethod
    def space(cls, *, num_classes: int, image_size: int, in_channels: int = 3) -> Space:
        """Every candidate: widths of early, middle and late stages as three scales of the
        published ones that never shrink with depth, repeats and expansion."""

        def allowed(axes: Mapping[str, Any]) -> Any:
            return (axes["middle"] >= axes["early"]) & (axes["late"] >= axes["middle"])

        def shaped(axes: Mapping[str, Any]) -> dict[str, Any]:
            scales = [axes[name] for name in PARTS]
            widths = tuple(
                _rounded_eighths(base * scales[part], base)
                for base, part in zip(BASE_WIDTHS, PART_OF, strict=True)
            )
            repeats = (1, *(axes[f"repeats{stage}"] for stage in range(2, 7)), 1)
            return {
                "widths": widths,
                "repeats": repeats,
                "expansion": axes["expansion"],
                "stem": _rounded_eighths(STEM * scales[0], STEM),
                "head": axes["head"],
                **fixed,
            }

        fixed = {"num_classes": num_classes, "image_size": image_size, "in_channels": in_channels}
        axes: dict[str, tuple[int, ...]] = dict.fromkeys(PARTS, SPACE_SCALES)
        axes |= {f"repeats{stage}": SPACE_REPEATS[: 4 if stage < 6 else 3] for stage in range(2, 7)}
        axes |= {"expansion": SPACE_EXPANSIONS, "head": (320, 640, 1280)}
        return Space(axes=axes, allowed=allowed, shaped=shaped, made=cls)

    def describe(self) -> str:
        """Short text for tables."""
        widths, repeats = (", ".join(map(str, each)) for each in (self.widths, self.repeats))
        return f"MobileNetV2 ({widths}) x [{repeats}] t{self.expansion} head {self.head}"

    def network(self) -> nn.Module:
        """The untrained network, with weights from torch's default generator."""
        from .mobilenetv2_net import MobileNetV2Network

        return MobileNetV2Network(self)

    def cost(self) -> Cost:
        """Cost in closed form; `models/cost.py` says what is counted."""
        return self.priced(self)

    @staticmethod
    def priced(shape: Any) -> Cost:
        """The same of any object with this class's fields, which may be columns: see `Part`."""
        stem_stride, strides = strides_for(shape.image_size)
        size = -(-shape.image_size // stem_stride)
        pixels = size * size
        parts: list[Part] = [conv_bn(shape.in_channels, shape.stem, kernel=3, pixels=pixels)]
        live = [shape.in_channels * shape.image_size**2 + shape.stem * pixels]
        width_in = shape.stem
        for stage, (width, repeats) in enumerate(zip(shape.widths, shape.repeats, strict=True)):
            expansion = shape.expansion if stage else 1
            first, first_live, size = _block(width_in, width, expansion, size, strides[stage], 0)
            more, more_live, _ = _block(width, width, expansion, size, 1, 1)
            parts += [*first, *(part.times(repeats - 1) for part in more)]
            same = (strides[stage] == 1) & (width_in == width)
            kept = width_in * (-(-size * strides[stage])) ** 2 if strides[stage] == 1 else 0
            live += [each + kept * same for each in first_live]
            live += [each * (repeats > 1) for each in more_live]
            width_in = width
        pixels = size * size
        parts += [
            conv_bn(width_in, shape.head, kernel=1, pixels=pixels),
            global_pool(shape.head, pixels),
            linear(shape.head, shape.num_classes),
        ]
        live += [(width_in + shape.head) * pixels, shape.head * pixels + shape.head]
        live.append(shape.head + shape.num_classes)
        return total(parts, peak_activation_elements=largest(live))


PARTS = ("early", "middle", "late")
PART_OF = (0, 0, 0, 1, 1, 2, 2)


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


def _rounded_eighths(eighths: Any, base: int) -> Any:
    """The same of `eighths` / 8, for whole numbers and columns: `rounded`, in integers."""
    near = (eighths + 32) // 64 * 8
    near = near + (near < 8) * (8 - near)
    return near + 8 * (80 * near < 9 * eighths)


def _block(
    width_in: Any, width: Any, expansion: Any, size: int, stride: int, residual: int
) -> tuple[list[Part], list[Any], int]:
    """An inverted residual's layers, what is alive during each, and the size that it gives."""
    inner = width_in * expansion
    before, after = size * size, (-(-size // stride)) ** 2
    opens = 1 if isinstance(expansion, int) and expansion == 1 else 0
    parts = [
        conv_bn(1, inner, kernel=3, pixels=after, depthwise=True),
        conv_bn(inner, width, kernel=1, pixels=after),
    ]
    kept = width_in * before * residual
    live = [inner * before + inner * after, inner * after + width * after]
    if not opens:
        parts.insert(0, conv_bn(width_in, inner, kernel=1, pixels=before))
        live.insert(0, (width_in + inner) * before)
        live[1:] = [each + kept for each in live[1:]]
    return parts, live, -(-size // stride)
