"""A budget: the limits a network must keep, and quantities as people write them; no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import NamedTuple

from .cost import Cost
from .errors import BadInput

_QUANTITY = re.compile(
    r"([0-9][0-9_]{0,17}(?:\.[0-9]{1,9})?)(?:[eE]\+?([0-9]{1,2}))? ?([kKMGT]?)[bB]?"
)
_FACTORS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class Limit(NamedTuple):
    """One limit of a budget and how a network stands to it; `value` None: could not be found."""

    name: str
    limit: int
    value: int | None
    met: bool


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Upper limits, each inclusive; None sets no limit. `BadInput` on zero or less."""

    macs: int | None = None
    params: int | None = None
    bytes: int | None = None
    """Of the INT8 network: compared with `Cost.bytes_int8`."""
    peak_activation_bytes: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            limit = getattr(self, field.name)
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
                raise BadInput(f"budget.{field.name}: expected a whole number, found {limit!r}")
            if limit is not None and limit <= 0:
                raise BadInput(f"budget.{field.name} must be above zero, found {limit}")

    def limits(self, cost: Cost) -> tuple[Limit, ...]:
        """Every limit that is set, with the network's value; an unknown value does not meet it."""
        values = {
            "macs": cost.macs,
            "params": cost.params,
            "bytes": cost.bytes_int8,
            "peak_activation_bytes": cost.peak_activation_bytes,
        }
        return tuple(
            Limit(name, limit, value, value is not None and value <= limit)
            for name, value in values.items()
            if (limit := getattr(self, name)) is not None
        )

    def fits(self, cost: Cost) -> bool:
        """Whether every limit holds."""
        return all(limit.met for limit in self.limits(cost))


def parse_quantity(text: str | int | float) -> int:
    """A whole number from text such as "3M", "1.5k" or "200KB"; suffixes are powers of 1000.

    >>> parse_quantity("1.5k"), parse_quantity("200KB"), parse_quantity("3e6")
    (1500, 200000, 3000000)
    """
    found = None if isinstance(text, bool) else _QUANTITY.fullmatch(str(text).strip())
    if found is None:
        raise BadInput(
            f"{text!r} is no quantity; write a number above zero such as 3M, 60k or 200KB"
        )
    digits, exponent, suffix = found.groups()
    number = Decimal(digits.replace("_", "")) * 10 ** int(exponent or 0) * _FACTORS[suffix]
    if number != int(number):
        raise BadInput(f"{text!r} is not a whole number: it comes to {number.normalize():f}")
    if number <= 0:
        raise BadInput(f"{text!r} must be above zero")
    return int(number)


def spelled(count: int) -> str:
    """A count for people: at most four digits and a suffix.

    >>> spelled(94154), spelled(55_489_152), spelled(640)
    ('94.15k', '55.49M', '640')
    """
    for suffix, factor in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= factor:
            return f"{count / factor:.4g}{suffix}"
    return str(count)
