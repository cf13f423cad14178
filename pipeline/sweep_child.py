"""One run of a sweep in a process of its own, so that what ends it cannot end the sweep.

`python -m edgestill.pipeline.sweep_child` reads {"recipe", "workdir", "until"} from the first line
of stdin and prints an `Outcome`; it ends when stdin does, which is when the sweep is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import NoReturn

from .exits import INTERRUPTED, OURS, code_of, line_of_error
from .recipe import Recipe
from .run import run


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one try of a run ended."""

    exit_code: int
    """As of `edgestill run`."""
    error: str | None = None
    """One line; None if all went well."""
    lost: bool = False
    """Whether its process ended without a word: killed, or its machine is gone."""
    reported: bool = False
    """Whether the run came to its report, whose figures then stand."""
    seconds: float = 0.0
    """Of this try; 0 if it was lost."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        return cls(**json.loads(text))


def attempt(recipe_json: str, workdir: str, until: str | None) -> str:
    """The `Outcome`, as JSON, of running the recipe in a work directory that a sweep holds."""
    began = perf_counter()
    recipe = Recipe.model_validate_json(recipe_json)
    try:
        with redirect_stdout(sys.stderr):  # a user's own code may print
            result = run(recipe, Path(workdir), until=until, shared=True)
    except Exception as error:  # whatever it is, it is told, and the other runs go on
        failed = _failed(error, Path(workdir) / "runs" / recipe.name)
        return replace(failed, seconds=perf_counter() - began).to_json()
    checks = "; ".join(result.failed_checks)
    return Outcome(
        exit_code=1 if checks else 0,
        error=f"the check failed: {checks}" if checks else None,
        reported="report" in result.artifacts,
        seconds=perf_counter() - began,
    ).to_json()


def _failed(error: Exception, folder: Path) -> Outcome:
    line = line_of_error(error)
    if line is not None:
        return Outcome(exit_code=code_of(error), error=line or type(error).__name__)
    trace = folder / "traceback.txt"
    try:
        trace.write_text("".join(traceback.format_exception(error)))
    except OSError:  # no room for it: the line must do
        return Outcome(exit_code=OURS, error=f"a fault of edgestill itself: {error!r}")
    return Outcome(exit_code=OURS, error=f"a fault of edgestill itself: {error!r}; see {trace}")


def main() -> None:
    """Do what stdin's first line says, and leave when the sweep does."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # also what a library writes past Python's own stdout
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        asked = json.loads(sys.stdin.readline())
        threading.Thread(target=_end_with_the_sweep, daemon=True).start()
        told = attempt(asked["recipe"], asked["workdir"], asked["until"])
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    print(told, file=answer, flush=True)


def _end_with_the_sweep() -> None:
    os.read(0, 1)  # comes back when the other end is closed
    os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
