"""What `edgestill search` was asked for: budgets, families and a device out of options."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from ..models.budget import PREDICTED, Budget, figure, parse_quantity
from ..models.errors import BadInput
from ..models.families import FAMILIES, family_named
from .wording import limit

ALL = "all"
T = TypeVar("T")


def budgets_from(limits: Mapping[str, Sequence[str]]) -> list[Budget]:
    """The budgets: as many as the one limit with several values has, in their order.

    limits: {"macs": what was given for it, as often as it was given}.

    Raises:
        BadInput: no limit, one given twice, one that cannot be, or several values of two limits.
    """
    values = {name: _values(name, given) for name, given in limits.items() if given}
    if not values:
        raise BadInput(f"no limit given; give one or more of {', '.join(map(option, limits))}")
    several = [name for name, each in values.items() if len(each) > 1]
    if len(several) > 1:
        told = " and ".join(map(option, several))
        raise BadInput(f"{told} have several values each; several budgets differ in one limit")
    varied = several[0] if several else next(iter(values))
    others = {name: each[0] for name, each in values.items()}
    return [Budget(**{**others, varied: value}) for value in values[varied]]  # type: ignore[arg-type]


def families_from(given: Sequence[str]) -> list[str]:
    """The families to search, each once; all of them for "all" and where none was given."""
    if not given or ALL in given:
        given = [*FAMILIES, *(name for name in given if name != ALL)]
    return [family_named(name).family for name in dict.fromkeys(given)]


def device_from(given: Sequence[str], budget: Budget, precision: str | None) -> str | None:
    """The device, None for none; `BadInput` where it is missing or has nothing to do."""
    device = once("device", given, str)
    for name in PREDICTED:
        if device is None and getattr(budget, name) is not None:
            raise BadInput(
                f"{option(name)} holds on some device; name it: --device orin-nano@15W, or a table"
                " that edgestill calibrate wrote"
            )
    if device is None and precision is not None:
        raise BadInput("--precision is that of a prediction; it needs a --device")
    return device


def option(name: str) -> str:
    """A limit as the command line calls it.

    >>> option("latency_ms")
    '--latency-ms'
    """
    return f"--{name.replace('_', '-')}"


def in_words(limits: Mapping[str, float]) -> str:
    """Limits for people.

    >>> in_words({"macs": 15_000_000, "latency_ms": 2.0})
    'macs 15 M, latency 2 ms'
    """
    return ", ".join(
        f"{name.partition('_')[0]} {figure(name, value)}"
        if name in PREDICTED
        else f"{name} {limit(name, value)}"
        for name, value in limits.items()
    )


def once(name: str, given: Sequence[str], read: Callable[[str], T]) -> T | None:
    """The one value that an option has, however often it was given; None if it was not."""
    values = [read(text) for text in given]
    if any(value != values[0] for value in values):
        told = " and ".join(dict.fromkeys(given))
        more = "" if name == "device" else f"; several budgets are {option(name)} {','.join(given)}"
        raise BadInput(f"{option(name)} was given as {told}; give it once{more}")
    return values[0] if values else None


def _values(name: str, given: Sequence[str]) -> list[int] | list[float]:
    read = _number if name in PREDICTED else parse_quantity

    def each(text: str) -> list[int | float]:
        try:
            return [read(part) for part in text.split(",")]
        except BadInput as error:
            raise BadInput(f"{option(name)} {text}: {error}") from None

    values = once(name, given, each) or []
    for value in values:
        if values.count(value) > 1:
            raise BadInput(f"{option(name)} {given[0]}: {value:,} stands twice; give each once")
    return values


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise BadInput(f"{text!r} is no number above zero, as 2 or 0.5")
    return value
