"""What every table of a recipe is made of: strict, frozen, and quantities as people write them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ..models.budget import parse_quantity


class Section(BaseModel):
    """What all tables share: frozen, nothing unknown, no type guessed (JSON's rules), no NaN."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


def _quantity(value: Any) -> Any:
    return parse_quantity(value) if isinstance(value, str) else value


Count = Annotated[int, Field(gt=0)]
Quantity = Annotated[
    int,
    BeforeValidator(_quantity, json_schema_input_type=int | str),
    Field(gt=0),
]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
# TOML has arrays alone; strict would want Python's own tuple where a validator ran before.
Names = Annotated[tuple[str, ...], Field(strict=False)]
Name = Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


def each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values, or a ValueError that names the one (by its `name`) that stands twice."""
    names = [getattr(value, "name", value) for value in values]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} stands twice; give each once")
    return values
