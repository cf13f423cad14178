"""One measurement at a time on a board: a lock in the agent's own folder on it.

A lock on an open file belongs to the process; the kernel releases it however the process ends.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from .errors import AgentError

PATIENCE_S = 5.0  # for an agent that is just ending
POLL_S = 0.1


@contextmanager
def board_lock(state_dir: Path | None, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Holds the board for one measurement; without a state folder there is nothing to share.

    Raises:
        AgentError: another process still holds it after `patience_s`.
    """
    if state_dir is None:
        yield
        return
    path = own_folder(state_dir) / "lock"
    deadline = time.monotonic() + patience_s
    try:
        descriptor = os.open(str(path), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise AgentError("device", f"cannot write {path}: {error.strerror}") from None
    try:
        while not lock(descriptor, path):
            if time.monotonic() > deadline:
                holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
                raise AgentError(
                    "device", f"another measurement is running on this board (pid {holder})"
                )
            time.sleep(POLL_S)
        _sign(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def lock(descriptor: int, path: Path) -> bool:
    """Whether the lock on the open file is now ours, until the descriptor is closed.

    Raises:
        AgentError: the disk has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise AgentError("device", f"cannot lock {path}: {error.strerror}") from None
    return True


def own_folder(state_dir: Path) -> Path:
    """STATE/board, made if it is absent: what is in it makes root run commands.

    Raises:
        AgentError: it cannot be made, or others can write into it.
    """
    folder = state_dir / "board"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = os.lstat(str(folder))
    except OSError as error:
        raise AgentError("device", f"cannot make {folder}: {error.strerror}") from None
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        owner, mode = facts.st_uid, stat.filemode(facts.st_mode)
        raise AgentError("device", f"{folder} is not this user's alone ({mode}, user {owner})")
    return folder


def _sign(descriptor: int, path: Path) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    except OSError as error:
        raise AgentError("device", f"cannot write {path}: {error.strerror}") from None
