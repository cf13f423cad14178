"""A space of networks as the product of a few axes, told row by row or in columns; no torch.

Row r of a space is one choice on every axis, counted like a number whose digits are the axes, the
last one fastest. Nothing is stored: a space of any size takes no memory until it is looked at, and
then as much as the chunk looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .families import Spec

    Column = NDArray[Any]

CHUNK = 1 << 16
"""Rows looked at together: bounds the memory."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Neighbouring rows of a space that are networks of it."""

    rows: Column
    """(R,) their numbers."""
    shape: SimpleNamespace
    """The family's fields, each a number or a column (R,), or a tuple of such."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """The networks that a search looks at."""

    axes: Mapping[str, tuple[int, ...]]
    """Name of an axis -> its choices, in the order of the rows."""
    allowed: Callable[[Mapping[str, Column]], Column]
    """Columns by axis -> which rows (R,) are networks of the space."""
    shaped: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Choices by axis, single numbers or columns -> the fields of the family's spec."""
    made: Callable[..., Spec]
    """Fields as plain numbers -> the spec."""

    @property
    def rows(self) -> int:
        """Rows in all, those included that are not allowed."""
        return math.prod(len(choices) for choices in self.axes.values())

    def chunks(self, size: int = CHUNK, *, start: int = 0) -> Iterator[Chunk]:
        """All networks from row `start` on, some at a time, in the order of the rows."""
        import numpy as np

        for first in range(start, self.rows, size):
            rows = np.arange(first, min(first + size, self.rows))
            columns = self._columns(rows)
            kept = self.allowed(columns)
            if kept.any():
                columns = {name: column[kept] for name, column in columns.items()}
                yield Chunk(rows=rows[kept], shape=SimpleNamespace(**self.shaped(columns)))

    def spec(self, row: int) -> Spec:
        """The network of one row."""
        import numpy as np

        columns = self._columns(np.array([row]))
        plain = {name: int(column[0]) for name, column in columns.items()}
        return self.made(**self.shaped(plain))

    def __iter__(self) -> Iterator[Spec]:
        for chunk in self.chunks():
            for row in chunk.rows:
                yield self.spec(int(row))

    def __len__(self) -> int:
        """How many networks it has; looks at all of them."""
        return sum(len(chunk.rows) for chunk in self.chunks())

    def _columns(self, rows: Column) -> dict[str, Column]:
        import numpy as np

        columns, rest = {}, rows
        for name, choices in reversed(list(self.axes.items())):
            rest, digit = np.divmod(rest, len(choices))
            columns[name] = np.asarray(choices, np.int64)[digit]
        return columns
