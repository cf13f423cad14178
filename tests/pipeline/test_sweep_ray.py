"""Before a cluster is used: Ray must be there, and each machine must be able to take part."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from edgestill.models.errors import MissingPackage
from edgestill.pipeline.sweep_ray import Share, cluster, probed

VERSION = importlib.metadata.version("edgestill")


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    with (
        pytest.raises(MissingPackage, match=r"pip install 'edgestill\[ray\]'") as missing,
        cluster("local", tmp_path, "quantize", Share()),
    ):
        pass

    assert missing.value.exit_code == 3


def test_a_machine_that_sees_the_folder_and_its_locks_can_take_part(tmp_path: Path) -> None:
    (tmp_path / "seen").write_text("this one")

    with FileLock(tmp_path / "seen.lock"):
        assert probed(os.getcwd(), str(tmp_path), "seen", "this one", VERSION) is None


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"version": "9.9"}, f"edgestill {VERSION} is installed there, expected 9.9"),
        ({"folder": "/nowhere"}, "the folder /nowhere is not there"),
        ({"file": "absent"}, "is not there; give a shared folder with --workdir"),
        ({"text": "another"}, "is not there; give a shared folder with --workdir"),
        ({}, "do not reach it; give a folder that shares them"),
    ],
    ids=["another version", "no folder", "no workdir", "another workdir", "locks of its own"],
)
def test_a_machine_that_cannot_take_part_says_why(
    tmp_path: Path, changed: dict[str, str], line: str
) -> None:
    (tmp_path / "seen").write_text("this one")
    asked = {
        "folder": os.getcwd(), "workdir": str(tmp_path), "file": "seen", "text": "this one",
        "version": VERSION,
    }  # fmt: skip

    problem = probed(**{**asked, **changed})  # nobody holds the lock

    assert problem is not None
    assert line in problem
    assert "\n" not in problem
