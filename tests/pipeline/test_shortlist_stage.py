"""Stage shortlist in the flow: what it leaves, what it passes on, and that kills change nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgestill.pipeline.divergence import Diverged
from edgestill.pipeline.events import listening
from edgestill.pipeline.manifest import read_manifest
from edgestill.pipeline.plan import plan
from edgestill.pipeline.recipe_file import load_recipe
from edgestill.pipeline.run import run

TINY = (
    "data.train_limit=160",
    "teacher.epochs=1",
    "distill.epochs=1",
    "student.shortlist=4",
    "student.shortlist_epochs=1",
)


def shortlisted(workdir: Path, *changes: str) -> Path:
    """The artifact of a tiny run's shortlist."""
    recipe = load_recipe("smoke", (*TINY, *changes))
    return run(recipe, workdir, until="shortlist").folder / "shortlist"


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work directory in which four were tried and nobody disturbed it."""
    folder = tmp_path_factory.mktemp("tried") / "work"
    shortlisted(folder)
    return folder


@pytest.fixture
def left(work: Path) -> Path:
    """The artifact that was left there."""
    return work / "runs/smoke/shortlist"


def test_four_are_tried_two_stay_and_one_is_chosen(left: Path) -> None:
    tried = [each for each in read(left, "candidates.json") if "rungs" in each]

    assert [len(each["rungs"]) for each in tried].count(2) == 2
    assert sorted(str(each["dropped_after_epochs"]) for each in tried) == ["1", "1", "3", "None"]
    (chosen,) = [each for each in tried if each["chosen"]]
    assert chosen["dropped_after_epochs"] is None
    assert chosen["rungs"][-1]["error"] == min(
        each["rungs"][-1]["error"] for each in tried if len(each["rungs"]) == 2
    )
    assert all(each["why"] for each in tried)


def test_the_chosen_one_is_handed_on_with_its_own_cost(left: Path) -> None:
    (chosen,) = [each for each in read(left, "candidates.json") if each["chosen"]]
    metrics = read_manifest(left).metrics

    assert metrics["student"] == chosen["spec"]
    assert (metrics["macs"], metrics["params"]) == (chosen["macs"], chosen["params"])
    assert len(read(left, "student.json")["blocks"]) == 3
    assert read(left, "student.json")["spec"]["family"] == "wideresnet"


def test_the_largest_is_among_those_tried_and_nothing_is_listed_twice(left: Path) -> None:
    rows = read(left, "candidates.json")

    assert rows[0]["spec"] == read_manifest(left.parent / "search").metrics["student"]
    assert "rungs" in rows[0]
    assert len({each["spec"] for each in rows}) == len(rows)
    assert {each["fits"] for each in rows} == {True, False}


def test_interrupted_anywhere_it_goes_on_and_ends_with_the_same_bytes(
    work: Path, left: Path, tmp_path: Path
) -> None:
    for stage in ("search", "teacher"):
        shutil.copytree(work / "store" / stage, tmp_path / "store" / stage)
    for stop in (Stop("epoch", 1), Stop("progress", 4), Stop("epoch", 2), Stop("epoch", 3)):
        with listening(stop), pytest.raises(Stopped):
            shortlisted(tmp_path)

    again = shortlisted(tmp_path)

    for name in ("student.json", "candidates.json"):
        assert (again / name).read_bytes() == (left / name).read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        ("student.shortlist=1",),
        ("student.model=torchvision:mobilenet_v3_small", "budget.macs=1G", "budget.params=10M"),
    ],
)
def test_one_alone_or_a_fixed_network_is_passed_through_untrained(
    tmp_path: Path, changes: tuple[str, ...]
) -> None:
    heard: list[Any] = []
    with listening(lambda kind, fields: heard.append((kind, fields.get("label")))):
        folder = shortlisted(tmp_path, *changes)

    assert {label for kind, label in heard if kind == "epoch"} == {"teacher"}
    for name in ("student.json", "candidates.json"):
        assert (folder / name).read_bytes() == (folder.parent / "search" / name).read_bytes()


def test_if_the_training_of_all_diverges_the_run_says_so(tmp_path: Path) -> None:
    notes: list[str] = []
    with (
        listening(lambda kind, fields: notes.append(str(fields.get("text")))),
        pytest.raises(Diverged, match=r"shortlist WRN.* diverged: .*; try lr below"),
    ):
        shortlisted(tmp_path, "distill.lr=1e9")

    assert sum("it leaves the shortlist" in note for note in notes) == 4


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ("student.shortlist_epochs=2", "search"),
        ("distill.lr=0.05", "shortlist"),
        ("teacher.lr=0.05", "teacher"),
        ("quantize.epochs=2", "distill"),  # none was made yet
    ],
)
def test_a_change_in_what_it_reads_makes_it_run_again(work: Path, change: str, first: str) -> None:
    steps = plan(load_recipe("smoke", (*TINY, change)), work)

    assert next(step.stage.name for step in steps if step.artifact is None) == first


class Stopped(BaseException):
    """As a kill: nothing may catch it."""


class Stop:
    """Ends the run at the `number`th event of a kind."""

    def __init__(self, kind: str, number: int) -> None:
        self.kind, self.left = kind, number

    def __call__(self, kind: str, fields: dict[str, Any]) -> None:
        self.left -= kind == self.kind
        if self.left == 0:
            raise Stopped
