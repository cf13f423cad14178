"""One measurement at a time: who holds the board is told, and a dead process holds nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgestill.deploy.agent.board_lock import board_lock, own_folder
from edgestill.deploy.agent.errors import AgentError

HOLDER = """
import sys, time
from pathlib import Path
from edgestill.deploy.agent.board_lock import board_lock
with board_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_second_of_two_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        with (
            pytest.raises(AgentError, match=rf"on this board \(pid {holder.pid}\)") as refused,
            board_lock(tmp_path, patience_s=0.0),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=60)
        with board_lock(tmp_path, patience_s=0.0):
            holds = (tmp_path / "board/lock").read_text()

    assert refused.value.kind == "device"
    assert holds == f"{os.getpid()}\n"


def test_the_second_waits_for_a_first_that_is_ending(tmp_path: Path) -> None:
    brief = HOLDER.replace("600", "0.5")
    command = [sys.executable, "-c", brief, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        with board_lock(tmp_path, patience_s=60.0):
            pass


def test_one_after_the_other_hold_it(tmp_path: Path) -> None:
    for _ in range(2):
        with board_lock(tmp_path, patience_s=0.0):
            pass


def test_without_a_state_folder_there_is_no_lock() -> None:
    with board_lock(None), board_lock(None):
        pass


def test_other_users_cannot_write_into_the_folder(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = own_folder(tmp_path / "state")
    finally:
        os.umask(before)

    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_link_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "board").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(AgentError, match=r"is not this user's alone \(lrwx"):
        own_folder(tmp_path)


def test_a_disk_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)

    with (
        pytest.raises(AgentError, match=r"cannot write .*lock: No space left on device"),
        board_lock(tmp_path),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(AgentError, match=r"cannot make .*/file/board: Not a directory"):
        own_folder(tmp_path / "file")
