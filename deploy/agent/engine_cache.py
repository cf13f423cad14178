"""Engines that were built here before, by all that they depend on.

Each is two files below one folder: KEY.engine, and KEY.json, written last, which holds its digest
and what was found out at its building. An engine is complete or absent: one that does not match its
digest is removed and built again. What nobody used for a month is removed too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import AgentError

UNUSED_S = 30 * 86400
ABANDONED_S = 86400  # what a build was writing when it was cut off; the longest takes hours
# Nothing else is removed: the folder that a user names may hold files of others.
OURS = re.compile(r"[0-9a-f]{32}\.|onnxruntime-[0-9a-f]{32}$|timing-.+\.cache")


@dataclass(frozen=True)
class Kept:
    """An engine in the cache."""

    path: Path
    facts: dict[str, Any]
    """What was found out when it was built."""


class EngineCache:
    """The engines below `folder`."""

    def __init__(self, folder: Path) -> None:
        """Make the folder, or remove what is too old in it. Raises AgentError: no such folder."""
        self.folder = folder
        self.damaged: str | None = None
        """What was wrong with the entry that was asked for last, if it was removed for it."""
        _make(folder)
        _remove_unused(folder)

    def find(self, parts: dict[str, Any]) -> Kept | None:
        """The engine for `parts`, its bytes checked; None if there is none, or it was damaged."""
        self.damaged = None
        record = self.folder / f"{key_of(parts)}.json"
        path = record.with_suffix(".engine")
        try:
            entry = json.loads(record.read_text())
            _use(record, path)
            if entry["sha256"] == sha256(path):
                return Kept(path, dict(entry["facts"]))
            self.damaged = "its bytes are not those that were written"
        except FileNotFoundError:
            return None  # never built, or cut off before its record was written
        except OSError as error:
            self.damaged = error.strerror or str(error)
        except (ValueError, KeyError, TypeError):
            self.damaged = "its record cannot be read"
        self.remove(parts)
        return None

    def room(self, parts: dict[str, Any]) -> Path:
        """Where to write the engine for `parts` before it is kept."""
        return self.folder / f"{key_of(parts)}.{os.getpid()}.part"

    def folder_for(self, parts: dict[str, Any]) -> Path:
        """A folder of its own for a builder that names and keeps its engines itself.

        Raises:
            AgentError: it cannot be made.
        """
        folder = self.folder / f"{parts['builder']}-{key_of(parts)}"
        _make(folder)
        _use(folder)
        return folder

    def keep(self, parts: dict[str, Any], written: Path, facts: dict[str, Any]) -> Kept:
        """Publish what was written to `room`.

        Raises:
            OSError: no space is left, say.
        """
        record = self.folder / f"{key_of(parts)}.json"
        path = record.with_suffix(".engine")
        if record.exists():
            record.unlink()  # no record may stand beside other bytes
        entry = {"sha256": sha256(written), "parts": parts, "facts": facts}
        unfinished = record.with_suffix(f".{os.getpid()}.json.part")
        try:
            os.replace(str(written), str(path))
            unfinished.write_text(json.dumps(entry, sort_keys=True))
            os.replace(str(unfinished), str(record))
        except OSError:
            # An engine without its record is never found again, and only fills the disk.
            remove(written, unfinished, path)
            raise
        return Kept(path, facts)

    def remove(self, parts: dict[str, Any]) -> None:
        """Forget the engine for `parts`, its record first."""
        record = self.folder / f"{key_of(parts)}.json"
        remove(record, record.with_suffix(".engine"))


def key_of(parts: dict[str, Any]) -> str:
    """32 hexadecimal digits that stand for all of `parts`.

    >>> key_of({"batch": 1}) == key_of({"batch": 2})
    False
    """
    canonical = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def remove(*paths: Path) -> None:
    """Those that are there are gone after it."""
    for path in paths:
        try:
            path.unlink()
        except FileNotFoundError:
            continue


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AgentError("device", f"cannot make {folder}: {error.strerror}") from None


def _use(*paths: Path) -> None:
    """They were used now, as their modification times tell."""
    for path in paths:
        try:
            os.utime(str(path))
        except OSError:  # another user's, say: at worst it is removed, and built again
            continue


def _remove_unused(folder: Path) -> None:
    now = time.time()
    for path in filter(lambda path: OURS.match(path.name), list(folder.iterdir())):
        limit_s = ABANDONED_S if path.suffix == ".part" else UNUSED_S
        try:
            if now - path.lstat().st_mtime < limit_s:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(str(path))
            else:
                path.unlink()
        except OSError:  # another call removed it, or may not: it costs room and nothing else
            continue


def sha256(path: Path) -> str:
    """Of the file's bytes. Raises OSError: it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()
