"""What was done to a fake board, and what it came to."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgestill.deploy.agent.clocks import clocks
from edgestill.deploy.agent.files import Files


def calls(root: Path) -> list[str]:
    """The changes that its programs made, in order."""
    return (root / "var/log/board-calls").read_text().splitlines()


def mode(root: Path) -> int:
    """The number of its power mode."""
    told = (root / "var/lib/nvpmodel/status").read_text().strip().partition(":")[2]
    return int(told or -1)  # nothing: it is just being written


def limits(root: Path) -> list[tuple[Any, ...]]:
    """Of each clock: name, lowest, highest, whether it is locked."""
    found = clocks(Files(root))
    return [(each["name"], each["min_mhz"], each["max_mhz"], each["locked"]) for each in found]


def until(true: Callable[[], bool]) -> None:
    """Waits for it, for a minute at most."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def replace(root: Path, name: str, script: str) -> None:
    """Puts another program in the place of one of the board's; the old one is `name`.real."""
    path = next(each for each in root.glob(f"usr/*bin/{name}"))
    path.rename(path.with_suffix(".real"))
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def put_back(root: Path, name: str) -> None:
    """Undoes `replace`."""
    path = next(each for each in root.glob(f"usr/*bin/{name}"))
    path.with_suffix(".real").replace(path)
