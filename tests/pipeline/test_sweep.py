"""A sweep's order, its second tries and its book, with tries that do as they are told."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgestill.pipeline import sweep as module
from edgestill.pipeline.events import JSON, listening
from edgestill.pipeline.sweep import TRAINED, interleaved, sweep
from edgestill.pipeline.sweep_child import Outcome
from edgestill.pipeline.sweep_over import Planned, planned_runs

DONE = Outcome(exit_code=0, seconds=2.0)
LOST = Outcome(exit_code=137, error="killed", lost=True)
FAILED = Outcome(exit_code=1, error="nothing fits", seconds=1.0)


class Scripted:
    """Tries whose outcomes are given, by the run's seed, one after another."""

    def __init__(self, script: dict[int, list[Outcome]]) -> None:
        self.script = {seed: deque(outcomes) for seed, outcomes in script.items()}
        self.started: list[str] = []
        self._asked: deque[Planned] = deque()

    def start(self, run: Planned) -> None:
        self.started.append(run.name)
        self._asked.append(run)

    def ended(self, timeout_s: float) -> list[tuple[Planned, Outcome]]:
        run = self._asked.popleft()
        return [(run, self.script[run.recipe.seed].popleft())]

    def close(self) -> None: ...


Here = Callable[[dict[int, list[Outcome]]], Scripted]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    """The tries of this machine, scripted."""

    def scripted(script: dict[int, list[Outcome]]) -> Scripted:
        tries = Scripted(script)
        monkeypatch.setattr(module, "InTurn", lambda workdir: tries)
        return tries

    return scripted


def runs(*seeds: int) -> tuple[Planned, ...]:
    return planned_runs("smoke", [f"seed={','.join(map(str, seeds))}"])[1]


def told(workdir: Path) -> Any:
    return json.loads((workdir / "sweeps/smoke/sweep.json").read_text())


def test_a_failed_run_hides_no_other_and_keeps_its_reason(here: Here, tmp_path: Path) -> None:
    here({0: [DONE], 1: [FAILED], 2: [DONE]})

    result = sweep("smoke", runs(0, 1, 2), tmp_path)

    assert [run.status for run in result.runs] == ["done", "failed", "done"]
    assert [run.name for run in result.failed] == ["smoke-seed-1"]
    failed = told(tmp_path)["runs"][1]
    assert (failed["status"], failed["error"], failed["exit_code"]) == ("failed", "nothing fits", 1)
    assert failed["figures"] is None


def test_a_killed_run_is_tried_again_and_the_book_counts_it(here: Here, tmp_path: Path) -> None:
    tries = here({0: [LOST, LOST, DONE], 1: [DONE]})
    heard: list[dict[str, JSON]] = []

    with listening(lambda kind, fields: heard.append(fields)):
        result = sweep("smoke", runs(0, 1), tmp_path)

    assert tries.started.count("smoke-seed-0") == 3
    assert [(run.status, run.lost, run.seconds) for run in result.runs] == [
        ("done", 2, 2.0), ("done", 0, 2.0)
    ]  # fmt: skip
    assert [each["text"] for each in heard if each["status"] == "again"] == [
        "killed; tried again"
    ] * 2


def test_what_is_killed_every_time_fails_after_three_tries(here: Here, tmp_path: Path) -> None:
    tries = here({0: [LOST] * 9, 1: [DONE]})

    result = sweep("smoke", runs(0, 1), tmp_path)

    assert tries.started.count("smoke-seed-0") == module.TRIES == 3
    assert [(run.status, run.lost) for run in result.runs] == [("failed", 3), ("done", 0)]


def test_on_a_cluster_runs_are_trained_first_and_those_that_failed_go_no_further(
    here: Here, tmp_path: Path
) -> None:
    local = here({0: [DONE], 2: [DONE]})
    trainers = Scripted({0: [LOST, DONE], 1: [FAILED], 2: [DONE]})
    order: list[str] = []

    @contextmanager
    def cluster() -> Iterator[Scripted]:
        yield trainers
        order.append(f"left with {len(local.started)} started here")

    result = sweep("smoke", runs(0, 1, 2), tmp_path, ahead=cluster())

    assert local.started == ["smoke-seed-0", "smoke-seed-2"]
    assert order == ["left with 0 started here"]  # nothing trains beside a measurement
    assert [(run.status, run.lost, run.seconds) for run in result.runs] == [
        ("done", 1, 4.0), ("failed", 0, 1.0), ("done", 0, 2.0 + 2.0)
    ]  # fmt: skip
    assert TRAINED == "quantize"


def test_an_interrupted_sweep_says_so_and_its_runs_wait(here: Here, tmp_path: Path) -> None:
    tries = here({0: [DONE], 1: []})

    def ended(timeout_s: float) -> list[tuple[Planned, Outcome]]:
        raise KeyboardInterrupt

    tries.ended = ended  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        sweep("smoke", runs(0, 1), tmp_path)

    assert told(tmp_path)["status"] == "interrupted"
    assert {run["status"] for run in told(tmp_path)["runs"]} == {"waiting"}


def test_what_a_run_writes_is_told_as_it_goes_on_and_an_earlier_try_is_not(
    here: Here, tmp_path: Path
) -> None:
    journal = tmp_path / "runs/smoke-seed-0/events.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text('{"event": "stage", "status": "run", "name": "search"}\n{"event": "st')
    tries = here({0: [DONE]})
    heard: list[dict[str, JSON]] = []
    ended = tries.ended

    def writes(timeout_s: float) -> list[tuple[Planned, Outcome]]:
        with journal.open("a") as file:  # the broken line of a killed run, then this one's
            file.write('{"event": "run"}\n{"event": "stage", "status": "run", "name": "teacher"}\n')
            file.write('{"event": "epoch", "label": "teacher", "epoch": 1, "epochs": 4}\n{"eve')
        return ended(timeout_s)

    tries.ended = writes  # type: ignore[method-assign]
    with listening(lambda kind, fields: heard.append(fields)):
        sweep("smoke", runs(0), tmp_path)

    assert [each["text"] for each in heard] == ["teacher", "teacher epoch 1/4", "2.0 s"]


def test_runs_that_share_no_teacher_begin_first() -> None:
    planned = planned_runs("smoke", ["seed=0,1", "budget.macs=700k,800k,900k"])[1]

    order = [(run.recipe.seed, run.recipe.budget.macs) for run in interleaved(planned)]

    assert order[:2] == [(0, 700_000), (1, 700_000)]
    assert order[2:4] == [(0, 800_000), (1, 800_000)]
    assert sorted(order) == sorted((run.recipe.seed, run.recipe.budget.macs) for run in planned)
