"""A space of networks as the product of a few axes, told row by row or in columns; no torch.

Row r of a space is one choice on every axis, counted like a number whose digits are the axes, the
last one fastest. What depends on one another, such as the widths of stages, is one axis of tuples,
so that every row is a network. No row is stored: a space of any size takes no memory until it is
looked at, and then as much as the chunk looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .families import Spec

    Column = NDArray[Any]

Choice: TypeAlias = int | tuple[int, ...]

CHUNK = 1 << 15
"""Rows looked at together: bounds the memory, and a column of them stays in a core's cache."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Neighbouring rows of a space."""

    rows: Column
    """(R,) their numbers."""
    shape: SimpleNamespace
    """The family's fields, each a number or a column (R,), or a tuple of such."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """The networks that a search looks at."""

    axes: Mapping[str, Sequence[Choice]]
    """Name of an axis -> its choices, in the order of the rows."""
    made: Callable[..., Spec]
    """Fields as plain numbers -> the spec."""
    fixed: Mapping[str, int] = field(default_factory=dict)
    """What is the same for all."""
    shaped: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    """A choice by axis, and `fixed` -> the fields of the family's spec. A choice is a number or a
    column (R,), or a tuple of such."""

    def __len__(self) -> int:
        """How many networks it has."""
        return math.prod(len(choices) for choices in self.axes.values())

    def chunks(self, size: int = CHUNK, *, start: int = 0) -> Iterator[Chunk]:
        """All networks from row `start` on, some at a time, in the order of the rows."""
        import numpy as np

        tables = {
            name: np.ascontiguousarray(np.array(choices, np.int64).T)
            for name, choices in self.axes.items()
        }
        for first in range(start, len(self), size):
            rows = np.arange(first, min(first + size, len(self)))
            columns: dict[str, Any] = {}
            rest = rows
            for name, table in reversed(list(tables.items())):
                above = rest // table.shape[-1]
                digit = rest - above * table.shape[-1]
                chosen = table.take(digit, axis=-1)
                columns[name] = tuple(chosen) if table.ndim > 1 else chosen
                rest = above
            yield Chunk(rows=rows, shape=SimpleNamespace(**self.shaped({**columns, **self.fixed})))

    def spec(self, row: int) -> Spec:
        """The network of one row."""
        chosen: dict[str, Any] = {}
        for name, choices in reversed(list(self.axes.items())):
            row, digit = divmod(row, len(choices))
            chosen[name] = choices[digit]
        return self.made(**self.shaped({**chosen, **self.fixed}))

    def __iter__(self) -> Iterator[Spec]:
        return map(self.spec, range(len(self)))
