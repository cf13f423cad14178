"""A budget: the limits a network must keep, and quantities as people write them; no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from .cost import FLOAT32_BYTES, Cost
from .errors import BadInput

_QUANTITY = re.compile(
    r"([0-9][0-9_]{0,17}(?:\.[0-9]{1,9})?)(?:[eE]\+?([0-9]{1,2}))? ?([kKMGT]?)[bB]?"
)
_FACTORS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


PREDICTED = ("latency_ms", "energy_mj")
"""Limits on what no architecture tells: the values come from a prediction for some device."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Limit(NamedTuple):
    """One limit of a budget and how a network stands to it; `value` None: could not be found.

    Of a cost in columns (R,), `value` and `met` are columns too.
    """

    name: str
    limit: int | float
    value: Any
    met: Any


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Upper limits, each inclusive; None sets no limit. `BadInput` on what is not above zero."""

    macs: int | None = None
    params: int | None = None
    bytes: int | None = None
    """Of the INT8 network: compared with `Cost.bytes_int8`."""
    peak_activation_bytes: int | None = None
    latency_ms: float | None = None
    """Milliseconds of one inference on one device, as predicted or measured for it."""
    energy_mj: float | None = None
    """Millijoules of the same."""

    def __post_init__(self) -> None:
        for field in fields(self):
            limit = getattr(self, field.name)
            if limit is None:
                continue
            kinds = int | float if field.name in PREDICTED else int
            if isinstance(limit, bool) or not isinstance(limit, kinds):
                kind = "number" if field.name in PREDICTED else "whole number"
                raise BadInput(f"budget.{field.name}: expected a {kind}, found {limit!r}")
            if not 0 < limit < math.inf:
                raise BadInput(f"budget.{field.name} must be above zero and finite, found {limit}")

    def limits(self, cost: Cost, predicted: Mapping[str, Any] = NOTHING) -> tuple[Limit, ...]:
        """Every limit that is set, with the network's value; an unknown value does not meet it.

        predicted: latency_ms and energy_mj, as far as they are known. The cost and these may be
        columns (R,), and what belongs to them in a limit then is.
        """
        values = {
            "macs": cost.macs,
            "params": cost.params,
            "bytes": cost.bytes_int8,
            "peak_activation_bytes": cost.peak_activation_bytes,
            **{name: predicted.get(name) for name in PREDICTED},
        }
        return tuple(
            Limit(name, limit, value, False if value is None else value <= limit)
            for name, value in values.items()
            if (limit := getattr(self, name)) is not None
        )

    def fits(self, cost: Cost, predicted: Mapping[str, Any] = NOTHING) -> bool:
        """Whether every limit holds for one network."""
        return all(limit.met for limit in self.limits(cost, predicted))


def refuse_impossible(
    budget: Budget, *, num_classes: int, image_size: int, in_channels: int = 3
) -> None:
    """`BadInput` where a limit is below what any network whatever takes for these images."""
    pixels = in_channels * image_size**2
    classes = f"{num_classes:,} classes take"
    least = {
        "macs": (num_classes, classes),
        "params": (num_classes, classes),
        "bytes": (num_classes + 2 * FLOAT32_BYTES * num_classes, classes),
        "peak_activation_bytes": (
            FLOAT32_BYTES * pixels,
            f"one image of {image_size}x{image_size} pixels takes",
        ),
    }
    for name, (value, what) in least.items():
        limit = getattr(budget, name)
        if limit is not None and limit < value:
            raise BadInput(
                f"budget.{name} = {limit:,} holds for no network: {what} {value:,} at least"
            )


def figure(name: str, value: float | None) -> str:
    """A value of the limit `name`, for people, in the unit that its name carries.

    >>> figure("macs", 1_500_000), figure("latency_ms", 2.1312), figure("energy_mj", None)
    ('1,500,000', '2.13 ms', 'unknown')
    """
    if value is None:
        return "unknown"
    if name not in PREDICTED:
        return f"{value:,}"
    digits = f"{value:,.0f}" if value >= 1000 else f"{float(f'{value:.3g}'):g}"
    return f"{digits} {'ms' if name == 'latency_ms' else 'mJ'}"


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
