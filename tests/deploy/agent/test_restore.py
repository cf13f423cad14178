"""Restore records: written whole, carried out once, trusted for a few commands and no more."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy.agent import restore
from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.programs import Programs
from edgestill.deploy.agent.restore import (
    BadRecord,
    held,
    read_record,
    restore_leftover,
    write_record,
)

from .set_boards import calls, mode, put_back, replace

FakeBoards: TypeAlias = Callable[..., Path]
NANO = "orin-nano-super"  # in 25W (1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """STATE/board."""
    path = tmp_path / "state/board"
    path.mkdir(parents=True, mode=0o700)
    return path


def test_a_record_is_read_as_it_was_written(folder: Path) -> None:
    commands = [
        ["jetson_clocks", "--restore", f"{folder}/clocks.stored"],
        ["nvpmodel", "-m", "12"],
    ]

    path = write_record(folder, commands)

    assert read_record(path) == commands
    assert [each.name for each in folder.iterdir()] == ["restore.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "restore",
        "[" * 4000,
        '{"commands": [["nvpmodel", "-m", "2"]]}' + " " * 5000,
        "[]",
        '{"commands": []}',
        '{"commands": "nvpmodel -m 2"}',
        '{"commands": [["reboot"]]}',
        '{"commands": [["nvpmodel", "-m", "2"], ["sh", "-c", "reboot"]]}',
        '{"commands": [["nvpmodel", "-m", "2; reboot"]]}',
        '{"commands": [["nvpmodel", "-m", "2\\n"]]}',
        '{"commands": [["nvpmodel", "-m", "2", "-f", "/tmp/other.conf"]]}',
        '{"commands": [["nvpmodel", "-f", "/tmp/other.conf"]]}',
        '{"commands": [["nvpmodel", "-m", 2]]}',
        '{"commands": [["../../tmp/nvpmodel", "-m", "2"]]}',
        '{"commands": [["jetson_clocks", "--restore", "/tmp/clocks.stored"]]}',
        '{"commands": [["jetson_clocks", "--restore", "clocks.stored"]]}',
        '{"commands": [{"nvpmodel": "-m"}]}',
    ],
)
def test_a_hostile_record_is_set_aside_and_nothing_of_it_is_run(
    fake_board: FakeBoards, folder: Path, text: str
) -> None:
    root = fake_board(NANO)
    (folder / "restore.json").write_text(text)

    (flag,) = restore_leftover(folder.parent, Programs(root))

    assert (flag["kind"], flag["grave"]) == ("restore-failed", True)
    assert "nothing was run" in flag["text"]
    assert len(flag["text"].splitlines()) == 1
    assert (mode(root), calls(root)) == (1, [])
    assert [each.name for each in folder.iterdir()] == ["restore.refused"]


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_what_is_no_ordinary_file_is_set_aside(
    fake_board: FakeBoards, folder: Path, tmp_path: Path, kind: str
) -> None:
    root, path = fake_board(NANO), folder / "restore.json"
    (tmp_path / "other.json").write_text('{"commands": [["nvpmodel", "-m", "2"]]}')
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "other.json")
    else:
        os.mkfifo(path)

    (flag,) = restore_leftover(folder.parent, Programs(root))

    assert flag["grave"]
    assert calls(root) == []
    assert not os.path.lexists(path)


def test_a_folder_that_others_may_write_is_not_used(fake_board: FakeBoards, folder: Path) -> None:
    root = fake_board(NANO)
    write_record(folder, [["nvpmodel", "-m", "2"]])
    folder.chmod(0o770)

    with pytest.raises(AgentError, match=r"is not this user's alone \(drwxrwx---, user"):
        restore_leftover(folder.parent, Programs(root))

    assert calls(root) == []


def test_with_nothing_left_over_nothing_is_told(fake_board: FakeBoards, tmp_path: Path) -> None:
    root = fake_board(NANO)

    assert restore_leftover(tmp_path / "state", Programs(root)) == []
    assert restore_leftover(None, Programs(root)) == []


def test_clocks_that_were_never_stored_are_not_restored(
    fake_board: FakeBoards, folder: Path
) -> None:
    root = fake_board(NANO)
    stored = str(folder / "clocks.stored")
    write_record(folder, [["jetson_clocks", "--restore", stored], ["nvpmodel", "-m", "2"]])

    told = restore_leftover(folder.parent, Programs(root))

    assert [flag["kind"] for flag in told] == ["restored"]
    assert calls(root) == ["nvpmodel -m 2"]


def test_what_fails_stays_on_record_until_it_works(fake_board: FakeBoards, folder: Path) -> None:
    root = fake_board(NANO)
    write_record(folder, [["nvpmodel", "-m", "2"]])
    replace(root, "nvpmodel", "echo 'NVPM ERROR: stuck' >&2; exit 1")

    failed = restore_leftover(folder.parent, Programs(root))
    put_back(root, "nvpmodel")
    told = restore_leftover(folder.parent, Programs(root))

    assert [(flag["kind"], flag["grave"]) for flag in failed] == [("restore-failed", True)]
    assert "nvpmodel -m 2 failed: NVPM ERROR: stuck" in failed[0]["text"]
    assert [flag["kind"] for flag in told] == ["restored"]
    assert told[0]["text"].endswith("done now: nvpmodel -m 2")
    assert mode(root) == 2


def test_a_mode_that_the_user_has_set_back_is_not_asked_for_again(
    fake_board: FakeBoards, folder: Path
) -> None:
    root = fake_board(NANO)
    replace(root, "nvpmodel", '[ "$1" != -m ] || exit 1; exec "$0.real" "$@"')
    write_record(folder, [["nvpmodel", "-m", "1"]])

    told = restore_leftover(folder.parent, Programs(root))

    assert [flag["kind"] for flag in told] == ["restored"]
    assert calls(root) == []


def test_one_record_does_not_take_the_place_of_another(folder: Path) -> None:
    path = write_record(folder, [["nvpmodel", "-m", "1"]])

    with pytest.raises(AgentError, match="has not been set back since an earlier measurement"):
        write_record(folder, [["nvpmodel", "-m", "2"]])

    assert read_record(path) == [["nvpmodel", "-m", "1"]]


def test_a_full_disk_is_told_and_leaves_no_record(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(AgentError, match=r"cannot write .*restore\.json: No space left"):
        write_record(folder, [["nvpmodel", "-m", "1"]])

    assert list(folder.iterdir()) == []


def test_a_record_is_held_by_one_at_a_time(folder: Path) -> None:
    path = write_record(folder, [["nvpmodel", "-m", "1"]])

    with held(path, 0.0) as first:
        with pytest.raises(AgentError, match="still being set back"), held(path, 0.0):
            pass
        path.unlink()
        with held(path, 0.0) as gone:
            pass

    assert (first, gone) == (True, False)


def test_a_record_that_its_holder_removes_just_before_it_is_held_is_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_record(folder, [["nvpmodel", "-m", "1"]])

    def lock_too_late(descriptor: int, path: Path) -> bool:
        path.unlink()
        return True

    monkeypatch.setattr(restore, "lock", lock_too_late)

    with held(path, 60.0) as there:
        pass

    assert not there


def test_a_bad_record_says_what_is_wrong_with_it(folder: Path) -> None:
    path = folder / "restore.json"
    path.write_text(json.dumps({"commands": [["rm", "-rf", "x" * 500]]}))

    with pytest.raises(BadRecord, match=r'^\["rm", "-rf", .{0,80} is no command') as refused:
        read_record(path)

    assert len(str(refused.value)) < 120
