"""One run at a time in a work directory; a second one says who holds it, and waits."""

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
    """Hold `workdir` for the block. The operating system lets go of it however the process ends.

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
