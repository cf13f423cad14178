"""What each distillation loss is worth: students of one seed trained side by side, then compared.

    python benchmarks/accuracy.py --data parquet:DIR [--scale cpu|paper] [--seeds 10] [--jobs 2]
                                  [--rivals gkd,kd] [--precision auto|float32|bfloat16]
                                  [--against FILE] [--validation] [--work DIR] [--json FILE]

--scale cpu: WRN16-1 teaches WRN10-0.5 on 16x16 CIFAR-10 images, 18,000 of them, 15 epochs; about
an hour on two cores for ten seeds. --scale paper: WRN28-1 teaches WRN28-0.5 on the schedule of
Lassance et al. 2020 (200 epochs, 32x32, all training images but 100); for a GPU, on which --jobs
seeds run at once.

All students of a seed start from the same weights, see the same views in the same order and share
one forward pass of the teacher; they have no parameter in common, so the gradient of the sum of
their losses is each one's own. Hence the differences are paired. The last epoch counts, and the
test images are read once, after it; --validation compares on the validation split instead, to
choose settings without the test images. --precision is what distilling computes in, as in a recipe;
the teacher is trained in float32, so that all have the same one. --against compares, by seed, with
what an earlier run wrote, such as one of another precision. Every epoch leaves a checkpoint in
--work: started again, the command goes on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from paired import compared, interval, paired, print_table
from side_by_side import tell, train_side_by_side
from surroundings import environment

from edgestill.models.wideresnet import WideResNet
from edgestill.pipeline.recipe import DataSettings, Distill, Training

if TYPE_CHECKING:
    import torch

    from edgestill.pipeline.data import Data

Errors = Mapping[str, float]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Two networks, their images and their schedule."""

    teacher: WideResNet
    student: WideResNet
    data: Mapping[str, Any]
    training: Mapping[str, Any]
    teacher_epochs: int
    epochs: int


SCALES = {
    "cpu": Scale(
        teacher=WideResNet.scaled(depth=16, width=1.0, image_size=16),
        student=WideResNet.scaled(depth=10, width=0.5, image_size=16),
        data={"image_size": 16, "crop": 2, "train_limit": 20_000, "validation": 0.1},
        training={"lr": 0.2, "schedule": "cosine", "warmup_epochs": 3.0},
        teacher_epochs=30,
        epochs=15,
    ),
    "paper": Scale(
        teacher=WideResNet.scaled(depth=28, width=1.0),
        student=WideResNet.scaled(depth=28, width=0.5),
        data={
            "mean": (0.4914, 0.4822, 0.4465),
            "std": (0.2023, 0.1994, 0.2010),
            "validation": 0.002,
        },
        training={
            "lr": 0.1,
            "nesterov": False,
            "schedule": "multistep",
            "milestones": (0.3, 0.6, 0.8),
            "gamma": 0.2,
            "warmup_epochs": 0.0,
        },
        teacher_epochs=200,
        epochs=200,
    ),
}

LABELS = {"name": "cross_entropy", "weight": 1.0}
FEW_LABELS = {"name": "cross_entropy", "weight": 0.1}
RIVALS: dict[str, list[dict[str, Any]]] = {
    "no distillation": [LABELS],
    "kd": [FEW_LABELS, {"name": "kd"}],
    "lskd": [FEW_LABELS, {"name": "lskd"}],
    "rkd_distance": [LABELS, {"name": "rkd_distance"}],
    "sp": [LABELS, {"name": "sp"}],
    "dist": [LABELS, {"name": "dist"}],
    "gkd": [LABELS, {"name": "gkd"}],
    "gkd + kd": [FEW_LABELS, {"name": "gkd"}, {"name": "kd"}],
    "shipped default": Distill().model_dump(mode="json")["losses"],
}
"""Losses of a recipe, by the name in the table; a weight that is not given is the published one."""


def main() -> int:
    """Train what is missing, then print and write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True, help="as data.source of a recipe")
    parser.add_argument("--scale", choices=SCALES, default="cpu")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="seeds trained at once")
    parser.add_argument("--rivals", help="names, separated by commas; or a JSON file of them")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--against", type=Path, help="what --json of an earlier run wrote")
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--work", type=Path, default=Path("edgestill-work/accuracy"))
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()

    scale, rivals = SCALES[wanted.scale], _rivals(wanted.rivals)
    split = "validation" if wanted.validation else "test"
    work = work_of(wanted)
    teacher = train_teacher(scale, wanted.data, work, split)
    one_seed = partial(train_students, scale, wanted.data, work, rivals, split, wanted.precision)
    seeds = range(wanted.first_seed, wanted.first_seed + wanted.seeds)
    with ProcessPoolExecutor(wanted.jobs, multiprocessing.get_context("spawn")) as pool:
        errors = dict(zip(seeds, pool.map(one_seed, seeds), strict=True))
    found = compared(list(errors.values()), REFERENCES)
    print_table(
        found, f"error on the {split} images, {len(errors)} seeds (teacher: {teacher:.2f} %)"
    )
    earlier = minus_earlier(errors, wanted.against) if wanted.against else None
    for name, difference in (earlier or {}).items():
        print(f"{name}, minus {wanted.against}: {interval(difference)}")
    if wanted.json:
        told = {
            "command": command(wanted),
            "date": datetime.now(UTC).date().isoformat(),
            "split": split,
            "losses": rivals,
            "teacher_error_percent": teacher,
            "error_percent": errors,
            "compared": found,
            "precision": precision_of(wanted.precision),
            "minus_earlier": earlier,
            **environment(),
        }
        wanted.json.write_text(json.dumps(told, indent=2) + "\n")
    return 0


def train_teacher(scale: Scale, source: str, work: Path, split: str) -> float:
    """The teacher's error in %; its weights go to `work`."""
    from edgestill.models.checkpoints import save_weights
    from edgestill.models.student import build
    from edgestill.pipeline.events import listening
    from edgestill.pipeline.fit import fit
    from edgestill.pipeline.training import cross_entropy

    told = work / f"teacher-{split}.json"
    if told.exists():
        return float(json.loads(told.read_text()))
    work.mkdir(parents=True, exist_ok=True)
    data = open_scale(scale, source)
    teacher = build(scale.teacher, seed=0).to(data.device)
    with listening(tell):
        fit(
            teacher,
            data.train.seeded(0),
            cross_entropy(teacher),
            Training(epochs=scale.teacher_epochs, precision="float32", **scale.training),
            state=work / "teacher.fit.safetensors",
            seed=0,
            device=data.device,
            label="teacher",
        )
    save_weights(work / "teacher.safetensors", teacher)
    error = error_percent(teacher, data, split)
    told.write_text(json.dumps(error))
    return error


def train_students(
    scale: Scale,
    source: str,
    work: Path,
    rivals: Mapping[str, Sequence[Mapping[str, Any]]],
    split: str,
    precision: Precision,
    seed: int,
) -> Errors:
    """The error in % of every rival's student after its last epoch."""
    import torch

    from edgestill.models.checkpoints import load_weights, save_weights
    from edgestill.models.student import build

    folder = folder_of(work, rivals, seed, precision)
    if (folder / f"{split}.json").exists():
        return dict(json.loads((folder / f"{split}.json").read_text()))
    folder.mkdir(parents=True, exist_ok=True)
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    data = open_scale(scale, source)
    plain = build(scale.teacher, seed=0)
    plain.load_state_dict(load_weights(work / "teacher.safetensors"))
    students = {name: build(scale.student, seed=seed).to(data.device) for name in rivals}
    train_side_by_side(
        students,
        {name: recipe_losses(losses) for name, losses in rivals.items()},
        plain,
        data,
        Training(epochs=scale.epochs, precision=precision, **scale.training),
        state=folder / "fit.safetensors",
        seed=seed,
    )
    for name, student in students.items():
        save_weights(folder / f"{name.replace(' ', '')}.safetensors", student)
    errors = {name: error_percent(student, data, split) for name, student in students.items()}
    (folder / f"{split}.json").write_text(json.dumps(errors))
    return errors


def command(wanted: argparse.Namespace) -> str:
    """What was run, without the names of folders."""
    options = [f"--scale {wanted.scale}", f"--seeds {wanted.seeds}", f"--jobs {wanted.jobs}"]
    options += [f"--rivals '{wanted.rivals}'"] if wanted.rivals else []
    options += [f"--precision {wanted.precision}"]
    options += ["--validation"] if wanted.validation else []
    source = f"{wanted.data.partition(':')[0]}:DIR"
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", "--data", source, *options])


def work_of(wanted: argparse.Namespace) -> Path:
    """Where all of one scale and source lie; another scale, or the same changed, lies elsewhere."""
    return Path(wanted.work) / _digest([repr(SCALES[wanted.scale]), wanted.data])


def folder_of(
    work: Path, rivals: Mapping[str, Any], seed: int, precision: Precision = "auto"
) -> Path:
    """Where the students of a seed lie; other losses, or another precision, have another place."""
    return work / _digest([rivals, precision]) / f"seed-{seed}"


def _digest(value: Any) -> str:
    return sha256(json.dumps(value).encode()).hexdigest()[:8]


REFERENCES = ("no distillation", "kd", "gkd", "shipped default")


def minus_earlier(
    errors: Mapping[int, Errors], earlier: Path
) -> dict[str, dict[str, float | None]]:
    """Of each rival, the errors minus those that --json wrote at `earlier`, paired by seed."""
    then = json.loads(earlier.read_text())["error_percent"]
    both = [seed for seed in errors if str(seed) in then]
    names = [name for name in errors[both[0]] if name in then[str(both[0])]]
    return {
        name: paired([errors[seed][name] - then[str(seed)][name] for seed in both])
        for name in names
    }


def _rivals(text: str | None) -> dict[str, list[dict[str, Any]]]:
    if text is None:
        return RIVALS
    if text.endswith(".json"):
        return dict(json.loads(Path(text).read_text()))
    names = text.split(",")
    if unknown := [name for name in names if name not in RIVALS]:
        sys.exit(f"unknown rivals {', '.join(unknown)}; known: {', '.join(RIVALS)}")
    return {name: RIVALS[name] for name in names}


def recipe_losses(losses: Sequence[Mapping[str, Any]]) -> Any:
    return Distill.model_validate_json(json.dumps({"losses": losses})).losses


def open_scale(scale: Scale, source: str) -> Data:
    from edgestill.pipeline.data import open_data
    from edgestill.pipeline.device import torch_device

    settings = DataSettings.model_validate({"source": source, **scale.data})
    return open_data(settings, device=torch_device("auto"), base=Path())


def error_percent(model: torch.nn.Module, data: Data, split: str) -> float:
    from edgestill.pipeline.evaluate import top1

    return 100 * (1 - top1(model, data.test if split == "test" else data.validation))


def precision_of(asked: Precision) -> str:
    """What the students were trained in here."""
    from edgestill.pipeline.acceleration import precision
    from edgestill.pipeline.device import torch_device

    return precision(Training(precision=asked), torch_device("auto"))


if __name__ == "__main__":
    sys.exit(main())
