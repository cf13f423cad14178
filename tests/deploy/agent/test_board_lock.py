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
with board_lock(Path(sys.argv[1]), Path(sys.argv[1])):
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
            board_lock(tmp_path, tmp_path, patience_s=0.0),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=60)
        with board_lock(tmp_path, tmp_path, patience_s=0.0):
            holds = (tmp_path / "board/lock").read_text()

    assert refused.value.kind == "device"
    assert holds == f"{os.getpid()}\n"


def test_the_second_waits_for_a_first_that_is_ending(tmp_path: Path) -> None:
    brief = HOLDER.replace("600", "0.5")
    command = [sys.executable, "-c", brief, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        with board_lock(tmp_path, tmp_path, patience_s=60.0):
            pass


def test_one_after_the_other_hold_it(tmp_path: Path) -> None:
    for _ in range(2):
        with board_lock(tmp_path, tmp_path, patience_s=0.0):
            pass


def test_without_a_state_folder_there_is_no_lock(tmp_path: Path) -> None:
    with board_lock(None, tmp_path), board_lock(None, tmp_path):
        pass


@pytest.mark.parametrize("first", ["one", None])
@pytest.mark.parametrize("second", ["two", None])
def test_two_users_share_the_lock_of_the_machine(
    tmp_path: Path, first: str | None, second: str | None
) -> None:
    conf = tmp_path / "etc/nvpmodel.conf"
    conf.parent.mkdir()
    conf.write_text("")
    conf.chmod(0o444)
    folders = [None if name is None else tmp_path / name for name in (first, second)]

    with (
        board_lock(folders[0], tmp_path, sets=True),
        pytest.raises(AgentError, match=r"perhaps of another user.*nvpmodel\.conf is locked"),
        board_lock(folders[1], tmp_path, sets=True, set_back_s=0.0),
    ):
        pass
    with board_lock(folders[1], tmp_path, sets=True, set_back_s=0.0):
        pass


def test_what_neither_sets_the_board_nor_keeps_anything_goes_beside_another(
    tmp_path: Path,
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nvpmodel.conf").write_text("")

    with board_lock(tmp_path / "one", tmp_path), board_lock(None, tmp_path, set_back_s=0.0):
        pass


def test_on_a_machine_without_power_modes_each_folder_has_its_own(tmp_path: Path) -> None:
    with (
        board_lock(tmp_path / "one", tmp_path, sets=True),
        board_lock(tmp_path / "two", tmp_path, sets=True, set_back_s=0.0),
    ):
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
        board_lock(tmp_path, tmp_path),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(AgentError, match=r"cannot make .*/file/board: Not a directory"):
        own_folder(tmp_path / "file")
