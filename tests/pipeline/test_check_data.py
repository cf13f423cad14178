"""Images for a model under check: as many as its file may ask for, and as its metadata says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from edgestill.models.errors import BadInput
from edgestill.pipeline import check_data, pixels
from edgestill.pipeline.check_data import images_for
from edgestill.pipeline.events import listening
from edgestill.pipeline.sources import decode

PLAIN = {"edgestill.mean": "[0.5, 0.5, 0.5]", "edgestill.std": "[0.25, 0.25, 0.25]"}


def facts(
    size: int = 8, *, dtype: str = "float32", metadata: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Of a model that takes one image (3, size, size), normalised by 0.5 and 0.25."""
    return {
        "inputs": [{"name": "images", "dtype": dtype, "shape": ["N", 3, size, size]}],
        "samples": {"images": [3, size, size]},
        "metadata": PLAIN | {f"edgestill.{name}": text for name, text in (metadata or {}).items()},
    }


def test_a_file_that_claims_huge_images_gets_few_and_only_those_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[int] = []
    resized = decode.resized

    def counted(image: Any, size: int) -> Any:
        read.append(size)
        return resized(image, size)

    notes: list[object] = []
    monkeypatch.setattr(pixels, "resized", counted)
    monkeypatch.setattr(check_data, "MOST_BYTES", 32_000_000)  # for a quick test

    with listening(lambda kind, fields: notes.append(fields.get("text"))):
        feeds, labels = images_for("digits", facts(512))

    assert 1 <= len(labels) == len(feeds["images"]) == len(read) < 20
    assert feeds["images"].nbytes <= 32_000_000
    assert len(set(labels.tolist())) > 1
    assert any(f"{len(labels)} of 144 held-out images" in str(note) for note in notes)


def test_images_are_normalised_as_the_file_says_and_pixels_are_pixels() -> None:
    feeds, labels = images_for("digits", facts())
    pixels_of, same = images_for("digits", facts(dtype="uint8"))

    assert pixels_of["images"].dtype == np.uint8
    np.testing.assert_array_equal(labels, same)
    expected = (pixels_of["images"] / 255 - 0.5) / 0.25
    np.testing.assert_allclose(feeds["images"], expected, atol=1e-6)  # float32 against float64


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"mean": "[0.5, 0.5]"}, r"mean \[0\.5, 0\.5\].*expected three numbers each"),
        ({"mean": "[NaN, 0, 0]"}, r"edgestill\.mean"),
        ({"mean": "[1e9, 0, 0]"}, r"edgestill\.mean"),
        ({"mean": '["0.5", "0.5", "0.5"]'}, r"edgestill\.mean"),
        ({"std": "[0, 0, 0]"}, r"edgestill\.std"),
        ({"std": "0.5"}, r"edgestill\.std"),
        ({"std": "half"}, r"edgestill\.std is not JSON"),
        ({"std": json.dumps([0.5] * 40)}, "expected three numbers each"),
    ],
)
def test_a_normalisation_that_can_be_none_is_refused(told: dict[str, str], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        images_for("digits", facts(metadata=told))


def test_a_mean_alone_is_no_normalisation() -> None:
    model = facts()
    del model["metadata"]["edgestill.std"]

    with pytest.raises(BadInput, match=r"edgestill\.std None; expected three numbers each"):
        images_for("digits", model)


def test_what_the_model_takes_is_told_shortly_and_without_its_control_characters() -> None:
    ports = [
        {"name": f"{number}\x1b[2J##[set-env]{'x' * 9000}", "dtype": "float32", "shape": [5]}
        for number in range(50)
    ]
    model = {"inputs": ports, "samples": {port["name"]: [5] for port in ports}, "metadata": {}}

    with pytest.raises(BadInput, match="and 45 more; a data source gives square images") as caught:
        images_for("digits", model)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
