"""What the tests share: the smoke recipe, run once, and the command as a real process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from edgestill.export.arm64_root import Arm64Root

from .warm_command import WarmCommand

# What a measurement keeps (journals, locks) is each test process's own; what is downloaded is not.
USERS_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
OWN_CACHE = tempfile.TemporaryDirectory(prefix="edgestill-tests-")
os.environ["XDG_CACHE_HOME"] = OWN_CACHE.name

# A suite that runs beside others must not fight them for cores; bytes depend on the number.
os.environ.setdefault("OMP_NUM_THREADS", "1")

CLI = (str(Path(sys.executable).with_name("edgestill")),)

Edgestill = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def users_cache() -> Path:
    """Where downloads are kept from one run of the tests to the next."""
    return USERS_CACHE


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmCommand]:
    """The command in forks of one process, so that it need not import everything each time."""
    command = WarmCommand()
    yield command
    command.close()


@pytest.fixture(scope="session")
def edgestill(warm: WarmCommand) -> Edgestill:
    """The command as a process of its own: edgestill("plan", "smoke", cwd=folder)."""
    return warm.run


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory, edgestill: Edgestill, worker_id: str
) -> Path:
    """The work directory of an uninterrupted smoke run. Look, do not touch: it is shared, by the
    processes that run these tests too."""
    folder = tmp_path_factory.getbasetemp() / "finished"
    if worker_id != "master":
        folder = folder.parents[1] / "finished"
    with FileLock(f"{folder}.lock"):
        if not (folder / "work/runs/smoke/summary.json").exists():
            folder.mkdir(exist_ok=True)
            done = edgestill("run", "smoke", "--workdir", "work", cwd=folder)
            assert done.returncode == 0, done.stderr
    return folder / "work"


@pytest.fixture
def finished_copy(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the finished work directory, to be damaged."""
    copy = tmp_path / "work"
    shutil.copytree(finished, copy, symlinks=True)
    yield copy


Machine = Callable[..., Arm64Root]


@pytest.fixture(scope="session")
def machine() -> Machine:
    """An arm64 machine in a folder, whose emulator is a script: by default, Python here.

    The script `does` gets what the machine's Python would run as "$@".
    """

    def make(
        folder: Path, does: str = f'exec {sys.executable} "$@"', onnxruntime: str = "1.2.3"
    ) -> Arm64Root:
        files = Arm64Root(machine=folder / "machine-1", site=folder / f"onnxruntime-{onnxruntime}")
        for home, made in ((files.machine, "qemu"), (files.site, "onnxruntime")):
            home.mkdir(parents=True)
            (home / "made.json").write_text(json.dumps({made: onnxruntime}))
        # What stands before -s are words for qemu and the Python of the machine.
        files.qemu.write_text(f'#!/bin/sh\nwhile [ "$1" != -s ]; do shift; done\nshift\n{does}\n')
        files.qemu.chmod(0o755)
        return files

    return make
