"""Candidates under brief training: each by itself, all on the same terms, rung after rung."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgestill.models.search import Candidate
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet
from edgestill.pipeline.batches import Batches
from edgestill.pipeline.brief_training import Tried, shortened, tried
from edgestill.pipeline.inputs import Inputs, OpenOnce
from edgestill.pipeline.lessons import Instructor
from edgestill.pipeline.recipe import Distill
from edgestill.pipeline.recipe_file import load_recipe
from edgestill.pipeline.teaching import frozen_teacher

RECIPE = load_recipe("smoke", ("data.train_limit=160", "student.shortlist_epochs=1", "device=cpu"))
OPENED = OpenOnce(RECIPE)
BLOCKS = ("stage1", "stage2", "stage3")


def candidate(*widths: int) -> Candidate:
    first, second, third = widths
    spec = WideResNet(
        blocks=(1, 1, 1), widths=(first, second, third), num_classes=10, image_size=16
    )
    return Candidate(spec, spec.cost(), {})


SMALL, EVEN, LATE = candidate(8, 8, 8), candidate(8, 8, 16), candidate(8, 8, 32)


@pytest.fixture(scope="module")
def instructor() -> Instructor:
    network = build(WideResNet(num_classes=10, image_size=16), seed=3)
    device = OPENED().device
    return Instructor(network=frozen_teacher(network, BLOCKS, device), blocks=BLOCKS)


def courses(folder: Path, instructor: Instructor, *candidates: Candidate) -> list[Tried]:
    folder.mkdir(exist_ok=True)
    inputs = Inputs(artifacts={}, scratch=folder, _open=OPENED)
    return tried(candidates, instructor, inputs, RECIPE)


def test_what_a_candidate_comes_to_does_not_depend_on_who_else_is_tried(
    instructor: Instructor, tmp_path: Path
) -> None:
    first = courses(tmp_path / "one", instructor, SMALL, EVEN)
    second = courses(tmp_path / "two", instructor, LATE, EVEN, SMALL)

    assert first[1].course.rungs[0] == second[1].course.rungs[0]
    assert first[0].course.rungs[0] == second[2].course.rungs[0]
    assert [each.candidate for each in second] == [LATE, EVEN, SMALL]
    assert second[0].description["spec"]["widths"] == [8, 8, 32]


def test_each_rung_goes_on_from_the_one_before_it_with_other_views(
    instructor: Instructor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    epoch = Batches.epoch

    def watched(self: Batches, index: int, *, seed: int | None = None) -> Iterator[object]:
        if self.shuffle:
            asked.append(index)
        return epoch(self, index, seed=seed)

    monkeypatch.setattr(Batches, "epoch", watched)
    courses(tmp_path, instructor, SMALL, EVEN, LATE)

    # Three train for one epoch each, then two of them for two more.
    assert asked == [0, 0, 0, 1, 2, 1, 2]


def test_a_rung_has_the_recipes_schedule_at_its_own_length() -> None:
    settings = Distill(epochs=200, schedule="multistep", warmup_epochs=5.0, lr=0.2)

    short = shortened(settings, 2)

    assert (short.epochs, short.warmup_epochs) == (2, 0.5)
    assert (short.schedule, short.milestones, short.lr) == ("multistep", settings.milestones, 0.2)
    assert short.losses == settings.losses
    assert shortened(settings, 40).warmup_epochs == 5.0
