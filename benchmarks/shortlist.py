"""What a shortlist is worth: its winner against the largest that fits, and plain width scaling.

    python benchmarks/shortlist.py --data parquet:DIR [--macs 2M] [--seeds 4] [--first-seed 0]
                                   [--jobs 2] [--count 4] [--first-epochs 2] [--epochs 15]
                                   [--losers] [--train-limit N] [--work DIR] [--json FILE]

At the CPU scale of benchmarks/accuracy.py (16x16 CIFAR-10 images, 18,000 of them, a WRN16-1 that
teaches with the shipped losses) and a budget of MACs alone. For each seed the shortlist is trained
by the functions of stage shortlist, and its winner chosen by the validation images. Then winner,
largest and the widest WRN10 of one width factor that fits are trained for --epochs from that seed,
side by side: same views, same order, one forward pass of the teacher. The last epoch counts and the
test images are read once, after it; differences are paired by seed. --losers trains the rest of the
shortlist as well, to tell how good the choice was. Students are trained in what precision = "auto"
takes. Every epoch leaves a checkpoint in --work: started again, the command goes on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accuracy import (
    RIVALS,
    SCALES,
    Scale,
    error_percent,
    open_scale,
    recipe_losses,
    train_teacher,
)
from paired import compared, print_table
from side_by_side import tell, train_side_by_side
from surroundings import environment

from edgestill.models.budget import Budget, parse_quantity
from edgestill.models.families import Spec, describe
from edgestill.models.search import Candidate, search
from edgestill.models.shortlist import shortlist
from edgestill.models.wideresnet import WideResNet
from edgestill.pipeline.halving import cost_in_epochs
from edgestill.pipeline.recipe import Recipe, Training
from edgestill.pipeline.stages.shortlist import POOL

if TYPE_CHECKING:
    from torch import nn

    from edgestill.pipeline.brief_training import Tried

LOSSES = RIVALS["shipped default"]
WINNER, LARGEST = "shortlist's winner", "largest that fits"
DEPTHS = (10,)
"""That of the scale's own student."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All that steers the training of a seed."""

    source: str
    macs: int
    count: int
    first_epochs: int
    losers: bool
    train_limit: int
    epochs: int

    @property
    def scale(self) -> Scale:
        cpu = SCALES["cpu"]
        return replace(cpu, data={**cpu.data, "train_limit": self.train_limit})

    def teacher_folder(self, work: Path) -> Path:
        return work / _digest([repr(self.scale), self.source])

    def folder(self, work: Path, seed: int) -> Path:
        return self.teacher_folder(work) / _digest(asdict(self)) / f"seed-{seed}"


def main() -> int:
    """Train what is missing, then print and write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True, help="as data.source of a recipe")
    parser.add_argument("--macs", type=parse_quantity, default=2_000_000)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="seeds trained at once")
    parser.add_argument("--count", type=int, default=4, help="networks of the shortlist")
    parser.add_argument("--first-epochs", type=int, default=2, help="of the first rung")
    parser.add_argument("--epochs", type=int, default=SCALES["cpu"].epochs, help="to the end")
    parser.add_argument("--losers", action="store_true")
    parser.add_argument("--train-limit", type=int, default=SCALES["cpu"].data["train_limit"])
    parser.add_argument("--work", type=Path, default=Path("edgestill-work/shortlist"))
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()

    told = Comparison(
        source=wanted.data,
        macs=wanted.macs,
        count=wanted.count,
        first_epochs=wanted.first_epochs,
        losers=wanted.losers,
        train_limit=wanted.train_limit,
        epochs=wanted.epochs,
    )
    teacher = train_teacher(told.scale, told.source, told.teacher_folder(wanted.work), "test")
    one = partial(train_seed, told, wanted.work)
    with ProcessPoolExecutor(wanted.jobs, multiprocessing.get_context("spawn")) as pool:
        wanted_seeds = range(wanted.first_seed, wanted.first_seed + wanted.seeds)
        seeds = dict(zip(wanted_seeds, pool.map(one, wanted_seeds), strict=True))
    references = (LARGEST, *(f"width scaling, WRN-{depth}" for depth in DEPTHS))
    found = compared([seed["arms"] for seed in seeds.values()], references)
    print_table(found, f"error on the test images, {len(seeds)} seeds (teacher: {teacher:.2f} %)")
    if wanted.json:
        written = {
            "command": f"python benchmarks/shortlist.py --data {told.source.partition(':')[0]}:DIR"
            f" --macs {told.macs} --seeds {wanted.seeds} --first-seed {wanted.first_seed}"
            f" --jobs {wanted.jobs} --count {told.count}"
            f" --first-epochs {told.first_epochs} --epochs {told.epochs}"
            f"{' --losers' if told.losers else ''}",
            "date": datetime.now(UTC).date().isoformat(),
            "networks": {name: row(spec) for name, spec in scaled(told).items()},
            "teacher_error_percent": teacher,
            "epochs": {
                "shortlist": cost_in_epochs(told.count, told.first_epochs),
                "final": told.epochs,
            },
            "seeds": seeds,
            "compared": found,
            **environment(),
        }
        wanted.json.write_text(json.dumps(written, indent=2) + "\n")
    return 0


def train_seed(told: Comparison, work: Path, seed: int) -> dict[str, Any]:
    """The shortlist of a seed, and the test errors in % of all that was trained to the end."""
    import torch

    from edgestill.models.checkpoints import load_weights
    from edgestill.models.student import build
    from edgestill.pipeline.events import listening

    folder = told.folder(work, seed)
    if (folder / "test.json").exists():
        return dict(json.loads((folder / "test.json").read_text()))
    folder.mkdir(parents=True, exist_ok=True)
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    teacher = build(told.scale.teacher, seed=0)
    teacher.load_state_dict(load_weights(told.teacher_folder(work) / "teacher.safetensors"))
    with listening(tell):
        found = choose(told, teacher, folder, seed)
    winner = next(each.candidate.spec for each in found if each.course.won)
    # By network and not by way: where two ways come to one network, it is trained once.
    arms = {WINNER: winner, LARGEST: found[0].candidate.spec, **scaled(told)}
    if told.losers:
        arms |= {f"tried: {describe(each.candidate.spec)}": each.candidate.spec for each in found}
    data = open_scale(told.scale, told.source)
    students = {
        spec: build(spec, seed=seed).to(data.device) for spec in dict.fromkeys(arms.values())
    }
    train_side_by_side(
        {describe(spec): student for spec, student in students.items()},
        {describe(spec): recipe_losses(LOSSES) for spec in students},
        teacher,
        data,
        Training(epochs=told.epochs, **told.scale.training),
        state=folder / "fit.safetensors",
        seed=seed,
    )
    errors = {spec: error_percent(student, data, "test") for spec, student in students.items()}
    seen = {
        "winner": describe(winner),
        "shortlist": [{**row(each.candidate.spec), **each.course.told()} for each in found],
        "arms": {name: errors[spec] for name, spec in arms.items()},
    }
    (folder / "test.json").write_text(json.dumps(seen))
    return seen


def choose(told: Comparison, teacher: nn.Module, folder: Path, seed: int) -> Sequence[Tried]:
    """The shortlist after its halving, the largest first."""
    from edgestill.models.fold import feature_paths
    from edgestill.pipeline.brief_training import tried
    from edgestill.pipeline.inputs import Inputs, OpenOnce
    from edgestill.pipeline.lessons import Instructor
    from edgestill.pipeline.teaching import frozen_teacher

    recipe = Recipe.model_validate_json(
        json.dumps(
            {
                "name": "shortlist",
                "seed": seed,
                "data": {"source": told.source, **told.scale.data},
                "budget": {"macs": told.macs},
                "student": {"shortlist": told.count, "shortlist_epochs": told.first_epochs},
                "distill": {"losses": LOSSES, **told.scale.training},
            }
        )
    )
    inputs = Inputs(artifacts={}, scratch=folder, _open=OpenOnce(recipe))
    blocks = tuple(feature_paths(teacher))
    frozen = frozen_teacher(teacher, blocks, inputs.data.device)
    return tried(drawn(told), Instructor(network=frozen, blocks=blocks), inputs, recipe)


def drawn(told: Comparison) -> tuple[Candidate, ...]:
    """The shortlist, as stage shortlist draws it."""
    budget = Budget(macs=told.macs)
    size = told.scale.student.image_size
    found = search("wideresnet", budget, num_classes=10, image_size=size, top=POOL)
    return shortlist(found.best, told.count, budget)


def scaled(told: Comparison) -> dict[str, Spec]:
    """By way: one depth, all widths times one number, the widest that fits."""
    size, found = told.scale.student.image_size, dict[str, Spec]()
    for depth in DEPTHS:
        widths = [percent / 100 for percent in range(7, 400)]
        specs = [WideResNet.scaled(depth=depth, width=width, image_size=size) for width in widths]
        found[f"width scaling, WRN-{depth}"] = [
            spec for spec in specs if spec.cost().macs <= told.macs
        ][-1]
    return found


def row(spec: Spec) -> dict[str, Any]:
    cost = spec.cost()
    return {"spec": describe(spec), "macs": cost.macs, "params": cost.params}


def _digest(value: list[Any] | Mapping[str, Any]) -> str:
    return sha256(json.dumps(value).encode()).hexdigest()[:8]


if __name__ == "__main__":
    sys.exit(main())
