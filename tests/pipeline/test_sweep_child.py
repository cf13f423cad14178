"""One run of a sweep in its own process: every end of it is told in one line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from edgestill.pipeline import sweep_child as module
from edgestill.pipeline.manifest import verify
from edgestill.pipeline.recipe import Recipe
from edgestill.pipeline.recipe_file import load_recipe
from edgestill.pipeline.sweep_child import Outcome, attempt
from edgestill.pipeline.sweep_turns import CHILD


def test_a_run_that_fails_gives_its_line_and_its_exit_code(tmp_path: Path) -> None:
    recipe = load_recipe("smoke", ["budget.macs=1k"])

    outcome = Outcome.from_json(attempt(recipe.model_dump_json(), str(tmp_path), None))

    assert outcome.exit_code == 1
    assert outcome.error is not None and "budget.macs = 1,000 binds" in outcome.error
    assert "\n" not in outcome.error
    assert not outcome.lost and not outcome.reported


def test_a_fault_of_ours_is_told_and_its_traceback_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(recipe: Recipe, workdir: Path, **_: object) -> None:
        (workdir / "runs/smoke").mkdir(parents=True)
        raise KeyError("here")

    monkeypatch.setattr(module, "run", broken)

    recipe = load_recipe("smoke").model_dump_json()
    outcome = Outcome.from_json(attempt(recipe, str(tmp_path), None))

    trace = tmp_path / "runs/smoke/traceback.txt"
    assert outcome.exit_code == 70
    assert outcome.error == f"a fault of edgestill itself: KeyError('here'); see {trace}"
    assert "in broken" in trace.read_text()


def test_a_run_whose_check_failed_has_failed_and_has_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checked(recipe: Recipe, workdir: Path, **_: object) -> object:
        class Result:
            failed_checks = ("top1_drop: 0.2",)
            artifacts = {"report": None}  # noqa: RUF012

        return Result()

    monkeypatch.setattr(module, "run", checked)

    recipe = load_recipe("smoke").model_dump_json()
    outcome = Outcome.from_json(attempt(recipe, str(tmp_path), None))

    assert outcome.exit_code == 1
    assert outcome.error == "the check failed: top1_drop: 0.2"
    assert outcome.reported


def test_two_runs_at_once_make_their_teacher_once(tmp_path: Path) -> None:
    names = ("first", "second")
    children = []
    for name in names:
        changes = [f"name={name}", "teacher.epochs=1", "data.image_size=8"]
        asked = {
            "recipe": load_recipe("smoke", changes).model_dump_json(),
            "workdir": str(tmp_path),
            "until": "teacher",
        }
        child = subprocess.Popen(CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdin is not None
        child.stdin.write(json.dumps(asked) + "\n")
        child.stdin.flush()
        children.append(child)
    outcomes = [
        Outcome.from_json(child.stdout.read()) for child in children if child.stdout is not None
    ]
    for child in children:
        child.communicate()

    events = [
        json.loads(line)
        for name in names
        for line in (tmp_path / f"runs/{name}/events.jsonl").read_text().splitlines()
    ]
    teachers = [each for each in events if each.get("name") == "teacher"]
    assert [outcome.exit_code for outcome in outcomes] == [0, 0]
    assert sorted(each["status"] for each in teachers) == ["done", "reuse", "run"]
    assert len({verify(tmp_path / "runs" / name / "teacher").key for name in names}) == 1
