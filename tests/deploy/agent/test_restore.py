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
    Record,
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

    path = write_record(folder, commands, 1, "boot-1")

    assert read_record(path) == Record(commands, 1, "boot-1")
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
        '{"commands": [["nvpmodel", "-m", "2"]]}',
        '{"commands": [["nvpmodel", "-m", "2"]], "mode": true}',
        '{"commands": [["nvpmodel", "-m", "2"]], "mode": 1, "boot": 7}',
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
    write_record(folder, [["nvpmodel", "-m", "2"]], 1, None)
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
    write_record(folder, [["jetson_clocks", "--restore", stored], ["nvpmodel", "-m", "2"]], 1, None)

    told = restore_leftover(folder.parent, Programs(root))

    assert [flag["kind"] for flag in told] == ["restored"]
    assert calls(root) == ["nvpmodel -m 2"]


def test_what_fails_stays_on_record_until_it_works(fake_board: FakeBoards, folder: Path) -> None:
    root = fake_board(NANO)
    write_record(folder, [["nvpmodel", "-m", "2"]], 1, None)
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
    write_record(folder, [["nvpmodel", "-m", "1"]], 0, None)

    told = restore_leftover(folder.parent, Programs(root))

    assert [flag["kind"] for flag in told] == ["restored"]
    assert calls(root) == []


def left(root: Path, folder: Path, then: list[list[str]], mode: int, boot: str | None) -> None:
    """What a measurement that had locked the clocks leaves when the power goes."""
    stored = str(folder / "clocks.stored")
    write_record(folder, [["jetson_clocks", "--restore", stored], *then], mode, boot)
    Programs(root).run("jetson_clocks", "--store", stored)
    Programs(root).run("jetson_clocks")
    (root / "var/log/board-calls").write_text("")


def booted(root: Path, boot: str) -> None:
    path = root / "proc/sys/kernel/random/boot_id"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{boot}\n")


@pytest.mark.parametrize("with_mode", [True, False])
def test_a_mode_that_the_user_has_chosen_since_is_kept(
    fake_board: FakeBoards, folder: Path, with_mode: bool
) -> None:
    root = fake_board(NANO)  # in 25W (1), where the measurement was in 15W (0)
    left(root, folder, [["nvpmodel", "-m", "2"]] * with_mode, 0, None)

    (flag,) = restore_leftover(folder.parent, Programs(root))

    assert (flag["kind"], flag["grave"]) == ("restore-dropped", False)
    assert "the power mode has been set to 25W since; a reboot releases" in flag["text"]
    assert (mode(root), calls(root)) == (1, [])
    assert list(folder.iterdir()) == []


def test_clocks_of_the_mode_that_was_set_are_not_written_into_the_one_set_back_by_hand(
    fake_board: FakeBoards, folder: Path
) -> None:
    root = fake_board(NANO)
    left(root, folder, [["nvpmodel", "-m", "1"]], 0, None)

    (flag,) = restore_leftover(folder.parent, Programs(root))

    assert flag["kind"] == "restored"
    assert "no longer done: restoring the clocks (they are another mode's" in flag["text"]
    assert calls(root) == []
    assert list(folder.iterdir()) == []


def test_after_a_reboot_the_mode_is_set_back_and_the_clocks_are_left(
    fake_board: FakeBoards, folder: Path
) -> None:
    root = fake_board(NANO)
    left(root, folder, [["nvpmodel", "-m", "2"]], 1, "boot-1")
    booted(root, "boot-2")

    (flag,) = restore_leftover(folder.parent, Programs(root))

    assert flag["kind"] == "restored"
    assert flag["text"].endswith(
        "done now: nvpmodel -m 2; no longer done: restoring the clocks (a reboot has released them)"
    )
    assert calls(root) == ["nvpmodel -m 2"]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("boot", "kind"), [("boot-1", "restored"), ("boot-2", "restore-dropped")])
def test_clocks_alone_are_restored_in_the_boot_that_locked_them(
    fake_board: FakeBoards, folder: Path, boot: str, kind: str
) -> None:
    root = fake_board(NANO)
    left(root, folder, [], 1, "boot-1")
    booted(root, boot)

    (flag,) = restore_leftover(folder.parent, Programs(root))

    assert flag["kind"] == kind
    assert calls(root) == (["jetson_clocks --restore"] if kind == "restored" else [])
    assert list(folder.iterdir()) == []


def test_while_the_mode_cannot_be_read_the_record_stays(
    fake_board: FakeBoards, folder: Path
) -> None:
    root = fake_board(NANO)
    path = write_record(folder, [["nvpmodel", "-m", "2"]], 1, None)
    (root / "var/lib/nvpmodel/status").unlink()
    replace(root, "nvpmodel", "echo 'NVPM ERROR: no status' >&2; exit 1")

    (flag,) = restore_leftover(folder.parent, Programs(root))

    assert (flag["kind"], flag["grave"]) == ("restore-failed", True)
    assert "the power mode: nvpmodel -q: NVPM ERROR: no status" in flag["text"]
    assert path.exists()


def test_one_record_does_not_take_the_place_of_another(folder: Path) -> None:
    path = write_record(folder, [["nvpmodel", "-m", "1"]], 0, None)

    with pytest.raises(AgentError, match="has not been set back since an earlier measurement"):
        write_record(folder, [["nvpmodel", "-m", "2"]], 1, None)

    assert read_record(path).commands == [["nvpmodel", "-m", "1"]]


def test_a_full_disk_is_told_and_leaves_no_record(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(AgentError, match=r"cannot write .*restore\.json: No space left"):
        write_record(folder, [["nvpmodel", "-m", "1"]], 0, None)

    assert list(folder.iterdir()) == []


def test_a_record_is_held_by_one_at_a_time(folder: Path) -> None:
    path = write_record(folder, [["nvpmodel", "-m", "1"]], 0, None)

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
    path = write_record(folder, [["nvpmodel", "-m", "1"]], 0, None)

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
