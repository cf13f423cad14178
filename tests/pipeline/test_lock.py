"""Locks: an artifact has one maker at a time, and whoever waits for it is told."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from edgestill.pipeline.events import listening
from edgestill.pipeline.lock import only_maker, only_run
from edgestill.pipeline.store import Store

HOLDER = """
import sys, time
from pathlib import Path
from edgestill.pipeline.lock import only_maker
with only_maker(Path(sys.argv[1]), "teacher"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_maker_is_told_and_goes_on_when_the_first_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "teacher" / "k1.lock"
    heard: list[Any] = []
    command = [sys.executable, "-c", HOLDER, str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout and first.stdout.readline() == "held\n"
        waited = threading.Timer(0.5, first.kill)
        waited.start()
        with (
            listening(lambda kind, fields: heard.append(fields["text"])),
            only_maker(lock, "teacher k1"),
        ):
            killed = first.poll() is not None or first.wait() != 0

    assert killed
    assert heard == ["teacher k1 is being made by another run; waiting for it"]


def test_makers_of_different_artifacts_do_not_wait_for_each_other(tmp_path: Path) -> None:
    store, heard = Store(tmp_path / "store"), list[Any]()

    with (
        listening(lambda kind, fields: heard.append(fields)),
        store.held("teacher", "k1"),
        store.held("teacher", "k2"),
        store.held("distill", "k1"),
    ):
        pass

    assert heard == []


def test_runs_of_a_sweep_hold_their_own_folders_beside_the_sweep(tmp_path: Path) -> None:
    with (
        only_run(tmp_path, wait=False),
        only_run(tmp_path / "runs/a", wait=False),
        only_run(tmp_path / "runs/b", wait=False),
    ):
        assert (tmp_path / "runs/a/lock.json").is_file()

    assert not (tmp_path / "runs/a/lock.json").exists()
