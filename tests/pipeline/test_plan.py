"""What reruns, what is reused, and the reason that is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgestill.models.errors import BadInput
from edgestill.pipeline.flow import FLOW
from edgestill.pipeline.plan import plan
from edgestill.pipeline.recipe_file import load_recipe

STAGES = [stage.name for stage in FLOW]


def decisions(workdir: Path, *changes: str) -> dict[str, str]:
    """{stage: why} of the stages that would run."""
    steps = plan(load_recipe("smoke", changes), workdir)
    return {step.stage.name: step.why for step in steps if step.artifact is None}


def test_a_fresh_directory_runs_everything(tmp_path: Path) -> None:
    why = decisions(tmp_path / "work")

    assert list(why) == STAGES
    assert why["teacher"] == "no artifact yet"
    assert why["shortlist"] == "after teacher, search"
    assert why["distill"] == "after teacher, shortlist"


def test_a_finished_run_is_reused_whole(finished: Path) -> None:
    assert decisions(finished) == {}


@pytest.mark.parametrize(
    ("change", "first", "reason", "kept"),
    [
        (
            "quantize.epochs=2",
            "quantize",
            "quantize.epochs 1 -> 2",
            ["teacher", "search", "shortlist", "distill"],
        ),
        ("profile.on.0.threads=2", "profile", "profile.on.0.threads 1 -> 2", ["export", "check"]),
        ("data.test_limit=100", "report", "data.test_limit none -> 100", STAGES[:-1]),
        ("data.batch_size=16", "teacher", "data.batch_size 32 -> 16", ["search"]),
        ("check.top1_drop=0.2", "check", "check.top1_drop 0.05 -> 0.2", ["export", "profile"]),
        ("budget.macs=850k", "search", "budget.macs 900000 -> 850000", ["teacher"]),
        ("seed=1", "teacher", "seed 0 -> 1", ["search"]),
        ("student.shortlist=2", "search", "student.shortlist 1 -> 2", ["teacher"]),
        ("distill.lr=0.05", "shortlist", "distill.lr 0.1 -> 0.05", ["teacher", "search"]),
        ("data.flip=true", "teacher", "data.flip False -> True", ["search"]),
        ("data.image_size=18", "search", "data.image_size 16 -> 18", []),
        ("name=other", "report", "no artifact yet", STAGES[:-1]),
    ],
)
def test_one_change_reruns_what_depends_on_it_and_says_why(
    finished: Path, change: str, first: str, reason: str, kept: list[str]
) -> None:
    why = decisions(finished, change)

    assert reason in why[first]
    assert not set(kept) & set(why)


def test_what_depends_on_a_stage_waits_for_it(finished: Path) -> None:
    why = decisions(finished, "export.targets=['ort-x86']")

    assert list(why) == ["export", "check", "profile", "report"]
    assert why["check"] == "after export"
    assert why["report"] == "after export, check, profile"


def test_planning_makes_nothing(finished: Path, tmp_path: Path) -> None:
    before = sorted(finished.rglob("*"))

    decisions(finished, "seed=7")
    decisions(tmp_path / "work")

    assert sorted(finished.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []


def test_where_the_data_lie_and_what_is_tested_are_no_part_of_a_training_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("here", "there"):
        for split in ("train", "test"):
            (tmp_path / folder / split / "cat").mkdir(parents=True)
            (tmp_path / folder / split / "cat/1.jpg").write_bytes(split.encode())

    def key(source: str) -> str | None:
        recipe = load_recipe("smoke", [f"data.source={source}"])
        return next(iter(plan(recipe, tmp_path / "work"))).key

    first = key("imagefolder:here")
    (tmp_path / "here/test/cat/1.jpg").write_bytes(b"another test picture")
    retested = key("imagefolder:here")
    moved = key("imagefolder:there")
    (tmp_path / "there/train/cat/1.jpg").write_bytes(b"other")

    assert moved == retested == first
    assert key("imagefolder:there") != first


def test_a_teachers_own_files_are_part_of_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text("def net(num_classes): ...\n")
    Path("t.safetensors").write_bytes(b"one")
    changes = ["teacher.model=nets:net", "teacher.checkpoint=t.safetensors"]

    def key() -> str | None:
        steps = plan(load_recipe("smoke", changes), tmp_path / "work")
        return next(step.key for step in steps if step.stage.name == "teacher")

    first = key()
    Path("t.safetensors").write_bytes(b"two")
    second = key()
    Path("nets.py").write_text("def net(num_classes): return None\n")

    assert len({first, second, key()}) == 3


def test_the_table_of_a_budgets_device_is_part_of_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = Path("orin.json")
    table.write_text("{}")
    changes = ["budget.latency_ms=2", "budget.device=orin.json"]

    def key() -> str | None:
        return next(iter(plan(load_recipe("smoke", changes), tmp_path / "work"))).key

    first, again = key(), key()
    table.write_text("{ }")

    assert first == again
    assert key() != first


def test_a_table_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    changes = ["budget.latency_ms=2", "budget.device=absent.json"]

    with pytest.raises(BadInput, match=r"absent\.json: cannot be read"):
        list(plan(load_recipe("smoke", changes), tmp_path / "work"))
