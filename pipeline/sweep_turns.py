"""The runs of a sweep on this machine, one after another, each in a child process."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from .sweep_child import Outcome
from .sweep_over import Planned

CHILD = (sys.executable, "-P", "-m", "edgestill.pipeline.sweep_child")
GRACE_S = 30.0  # for a device to be set back; checkpoints need none


class Tries(Protocol):
    """Where runs are tried: here one after another, or on a cluster several at once."""

    def start(self, run: Planned) -> None:
        """Have the run tried as soon as there is room for it."""

    def ended(self, timeout_s: float) -> list[tuple[Planned, Outcome]]:
        """The tries that ended since the last call; waits for one, up to `timeout_s`."""


class InTurn:
    """Tries in child processes, one at a time; `close` ends the one that is under way."""

    def __init__(
        self, workdir: Path, until: str | None = None, command: Sequence[str] = CHILD
    ) -> None:
        self._workdir, self._until, self._command = workdir, until, command
        self._waiting: deque[Planned] = deque()
        self._current: tuple[Planned, subprocess.Popen[bytes]] | None = None

    def start(self, run: Planned) -> None:
        self._waiting.append(run)

    def ended(self, timeout_s: float) -> list[tuple[Planned, Outcome]]:
        if self._current is None:
            if not self._waiting:
                return []
            run = self._waiting.popleft()
            self._current = run, self._child(run)
        run, child = self._current
        assert child.stdout is not None
        if not select.select([child.stdout], [], [], timeout_s)[0]:
            return []
        answer = child.stdout.read()  # it has ended, or is about to: nothing else holds the pipe
        self._current = None
        return [(run, _outcome(answer, _left(child)))]

    def close(self) -> None:
        """End the try under way; what it finished stands, and its checkpoint with it."""
        if self._current is not None:
            _, child = self._current
            self._current = None
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                child.kill()
            _left(child)

    def _child(self, run: Planned) -> subprocess.Popen[bytes]:
        # In a session of its own a Ctrl-C reaches the sweep alone, which then ends the child.
        child = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert child.stdin is not None
        asked = {
            "recipe": run.recipe.model_dump_json(),
            "workdir": str(self._workdir),
            "until": self._until,
        }
        try:
            child.stdin.write(json.dumps(asked).encode() + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            pass  # it died at once; that it said nothing is told when its stdout ends
        return child


def _left(child: subprocess.Popen[bytes]) -> int:
    """The exit code of a child that ends, its pipes closed."""
    code = child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # what it never read
                pipe.close()
    return code


def _outcome(answer: bytes, code: int) -> Outcome:
    if answer:
        return Outcome.from_json(answer.decode())
    if code < 0:
        name = signal.Signals(-code).name
        return Outcome(exit_code=128 - code, error=f"its process was ended by {name}", lost=True)
    return Outcome(
        exit_code=code or 70, error=f"its process ended with exit code {code}", lost=True
    )
