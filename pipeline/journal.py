"""events.jsonl: what happened in a run, one JSON object a line, each with its time (UTC)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from .events import JSON, Sink


def journal(path: Path) -> Sink:
    """A listener that appends every event but `progress` to `path`."""

    def write(kind: str, fields: dict[str, JSON]) -> None:
        if kind == "progress":  # several a second; of use to who watches, not to who reads later
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": kind}
        with path.open("a") as file:
            file.write(json.dumps({**line, **fields}) + "\n")

    return write
