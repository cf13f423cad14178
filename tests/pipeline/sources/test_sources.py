"""The name of a source in a recipe, and what stands behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgestill.models.errors import BadInput
from edgestill.pipeline.sources import open_source
from edgestill.pipeline.sources.custom import Custom
from edgestill.pipeline.sources.digits import Digits
from edgestill.pipeline.sources.imagefolder import ImageFolder
from edgestill.pipeline.sources.parquet import Parquet
from edgestill.pipeline.sources.torchvision_sets import TorchvisionSet


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parquet:sets/a", Parquet(Path("/base/sets/a"))),
        ("parquet:/far/a", Parquet(Path("/far/a"))),
        ("imagefolder:pets", ImageFolder(Path("/base/pets"))),
        ("torchvision:SVHN", TorchvisionSet("SVHN", Path("/base/data"))),
        ("own.sets:load", Custom("own.sets", "load", Path("/base"))),
    ],
)
def test_a_name_opens_its_source(text: str, expected: object) -> None:
    assert open_source(text, base=Path("/base"), root=None) == expected


def test_digits_need_nothing_more() -> None:
    assert isinstance(open_source("digits", base=Path(), root=None), Digits)


def test_torchvision_reads_below_its_root() -> None:
    source = open_source("torchvision:MNIST", base=Path("/base"), root="sets")
    assert source == TorchvisionSet("MNIST", Path("/base/sets"))


@pytest.mark.parametrize("text", ["", "digit", "parquet:", "digits:x", "own:not-a-name", ":"])
def test_another_name_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(BadInput, match="is not known; expected one of: digits, parquet:DIR"):
        open_source(text, base=Path(), root=None)
