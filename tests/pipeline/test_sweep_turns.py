"""Runs in child processes: one at a time, and what ends a child does not end the sweep."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from edgestill.pipeline.sweep_child import Outcome
from edgestill.pipeline.sweep_over import Planned, planned_runs
from edgestill.pipeline.sweep_turns import CHILD, InTurn

# A child that does as the seed says; what it prints before its answer is the user's own code's.
SCRIPT = """
import json, os, signal, sys, time
asked = json.loads(sys.stdin.readline())
seed = json.loads(asked["recipe"])["seed"]
if seed == 1: os.kill(os.getpid(), signal.SIGKILL)
if seed == 2: sys.exit(3)
if seed == 3: time.sleep(600)
print(json.dumps({"exit_code": 0, "error": asked["until"]}))
"""


def runs(*seeds: int) -> tuple[Planned, ...]:
    return planned_runs("smoke", [f"seed={','.join(map(str, seeds))}"])[1]


def in_turn(workdir: Path, until: str | None = None) -> InTurn:
    return InTurn(workdir, until, command=(sys.executable, "-c", SCRIPT))


def outcomes(tries: InTurn, count: int) -> list[tuple[str, Outcome]]:
    found: list[tuple[str, Outcome]] = []
    limit = time.monotonic() + 60
    while len(found) < count and time.monotonic() < limit:
        found += [(run.name, outcome) for run, outcome in tries.ended(0.2)]
    return found


def test_a_killed_child_is_told_as_lost_and_the_next_one_goes_on(tmp_path: Path) -> None:
    with closing(in_turn(tmp_path, "teacher")) as tries:
        for run in runs(0, 1, 2, 4):
            tries.start(run)
        found = outcomes(tries, 4)

    assert found == [
        ("smoke-seed-0", Outcome(exit_code=0, error="teacher")),
        (
            "smoke-seed-1",
            Outcome(exit_code=137, error="its process was ended by SIGKILL", lost=True),
        ),
        (
            "smoke-seed-2",
            Outcome(exit_code=3, error="its process ended with exit code 3", lost=True),
        ),
        ("smoke-seed-4", Outcome(exit_code=0, error="teacher")),
    ]


def test_closing_ends_the_child_that_is_under_way(tmp_path: Path) -> None:
    with closing(in_turn(tmp_path)) as tries:
        tries.start(runs(3)[0])
        assert tries.ended(0.2) == []
        assert tries._current is not None
        child = tries._current[1]

    assert child.returncode == -signal.SIGTERM


def test_a_child_leaves_when_the_sweep_is_gone(tmp_path: Path) -> None:
    from filelock import FileLock

    (run,) = runs(0)
    teacher_of = tmp_path / "runs" / run.name
    teacher_of.mkdir(parents=True)
    asked = f'{{"recipe": {_quoted(run)}, "workdir": "{tmp_path}", "until": null}}\n'
    with FileLock(teacher_of / ".lock"):  # the child waits for its folder, for ever
        child = subprocess.Popen(CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdin is not None
        child.stdin.write(asked.encode())
        child.stdin.flush()
        child.stdin.close()  # as the end of the sweep's process does, however it ends
        code = child.wait(60)
    assert child.stdout is not None
    answer = child.stdout.read()
    child.stdout.close()

    assert (code, answer) == (130, b"")


def _quoted(run: Planned) -> str:
    import json

    return json.dumps(run.recipe.model_dump_json())
