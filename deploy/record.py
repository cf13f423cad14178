"""The base of every record that comes from an agent, and what its texts may hold."""

from __future__ import annotations

import math
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, JsonValue


class Record(BaseModel):
    """A part of a line: strict types, no unknown keys, finite numbers."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


def printable(text: str) -> str:
    """The text without what a terminal would obey.

    >>> printable("a\x1b[2Jb")
    'a?[2Jb'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def plain(value: JsonValue) -> JsonValue:
    """The same JSON with all texts printable. ValueError: a number is not finite."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is not finite")
    if isinstance(value, dict):
        return {printable(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


Text: TypeAlias = Annotated[str, AfterValidator(printable)]
Plain: TypeAlias = Annotated[JsonValue, AfterValidator(plain)]
"""Whatever JSON, such as an engine's own facts."""
