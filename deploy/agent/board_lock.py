"""One measurement at a time on a board: locks in the agent's own folder and on a file of all users.

A lock on an open file belongs to the processes that have it open; the kernel releases it however
they end.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Iterator

from .errors import AgentError
from .power_mode import CONF

PATIENCE_S = 5.0  # for an agent that is just ending
SET_BACK_S = 30.0  # for a guardian that is just setting the board back
POLL_S = 0.1
MACHINE_LOCKS: set[int] = set()
"""Open files that hold this machine; a process that is to hold it as well inherits them."""


@contextmanager
def board_lock(
    state_dir: Path | None,
    root: Path,
    sets: bool = False,
    patience_s: float = PATIENCE_S,
    set_back_s: float = SET_BACK_S,
) -> Iterator[None]:
    """Holds the board for one measurement.

    The folder's lock is among the measurements of one user. That on nvpmodel.conf, which every user
    may read, is among all users; where there is none, nobody sets a power mode.

    sets: it sets the board. One that does not, and has no state folder, shares nothing.

    Raises:
        AgentError: another process still holds it after `patience_s`, or after `set_back_s` where
            it may be one that sets the board back.
    """
    with ExitStack() as stack:
        if state_dir is not None:
            path = own_folder(state_dir) / "lock"
            descriptor = _opened(path, os.O_RDWR | os.O_CREAT, stack)
            if not _locked(descriptor, path, patience_s):
                holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
                raise AgentError(
                    "device", f"another measurement is running on this board (pid {holder})"
                )
            _sign(descriptor, path)
        path = root / CONF
        if (state_dir is not None or sets) and os.path.isfile(str(path)):
            descriptor = _opened(path, os.O_RDONLY, stack)
            if not _locked(descriptor, path, set_back_s):
                raise AgentError(
                    "device",
                    "another measurement, perhaps of another user, is running on this board or"
                    f" setting it back ({path} is locked)",
                )
            MACHINE_LOCKS.add(descriptor)
            stack.callback(MACHINE_LOCKS.discard, descriptor)
        yield


def _opened(path: Path, flags: int, stack: ExitStack) -> int:
    try:
        descriptor = os.open(str(path), flags, 0o600)
    except OSError as error:
        verb = "read" if flags == os.O_RDONLY else "write"
        raise AgentError("device", f"cannot {verb} {path}: {error.strerror}") from None
    stack.callback(os.close, descriptor)
    return descriptor


def _locked(descriptor: int, path: Path, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not lock(descriptor, path):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


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
