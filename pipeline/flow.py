"""The flow: every stage, what it needs and which parts of the recipe it reads. Start reading here.

A stage is a module `stages/<name>.py` with `run(inputs, settings, out) -> metrics`. It gets the
folders of the artifacts it needs, its parts of the recipe, and an empty folder to leave files in.
What it does not declare here it cannot read, so a key never misses what the stage depends on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the flow, as data."""

    name: str
    version: int = 1
    """Rises when the same inputs and settings would give other files than before."""
    needs: tuple[str, ...] = ()
    """Stages whose artifacts it takes."""
    reads: tuple[str, ...] = ()
    """Parts of the recipe it reads, dotted; a change in one of them makes it run again."""
    data: tuple[Literal["train", "test"], ...] = ()
    """The splits of the data set that it reads; validation is a part of train."""
    trains: bool = False
    """Whether all processes of a run take part; the first alone does the others."""
    on_device: bool = False
    """Whether its result belongs to the machine and the runtime that it was made with."""


# Where the data lie is no part of a key; their content is, as an input.
_SPLITS = tuple(
    f"data.{key}"
    for key in ("image_size", "resize", "validation", "test", "split_seed", "train_limit")
)
_IMAGES = (*_SPLITS, "data.batch_size", "data.mean", "data.std")
_TRAINING = ("seed", "device", *_IMAGES, "data.crop", "data.flip")

FLOW = (
    # First, since it is over in a second and a budget may have no answer.
    Stage(name="search", reads=("data.image_size", "budget", "student"), data=("train",)),
    Stage(name="teacher", version=2, reads=(*_TRAINING, "teacher"), data=("train",), trains=True),
    # Of what fits, the one that learns best; the largest at once where nothing is to be compared.
    Stage(
        name="shortlist",
        needs=("teacher", "search"),
        reads=(*_TRAINING, "budget", "student", "distill"),
        data=("train",),
        trains=True,
    ),
    Stage(
        name="distill",
        version=3,
        needs=("teacher", "shortlist"),
        reads=(*_TRAINING, "distill"),
        data=("train",),
        trains=True,
    ),
    Stage(
        name="quantize",
        version=3,
        needs=("teacher", "shortlist", "distill"),
        reads=(*_TRAINING, "distill.losses", "quantize"),
        data=("train",),
        trains=True,
    ),
    Stage(
        name="export",
        version=3,
        needs=("teacher", "shortlist", "distill", "quantize"),
        reads=(*_IMAGES, "export"),
        data=("train",),
        on_device=True,
    ),
    Stage(
        name="check",
        version=2,
        needs=("export",),
        reads=(*_IMAGES, "check"),
        data=("train",),
        on_device=True,
    ),
    Stage(name="profile", version=2, needs=("export",), reads=("profile",), on_device=True),
    Stage(
        name="report",
        version=3,
        needs=("teacher", "shortlist", "distill", "quantize", "export", "check", "profile"),
        reads=("name", "device", *_IMAGES, "data.test_limit", "budget"),
        data=("train", "test"),
        on_device=True,
    ),
)


def upto(name: str | None) -> tuple[Stage, ...]:
    """The flow, ending with the stage `name`; all of it for None.

    >>> [stage.name for stage in upto("distill")]
    ['search', 'teacher', 'shortlist', 'distill']
    """
    names = [stage.name for stage in FLOW]
    return FLOW if name is None else FLOW[: names.index(name) + 1]
