"""The device's end of an SSH line: takes a file from stdin and keeps it, or becomes the agent.

Sent as text by the host and run by `python3 -I -c` before anything of ours is on the device, so it
imports nothing of ours. Its arguments are a marker and an order, JSON in hexadecimal:

{"do": "receive", "sha256", "bytes", "name"}    answers with JSON lines, {"state", ...}:
    have                       the file is there already; nothing is to be sent
    full    {needs, has}       bytes; the disk has no room for it (has: null where nobody knows)
    want, then stored | cut    the file is to be sent on stdin; then it is kept, or came damaged
    failed  {message}          no file can be kept here
{"do": "run", "agent", "arguments"}             becomes the agent

Files lie in <state folder>/files/<sha256>/<name>; what nobody used for a month is removed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from typing import Any

CHUNK_BYTES = 1 << 20
SPARE_BYTES = 1 << 20  # left free on the disk: file systems need some for themselves
UNUSED_S = 30 * 86400
ABANDONED_S = 86400  # part of a file whose sender was cut off before it could be removed


def main(marker: str, order: dict[str, Any]) -> None:
    """Says the marker, then obeys the order."""
    # What start-up files of the shell printed stands before it, perhaps without an end of line.
    sys.stdout.write("\n" + marker + "\n")
    sys.stdout.flush()
    if order["do"] == "run":
        os.execv(sys.executable, [sys.executable, order["agent"], *order["arguments"]])
    home = state_dir()
    try:
        receive(home, order["sha256"], order["bytes"], order["name"])
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _answer("full", needs=order["bytes"], has=None, state_dir=home)
        else:
            _answer("failed", message=error.strerror or str(error), state_dir=home)


def state_dir() -> str:
    """Absolute path of the folder where the agent keeps files of this user between two calls."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):  # the specification has relative ones ignored
        cache = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(os.path.abspath(cache), "edgestill")


def receive(home: str, sha256: str, size: int, name: str, source: int = 0) -> None:
    """Has the file with this hash below `home`, taken from the descriptor `source` if need be."""
    files = os.path.join(home, "files")
    folder = os.path.join(files, sha256)
    path = os.path.join(folder, name)
    os.makedirs(files, mode=0o700, exist_ok=True)
    if os.path.isfile(path) and _sha256(path) == sha256:
        os.utime(folder)  # used today
        _remove_unused(files)
        _answer("have", path=path, state_dir=home)
        return
    _remove_unused(files)
    free = _free_bytes(home)
    if free is not None and free < size + SPARE_BYTES:
        _answer("full", needs=size + SPARE_BYTES, has=free, state_dir=home)
        return
    handle, partial = tempfile.mkstemp(prefix=".part-", dir=files)
    try:
        with open(handle, "wb") as file:
            _answer("want", path=path, state_dir=home)
            whole = _copied_sha256(source, file, size) == sha256
        if whole:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            os.replace(partial, path)  # complete or absent
    finally:
        if os.path.exists(partial):
            os.unlink(partial)
    _answer("stored" if whole else "cut", path=path, state_dir=home)


def _copied_sha256(source: int, file: Any, size: int) -> str:
    digest = hashlib.sha256()
    while size > 0:
        chunk = os.read(source, min(size, CHUNK_BYTES))
        if not chunk:
            break
        digest.update(chunk)
        file.write(chunk)
        size -= len(chunk)
    return digest.hexdigest()


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _free_bytes(home: str) -> int | None:
    disk = os.statvfs(home)
    return disk.f_bavail * disk.f_frsize if disk.f_blocks else None  # some file systems do not say


def _remove_unused(files: str) -> None:
    now = time.time()
    for entry in os.scandir(files):
        limit_s = ABANDONED_S if entry.name.startswith(".part-") else UNUSED_S
        if now - entry.stat(follow_symlinks=False).st_mtime < limit_s:
            continue
        if entry.is_dir(follow_symlinks=False):
            # What cannot be removed, or was by another call just now, costs room and nothing else.
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)


def _answer(state: str, **content: Any) -> None:
    sys.stdout.write(json.dumps({"state": state, **content}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[2], json.loads(bytes.fromhex(sys.argv[3]).decode()))
