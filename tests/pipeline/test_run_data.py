"""A run's own images, found again for another export of its network."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edgestill.pipeline.events import listening
from edgestill.pipeline.export_source import Network, of_run
from edgestill.pipeline.manifest import Manifest, verify
from edgestill.pipeline.recipe import DataSettings
from edgestill.pipeline.run_data import FILE, images_of_run, keep_place


@pytest.fixture(scope="module")
def network(finished: Path) -> Network:
    return of_run(finished / "runs/smoke")


@pytest.fixture(scope="module")
def teacher(finished: Path) -> Manifest:
    return verify(finished / "runs/smoke/teacher")


def test_they_are_those_that_the_run_held_out(
    finished: Path, network: Network, teacher: Manifest
) -> None:
    data = images_of_run(finished / "runs/smoke", teacher, network)

    assert data is not None
    assert tuple(data.mean) == network.mean
    parity = json.loads((finished / "runs/smoke/export/export.json").read_text())["parity"]
    assert parity["fp32"]["images"] == f"{len(data.validation.labels)} held-out images"


def test_relative_places_begin_where_the_run_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    keep_place(tmp_path / "run", DataSettings(source="imagefolder:pictures"))

    told = json.loads((tmp_path / "run" / FILE).read_text())
    assert told["base"] == os.path.realpath(tmp_path)
    assert told["data"]["source"] == "imagefolder:pictures"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (None, "No such file"),
        ("{", "Expecting"),
        ("[]", "indices"),
        ('{"base": "/", "data": {"source": "parquet:gone"}}', "gone"),
        ('{"base": "/", "data": {"source": "digits", "version": "2"}}', "they are others now"),
    ],
    ids=["no file", "cut short", "no object", "images gone", "other images"],
)
def test_what_cannot_be_found_again_is_told_in_one_line(
    tmp_path: Path, network: Network, teacher: Manifest, told: str | None, said: str
) -> None:
    if told is not None:
        (tmp_path / FILE).write_text(told)
    heard: list[str] = []

    with listening(lambda kind, fields: heard.append(str(fields["text"]))):
        data = images_of_run(tmp_path, teacher, network)

    assert data is None
    (line,) = heard
    assert line.startswith("the run's own images cannot be used: ")
    assert said in line
    assert line.endswith("give some with --images")
