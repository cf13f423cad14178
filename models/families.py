"""The families of networks that can be searched and built, by name; no torch.

A family is a kind of `Spec`, and a file NAME_net.py with its network; entered in `FAMILIES`, it can
be searched, costed, built, written to JSON and read back.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from .errors import BadInput
from .family import Spec as Spec
from .mobilenetv2 import MobileNetV2
from .repvgg import RepVGG
from .resnet import ResNet
from .wideresnet import WideResNet

FAMILIES: dict[str, type[Spec]] = {
    family.family: family for family in (WideResNet, ResNet, MobileNetV2, RepVGG)
}


def family_named(name: str) -> type[Spec]:
    """The family's spec class, or `BadInput` with the nearest known name."""
    if name not in FAMILIES:
        near = difflib.get_close_matches(name, FAMILIES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        raise BadInput(f"unknown family {name!r}{hint} known: {', '.join(sorted(FAMILIES))}")
    return FAMILIES[name]


def describe(spec: Spec) -> str:
    """Short text for tables.

    >>> describe(WideResNet(widths=(8, 16, 32)))
    'WRN-16 (8, 16, 32)'
    """
    return spec.describe()


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """The spec as plain JSON values, its family's name first.

    >>> list(spec_to_json(WideResNet()))[-3:]
    ['blocks', 'widths', 'stem']
    """
    fields = dataclasses.asdict(spec)
    plain = {
        name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()
    }
    return {"family": spec.family, **plain}


def spec_from_json(data: Mapping[str, Any]) -> Spec:
    """The spec that `spec_to_json` wrote; `BadInput` on anything else.

    >>> spec_from_json(spec_to_json(WideResNet(stem=8))) == WideResNet(stem=8)
    True
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("family"), str):
        raise BadInput('an architecture needs a "family", such as "wideresnet"')
    family = family_named(data["family"])
    fields = {field.name: field for field in dataclasses.fields(family)}
    values: dict[str, Any] = {}
    for name, value in data.items():
        if name == "family":
            continue
        if name not in fields:
            raise BadInput(
                f"unknown key {name!r} in a {data['family']} architecture;"
                f" known: {', '.join(fields)}"
            )
        values[name] = _checked(name, value, fields[name].default)
    return family(**values)


def _checked(name: str, value: Any, default: Any) -> Any:
    """`value` in the type of the field's default: an int, or a tuple of as many ints."""
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or len(value) != len(default):
            raise BadInput(
                f"architecture key {name!r}: expected {len(default)} whole numbers, found {value!r}"
            )
        return tuple(_checked(name, part, 0) for part in value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"architecture key {name!r}: expected a whole number, found {value!r}")
    return value
