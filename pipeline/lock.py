"""One run at a time in a work directory, one maker of an artifact; a second one waits.

The runs of a sweep share a work directory, which the sweep holds for all of them; what several of
them need is made by the first, and the others wait for it. The locks are flock(2): the operating
system lets go of them however a process ends. On a folder of the network they hold between machines
if it passes flock on, as NFS 4, NFS 3 with lockd, CephFS and Lustre with `-o flock` do; a sweep on
several machines tests that before it begins.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ..models.errors import BadInput
from .events import emit


@contextmanager
def only_run(workdir: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold `workdir` for the block; lock.json in it says who does.

    Raises:
        BadInput: the directory cannot be written, or is held and `wait` is off.
    """
    from filelock import FileLock, Timeout

    holder = workdir / "lock.json"
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(workdir / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if not wait:
                raise BadInput(f"{workdir} is in use by {_who(holder)}") from None
            emit("note", text=f"{workdir} is in use by {_who(holder)}; waiting for it")
            lock.acquire(poll_interval=0.2)
    except OSError as error:
        raise BadInput(
            f"work directory {workdir} cannot be written ({error.strerror});"
            " give another with --workdir"
        ) from None
    try:
        holder.write_text(json.dumps(_self(), indent=2) + "\n")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


@contextmanager
def only_maker(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` for the block; a note says when another process holds it.

    `what`: the name of what is made, for that note.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        emit("note", text=f"{what} is being made by another run; waiting for it")
        lock.acquire(poll_interval=0.2)
    try:
        yield
    finally:
        lock.release()


def _self() -> dict[str, str | int]:
    return {
        "pid": os.getpid(),
        "host": platform.node(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(sys.argv),
    }


def _who(holder: Path) -> str:
    try:
        told = json.loads(holder.read_text())
        return f"process {told['pid']} on {told['host']} since {told['since']}: {told['command']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
