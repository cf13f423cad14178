"""The slices of a job on the device's disk, so that a connection that drops loses none of them.

STATE/jobs/JOB.jsonl: a head with the request and what it was measured on, then the slices, each
written through to the disk as it is taken. A call with the same job reads them and goes on. Once
its asker says `done`, the file is removed; what nobody came back for is removed after KEEP_S.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import IO, Any

KEEP_S = 86400.0


class Journal:
    """The journal of one job; without a folder or a job nothing is kept."""

    def __init__(self, state_dir: Path | None, job: str | None, head: dict[str, Any]) -> None:
        """Open it, and read what an earlier call of this job measured under the same head."""
        self.slices: list[dict[str, Any]] = []
        self._path: Path | None = None
        if state_dir is None or job is None:
            return
        folder = state_dir / "jobs"
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        self._path = folder / f"{job}.jsonl"
        # Through JSON and back, so that tuples compare as the lists that they are in the file.
        plain = json.loads(json.dumps(head))
        kept = _lines(self._path)
        if kept and kept[0] == plain:
            self.slices = kept[1:]
        self._start([plain, *self.slices])

    def add(self, taken: dict[str, Any]) -> None:
        """Keep a slice, through to the disk."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                _write(file, [taken])

    def remove(self) -> None:
        """The asker has the result."""
        if self._path is not None and self._path.exists():
            self._path.unlink()

    def _start(self, lines: list[dict[str, Any]]) -> None:
        """The file with these lines, or as it was: also rids it of a half-written last one."""
        assert self._path is not None
        partial = self._path.with_suffix(".part")
        with partial.open("w", encoding="utf-8") as file:
            _write(file, lines)
        partial.replace(self._path)


def _write(file: IO[str], lines: list[dict[str, Any]]) -> None:
    for line in lines:
        file.write(json.dumps(line) + "\n")
    file.flush()
    os.fsync(file.fileno())


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of the file; what a kill or a power cut left half written is not one."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    found = []
    for line in raw.split(b"\n")[:-1]:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def _sweep(folder: Path) -> None:
    for path in folder.glob("*.jsonl"):
        if time.time() - path.stat().st_mtime > KEEP_S:
            path.unlink()
