"""What every family of networks shares: a frozen spec of whole numbers, costed layer by layer."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from .cost import Cost, total
from .errors import BadInput
from .layer import Layer, Whole
from .space import Choice, Space

if TYPE_CHECKING:
    from torch import nn

STEP = 8
"""Widths of a space are multiples of it: narrower steps leave integer kernels idle."""
STEEPEST = 4
"""A stage of a space is at most so many times as wide as the one before it, and never narrower."""


@dataclass(frozen=True, kw_only=True)
class Spec(ABC):
    """One network of a family; `BadInput` when the numbers make none.

    A family is a frozen dataclass of this kind, its fields whole numbers or tuples of them, with a
    default each. A tuple has as many numbers as its default; a number is 1 or more, unless its
    field's metadata tell another "least", or a "most".
    """

    family: ClassVar[str]
    widest: ClassVar[int] = 16
    """The largest factor of `scaled`."""

    num_classes: int = 10
    image_size: int = 32
    """Height and width of the input, in pixels."""
    in_channels: int = 3

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            told = f"{self.family} {field.name} {value}"
            if isinstance(field.default, tuple) and len(value) != len(field.default):
                raise BadInput(f"{told}: expected {len(field.default)} stages, found {len(value)}")
            numbers = value if isinstance(value, tuple) else (value,)
            least, most = field.metadata.get("least", 1), field.metadata.get("most")
            if min(numbers) < least:
                raise BadInput(f"{told}: must be {least} or more")
            if most is not None and max(numbers) > most:
                raise BadInput(f"{told}: must be {most} or less")

    @classmethod
    def scaled(
        cls,
        *,
        depth: int,
        width: float,
        num_classes: int = 10,
        image_size: int = 32,
        in_channels: int = 3,
    ) -> Self:
        """The family's published network of that depth, all widths times `width`."""
        if not 1 / 16 <= width <= cls.widest:
            raise BadInput(f"{cls.family} width {width} must lie between 0.0625 and {cls.widest}")
        fixed = {"num_classes": num_classes, "image_size": image_size, "in_channels": in_channels}
        return cls(**cls.shaped({**cls.published(depth, width), **fixed}))

    @classmethod
    @abstractmethod
    def published(cls, depth: int, width: float) -> dict[str, Choice]:
        """The choices, as on the axes, that `scaled` makes; `BadInput` for another depth."""

    @classmethod
    @abstractmethod
    def axes(cls) -> dict[str, Sequence[Choice]]:
        """The choices that span the searched space, small networks first."""

    @classmethod
    def shaped(cls, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """A choice on every axis, and the three common fields -> all fields; numbers or columns."""
        return dict(chosen)

    @classmethod
    def space(cls, *, num_classes: int, image_size: int, in_channels: int = 3) -> Space:
        """Every candidate of the search, in the fixed order of the axes."""
        fixed = {"num_classes": num_classes, "image_size": image_size, "in_channels": in_channels}
        return Space(axes=cls.axes(), fixed=fixed, shaped=cls.shaped, made=cls)

    @staticmethod
    @abstractmethod
    def layers(shape: Any) -> list[Layer]:
        """The layers in the order in which they run.

        shape: any object with this class's fields, each a number or a column (R,) of int64; a
        spec is one. The three common fields are numbers.
        """

    @staticmethod
    def unevenness(shape: Any) -> Whole:
        """How far its stages' depths are from the usual ones of the family, for a shape as `layers`
        takes it. The search prefers the least among networks of about one size."""
        return 0

    @classmethod
    def priced(cls, shape: Any) -> Cost:
        """Cost in closed form of a shape as `layers` takes it, in columns where it has columns."""
        return total(cls.layers(shape))

    def cost(self) -> Cost:
        """Cost in closed form; `models/cost.py` says what is counted."""
        return self.priced(self)

    @abstractmethod
    def describe(self) -> str:
        """Short text for tables, another one for every network of the space."""

    @abstractmethod
    def network(self) -> nn.Module:
        """The untrained network, with weights from torch's default generator."""


def by_step(width: float) -> int:
    """The nearest width that is a multiple of 8, and at least 8."""
    return max(STEP, STEP * round(width / STEP))


def rising(choices: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Widths of successive stages, narrow first: none narrower than the one before, nor more than
    four times as wide.

    >>> rising([(8, 16), (8, 40)])
    [(8, 8), (16, 40)]
    """
    found: list[tuple[int, ...]] = [(width,) for width in choices[0]]
    for later in choices[1:]:
        found = [
            (*before, width)
            for before in found
            for width in later
            if before[-1] <= width <= STEEPEST * before[-1]
        ]
    return found
