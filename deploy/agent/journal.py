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
        """Open it, and read what earlier calls of this job measured under the same head."""
        self.slices: list[dict[str, Any]] = []
        self.calls: list[tuple[dict[str, Any], dict[str, Any]]] = []
        """Of each earlier call that took a slice: the conditions before and after its slices."""
        self.trouble: str | None = None
        """Why something could not be kept; the measurement goes on."""
        self._path: Path | None = None
        if state_dir is None or job is None:
            return
        # Through JSON and back, so that tuples compare as the lists that they are in the file.
        plain = json.loads(json.dumps(head))
        try:
            folder = state_dir / "jobs"
            folder.mkdir(parents=True, exist_ok=True)
            _sweep(folder)
            self._path = folder / f"{job}.jsonl"
            kept = _lines(self._path)
            entries = kept[1:] if kept and kept[0] == plain else []
            self._start([plain, *entries])
        except OSError as error:
            self._give_up(error)
            return
        self._read(entries)

    def begin(self, before: dict[str, Any]) -> None:
        """A call begins, under these conditions."""
        self._add({"before": before})

    def add(self, taken: dict[str, Any], after: dict[str, Any]) -> None:
        """Keep a slice and the conditions after it, through to the disk."""
        self._add({"slice": taken, "after": after})

    def remove(self) -> None:
        """The asker has the result."""
        if self._path is not None and self._path.exists():
            self._path.unlink()

    def _read(self, entries: list[dict[str, Any]]) -> None:
        before: dict[str, Any] | None = None
        for entry in entries:
            if "before" in entry:
                before = entry["before"]
            elif before is not None:
                self.slices.append(entry["slice"])
                if self.calls and self.calls[-1][0] is before:
                    self.calls.pop()
                self.calls.append((before, entry["after"]))

    def _add(self, entry: dict[str, Any]) -> None:
        if self._path is None:
            return
        try:
            with self._path.open("a", encoding="utf-8") as file:
                _write(file, [entry])
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        # A valid measurement is not lost because its safety copy cannot be written.
        self.trouble = f"a cut connection would lose what is measured: {error}"
        self._path = None

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
