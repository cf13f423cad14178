"""What sets the board back: a record on its disk, written before anything on it is changed.

STATE/board/restore.json is {"commands": [["nvpmodel", "-m", "2"], ...], "mode": 0, "boot": "..."}:
the power mode that was set, or found and kept, and the boot it was in. The process that is to
carry it out (guard.py) holds a lock on the file for as long as it lives. So a record that can be
locked is one that nobody else will carry out, whatever has become of the process that wrote it.
A record is a file that others could have changed: only known commands are run (root_commands.py).
It is removed once all of them have worked. One that is left over is no longer followed where the
user has chosen another mode since, nor are its clocks after a reboot, which releases them.
"""

from __future__ import annotations

import json
import os
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Sequence

from .board_lock import lock, own_folder
from .errors import AgentError
from .files import Files
from .power_mode import power_mode
from .programs import Programs
from .root_commands import STORED, known, perform
from .trust import flag

RECORD = "restore.json"
BOOT = "proc/sys/kernel/random/boot_id"
RELEASE = "a reboot releases clocks that are still locked"
LARGEST_RECORD = 4096
PATIENCE_S = 150.0  # for a guardian at work: two commands, of a minute at most each
POLL_S = 0.1


@dataclass(frozen=True)
class Record:
    """The commands that set back, the id of the mode the board was put in, and boot()."""

    commands: list[list[str]]
    mode: int | None
    boot: str | None


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
            record, files = read_record(path), Files(programs.root)
            mode = None if record.mode is None else power_mode(files, programs)
            if record.mode is not None and mode is None:
                return [restore_failed(f"the power mode: {files.unread.get('power_mode')}", path)]
            commands, dropped = still_wanted(record, mode, boot(files))
            failed = carry_out(path, commands, programs)
    except BadRecord as error:
        aside = path.with_suffix(".refused")
        path.replace(aside)
        text = f"{path} is no restore record ({error}): nothing was run; it is now {aside}"
        return [flag("restore-failed", text, "set the power mode and clocks yourself", grave=True)]
    if failed:
        return [restore_failed(trouble, path) for trouble in failed]
    text = "an earlier measurement had ended without setting the board back"
    if commands:
        text += f"; done now: {', '.join(' '.join(command) for command in commands)}"
    if dropped is not None:
        text += f"; no longer done: {dropped}"
    return [flag("restored" if commands else "restore-dropped", text)]


def still_wanted(
    record: Record, mode: dict[str, Any] | None, boot: str | None
) -> tuple[list[list[str]], str | None]:
    """The commands that a record left over still asks for, and why not the others, if any.

    mode: the one that the board is in; None only where the record has none.
    """
    commands = record.commands
    back = [each for each in commands if each[0] == "nvpmodel"]
    if None not in (boot, record.boot) and boot != record.boot:
        dropped = "restoring the clocks (a reboot has released them)" if back != commands else None
        commands = back
    else:
        dropped = None
    if mode is None or not commands:
        return commands, dropped
    if back and mode["id"] == int(back[0][2]):
        # It is back already. Clocks to be restored before it are those of the mode that was set.
        place = commands.index(back[0])
        if place > 0:
            dropped = f"restoring the clocks (they are another mode's; {RELEASE})"
        return commands[place:], dropped
    if mode["id"] != record.mode:
        asked = ", ".join(" ".join(command) for command in commands)
        release = "" if commands == back else f"; {RELEASE}"
        return [], f"{asked} (the power mode has been set to {mode['name']} since{release})"
    return commands, dropped


def boot(files: Files) -> str | None:
    """What tells this boot of the machine from any other; None where nothing does."""
    return files.text(BOOT)


def restore_failed(trouble: str, record: Path) -> dict[str, Any]:
    """The flag of a board that is not as it was found."""
    return flag(
        "restore-failed",
        f"the board could not be set back: {trouble}",
        f"set it back, then remove {record}",
        grave=True,
    )


def write_record(
    folder: Path, commands: Sequence[Sequence[str]], mode: int | None, boot: str | None
) -> Path:
    """The file with this Record: through to the disk, whole or not there at all.

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
            json.dump({"commands": commands, "mode": mode, "boot": boot}, file)
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


def carry_out(
    path: Path, commands: Sequence[Sequence[str]], programs: Programs, unsure: bool = False
) -> list[str]:
    """Runs commands of the record, which the caller holds; what failed, a sentence each.

    unsure: a command that set the board hung, and may still change it.
    """
    stored = path.with_name(STORED)
    failed = []
    for command in commands:
        if command[-1] == str(stored) and not stored.exists():
            continue  # clocks are stored before they are locked: they never were
        trouble = perform(command, programs, unsure=unsure)
        if trouble is not None:
            failed.append(trouble)
    if not failed:
        for done in (stored, path):
            if done.exists():
                done.unlink()
    return failed


def read_record(path: Path) -> Record:
    """The record; each of its commands is known.

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
    mode, boot = record.get("mode"), record.get("boot")
    if type(mode) is not int and (mode is not None or any(c[0] == "nvpmodel" for c in commands)):
        raise BadRecord("it does not tell which power mode was set")
    if boot is not None and not isinstance(boot, str):
        raise BadRecord("it does not tell in which boot")
    return Record(commands, mode, boot)


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
