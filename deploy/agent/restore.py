"""What sets the board back: a record on its disk, written before anything on it is changed.

STATE/board/restore.json is {"commands": [["nvpmodel", "-m", "2"], ...]}. The process that is to
carry it out (guard.py) holds a lock on the file for as long as it lives. So a record that can be
locked is one that nobody else will carry out, whatever has become of the process that wrote it.
A record is a file that others could have changed: only known commands are run (root_commands.py).
It is removed once all of them have worked.
"""

from __future__ import annotations

import json
import os
import stat
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Sequence

from .board_lock import lock, own_folder
from .errors import AgentError
from .programs import Programs
from .root_commands import STORED, known, perform
from .trust import flag

RECORD = "restore.json"
LARGEST_RECORD = 4096
PATIENCE_S = 150.0  # for a guardian at work: two commands, of a minute at most each
POLL_S = 0.1


class BadRecord(Exception):
    """The file is no restore record; the message says why."""


def restore_leftover(state_dir: Path | None, programs: Programs) -> list[dict[str, Any]]:
    """Sets the board back where an earlier measurement and its guardian could not; flags that tell.

    After a loss of power, or where the guardian was killed as well. A guardian that is still at
    work is waited for.

    Raises:
        AgentError: it is still at work after PATIENCE_S.
    """
    return [] if state_dir is None else left_at(own_folder(state_dir) / RECORD, programs)


def left_at(path: Path, programs: Programs) -> list[dict[str, Any]]:
    """As restore_leftover, of the record there."""
    try:
        with held(path, PATIENCE_S) as there:
            if not there:
                return []
            commands = read_record(path)
            failed = carry_out(path, commands, programs)
    except BadRecord as error:
        aside = path.with_suffix(".refused")
        path.replace(aside)
        text = f"{path} is no restore record ({error}): nothing was run; it is now {aside}"
        return [flag("restore-failed", text, "set the power mode and clocks yourself", grave=True)]
    if failed:
        return [restore_failed(trouble, path) for trouble in failed]
    done = ", ".join(" ".join(command) for command in commands)
    text = f"an earlier measurement had ended without setting the board back; done now: {done}"
    return [flag("restored", text)]


def restore_failed(trouble: str, record: Path) -> dict[str, Any]:
    """The flag of a board that is not as it was found."""
    return flag(
        "restore-failed",
        f"the board could not be set back: {trouble}",
        f"set it back, then remove {record}",
        grave=True,
    )


def write_record(folder: Path, commands: Sequence[Sequence[str]]) -> Path:
    """The record with these commands: through to the disk, whole or not there at all.

    Raises:
        AgentError: there is one already, which could not be carried out; or the disk is full.
    """
    path = folder / RECORD
    if path.exists():
        raise AgentError(
            "device",
            f"the board has not been set back since an earlier measurement ({path}):"
            " nothing more is set on it",
        )
    partial, stored = path.with_suffix(".part"), folder / STORED
    try:
        if stored.exists():  # of a record that was removed by hand; it is never written over
            stored.unlink()
        with partial.open("w", encoding="utf-8") as file:
            json.dump({"commands": commands}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync(folder)
    except OSError as error:
        for unsure in (partial, path):
            if unsure.exists():
                unsure.unlink()
        raise AgentError("device", f"cannot write {path}: {error.strerror}") from None
    return path


def carry_out(path: Path, commands: Sequence[Sequence[str]], programs: Programs) -> list[str]:
    """Runs the commands of the record, which the caller holds; what failed, a sentence each."""
    stored = path.with_name(STORED)
    failed = []
    for command in commands:
        if command[-1] == str(stored) and not stored.exists():
            continue  # clocks are stored before they are locked: they never were
        trouble = perform(command, programs)
        if trouble is not None:
            failed.append(trouble)
    if not failed:
        for done in (stored, path):
            if done.exists():
                done.unlink()
    return failed


def read_record(path: Path) -> list[list[str]]:
    """The commands of the record, each of them known.

    Raises:
        BadRecord: it is no such record.
    """
    if not stat.S_ISREG(os.lstat(str(path)).st_mode):
        raise BadRecord("no ordinary file")
    with os.fdopen(_open(path), "rb") as file:
        raw = file.read(LARGEST_RECORD + 1)
    if len(raw) > LARGEST_RECORD:
        raise BadRecord(f"more than {LARGEST_RECORD} bytes")
    try:
        record = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadRecord("no JSON") from None
    commands = record.get("commands") if isinstance(record, dict) else None
    if not isinstance(commands, list) or not commands:
        raise BadRecord("no commands in it")
    for command in commands:
        if not known(command, path.parent):
            raise BadRecord(f"{json.dumps(command)[:60]} is no command that sets a board back")
    return commands


@contextmanager
def held(path: Path, patience_s: float) -> Iterator[bool]:
    """The lock on the record; False where there is none, or none any more.

    Raises:
        AgentError: another process still holds it after `patience_s`.
        BadRecord: it cannot be opened.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            descriptor = _open(path)
        except FileNotFoundError:
            yield False
            return
        except OSError as error:
            raise BadRecord(error.strerror or str(error)) from None
        try:
            # Once it is locked, its last holder may have removed it.
            if lock(descriptor, path) and _is_at(descriptor, path):
                yield True
                return
        finally:
            os.close(descriptor)
        if time.monotonic() > deadline:
            raise AgentError("device", f"the board is still being set back ({path})")
        time.sleep(POLL_S)


def _sync(folder: Path) -> None:
    """Through to the disk, so that the new name, too, outlasts a loss of power."""
    directory = os.open(str(folder), os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _open(path: Path) -> int:
    # Neither through a link nor waiting for the other end of a pipe.
    return os.open(str(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = os.lstat(str(path))
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)
