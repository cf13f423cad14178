"""A stage reads what it declared, so that its key never misses what it depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgestill.pipeline.inputs import Inputs, only_declared
from edgestill.pipeline.recipe_file import load_recipe


def test_declared_parts_are_there() -> None:
    view = only_declared(load_recipe("digits"), ("seed", "data.image_size", "distill"))

    assert view.seed == 0
    assert view.data.image_size == 32
    assert view.distill.epochs == 15


@pytest.mark.parametrize("reach", ["teacher", "data.source"])
def test_what_is_not_declared_cannot_be_read(reach: str) -> None:
    view = only_declared(load_recipe("digits"), ("seed", "data.image_size"))

    with pytest.raises(AttributeError):
        eval(f"view.{reach}", {"view": view})


def test_data_must_be_declared_too(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="did not declare that it takes data"):
        _ = Inputs(artifacts={}, scratch=tmp_path).data
