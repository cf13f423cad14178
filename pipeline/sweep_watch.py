"""Where the runs of a sweep are, read from what they write into their events.jsonl.

A run may be on another machine; the work directory is what it shares with the sweep.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Watch:
    """The events of one run from now on; those of earlier tries are behind it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = path.stat().st_size if path.exists() else 0

    def fresh(self) -> Iterator[dict[str, Any]]:
        """What has been written since the last call; a line that is not whole yet is left."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except FileNotFoundError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            try:
                yield json.loads(line)
            except ValueError:  # the end of a line that a killed run began, joined by the next
                continue


def stage_of(event: dict[str, Any]) -> str | None:
    """What the event says of where the run is: "distill", "distill epoch 3/15"; else None."""
    match event:
        case {"event": "stage", "status": "run", "name": str(name)}:
            return name
        case {"event": "stage", "status": "reuse", "name": str(name)}:
            return f"{name} reused"
        case {"event": "epoch", "label": str(label), "epoch": int(epoch), "epochs": int(epochs)}:
            return f"{label} epoch {epoch}/{epochs}"
        case _:
            return None
