"""A whole distillation step, WRN28-1 -> WRN28-0.5, against a plain PyTorch loop and torchdistill.

    python benchmarks/train_step.py [--data parquet:DIR] [--torchdistill PYTHON] [--rounds 7]
                                    [--steps 6] [--threads 2] [--device cpu|cuda] [--json FILE]

Promises: 1.5x the images per second of either (4x on CUDA), as the median over rounds in which
every contestant takes its turn; each is a process of its own, warm, and idle while others run.
Ours is the product's own loop with the losses gkd + kd, in the precision that it takes by itself
(bfloat16 where the processor has it); in float32, as the rivals compute, it is timed for
information. The plain loop has the same losses; torchdistill has RKD on the pooled features, and
ours is timed with RKD too. All read the same CIFAR-10 images (or, without --data, made-up ones),
B = 128, 32x32, cropped and flipped, on the same number of threads.
The rivals' DataLoaders have what was best for the plain loop of 0, 1 and 2 processes beside these
threads; what they prepare while others run is theirs. Exit code 1 if a promise is broken.

torchdistill gets an environment of its own (torch alone takes 2 minutes and 5 GB there):

    python -m venv rival && rival/bin/pip install torchdistill==1.1.5 pillow -e .
    python benchmarks/train_step.py --torchdistill rival/bin/python
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rivals.turns import Task

HERE = Path(__file__).parent
PROMISED = {"cpu": 1.5, "cuda": 4.0}
OURS, OURS_RKD = "ours, gkd + kd", "ours, rkd"
SINGLE, SINGLE_RKD = "ours, gkd + kd, float32", "ours, rkd, float32"
PLAIN, TORCHDISTILL = "plain, gkd + kd", "torchdistill, rkd"
COMPARED = ((OURS, PLAIN), (OURS, TORCHDISTILL), (OURS_RKD, TORCHDISTILL))
INFORMATION = ((SINGLE, PLAIN), (SINGLE_RKD, TORCHDISTILL), (OURS, SINGLE))


class Contestant:
    """A process that makes training steps when told to."""

    def __init__(self, python: str, module: str, task: Task) -> None:
        self.process = subprocess.Popen(
            [python, "-W", "ignore", "-m", f"rivals.{module}", json.dumps(asdict(task))],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.module, self.images = module, task.steps * task.batch_size

    def answer(self) -> dict[str, Any]:
        """What it says next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"benchmarks/rivals/{self.module}.py ended without an answer")
        told: dict[str, Any] = json.loads(line)
        return told

    def images_per_s(self) -> float:
        """One turn."""
        assert self.process.stdin is not None
        print("go", file=self.process.stdin, flush=True)
        return float(self.images / self.answer()["seconds"])

    def dismiss(self) -> None:
        """End it."""
        self.process.communicate()


def main() -> int:
    """Time, print and judge."""
    wanted = arguments()
    with tempfile.TemporaryDirectory() as folder:
        source = wanted.data or made_up(Path(folder))
        task = Task(
            source=source,
            images=str(arrays_of(source, Path(folder))),
            steps=wanted.steps,
            threads=wanted.threads,
            device=wanted.device,
        )
        workers, tried = best_workers(task)
        rkd = replace(task, losses="rkd")
        own, own_rkd = (replace(each, precision="auto") for each in (task, rkd))
        contestants = {
            OURS: Contestant(sys.executable, "edgestill_loop", own),
            OURS_RKD: Contestant(sys.executable, "edgestill_loop", own_rkd),
            SINGLE: Contestant(sys.executable, "edgestill_loop", task),
            PLAIN: Contestant(sys.executable, "plain_pytorch", replace(task, workers=workers)),
        }
        if wanted.torchdistill:
            theirs = replace(rkd, workers=workers)
            contestants[SINGLE_RKD] = Contestant(sys.executable, "edgestill_loop", rkd)
            contestants[TORCHDISTILL] = Contestant(wanted.torchdistill, "torchdistill_rkd", theirs)
        ready = {name: each.answer() for name, each in contestants.items()}
        rates = in_turn(contestants, wanted.rounds)
        for each in contestants.values():
            each.dismiss()
        parts = Contestant(sys.executable, "step_parts", own)
        parts.answer()
        within = parts.answer()
        parts.dismiss()

    promised = PROMISED[wanted.device]
    ratios, information = ratios_of(rates, COMPARED), ratios_of(rates, INFORMATION)
    kept = all(statistics.median(each) >= promised for each in ratios.values())
    print_rates(rates, {name: told["precision"] for name, told in ready.items()})
    print_ratios(ratios, promised)
    print_ratios(information, None)
    print_parts(within)
    print(
        f"{wanted.rounds} rounds of {wanted.steps} steps each, {wanted.threads} threads,"
        f" {wanted.device}; rivals' DataLoader: {workers} processes"
        f" (images/s {', '.join(f'{rate:.0f} with {count}' for count, rate in tried.items())})"
    )
    if not wanted.torchdistill:
        print("torchdistill: skipped, --torchdistill names no interpreter that has it")
    for name, told in ready.items():
        print(f"{name}: {', '.join(f'{key} {value}' for key, value in told.items())}")
    if wanted.json:
        told = {
            "images_per_s": rates,
            "ratios": ratios,
            "ratios_for_information": information,
            "promised": promised,
            "kept": kept,
            "workers": workers,
            "contestants": ready,
            "threads": wanted.threads,
            "device": wanted.device,
            "steps_a_round": wanted.steps,
            **within,
        }
        wanted.json.write_text(json.dumps(told, indent=2, default=str) + "\n")
    return 0 if kept else 1


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", help="the training images, as [data].source of a recipe")
    parser.add_argument("--torchdistill", metavar="PYTHON", help="an interpreter that has it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=6, help="of every contestant in a round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=PROMISED, default="cpu")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def in_turn(contestants: dict[str, Contestant], rounds: int) -> dict[str, list[float]]:
    """Images per second of every turn; in each round another contestant begins."""
    names = list(contestants)
    rates: dict[str, list[float]] = {name: [] for name in names}
    for first in range(rounds):
        for index in range(len(names)):
            name = names[(first + index) % len(names)]
            rates[name].append(contestants[name].images_per_s())
        told = ", ".join(f"{name} {rates[name][-1]:.0f}" for name in names)
        print(f"round {first + 1} of {rounds}, images/s: {told}", file=sys.stderr)
    return rates


def best_workers(task: Task) -> tuple[int, dict[int, float]]:
    """With how many DataLoader processes the plain loop is fastest, and what each gave."""
    tried = {
        str(workers): Contestant(sys.executable, "plain_pytorch", replace(task, workers=workers))
        for workers in (0, 1, 2)
    }
    for each in tried.values():
        each.answer()
    rates = {int(workers): statistics.median(turns) for workers, turns in in_turn(tried, 3).items()}
    for each in tried.values():
        each.dismiss()
    return max(rates, key=lambda workers: rates[workers]), rates


def arrays_of(source: str, folder: Path) -> Path:
    """The images as our own loop sees them, decoded, for the rivals."""
    import torch

    from edgestill.pipeline.data import open_data
    from edgestill.pipeline.recipe_file import load_recipe

    settings = load_recipe("cifar10", [f"data.source={source}"]).data
    batches = open_data(settings, device=torch.device("cpu"), base=Path()).train.plain()
    (images,) = batches.pixels.batches(np.arange(batches.images), batches.images)
    by_image = images.permute(0, 2, 3, 1).numpy()
    np.savez(folder / "images.npz", images=by_image, labels=batches.labels)
    return folder / "images.npz"


def made_up(folder: Path) -> str:
    """Noise of CIFAR-10's size as JPEGs in a Parquet file."""
    import pyarrow
    import pyarrow.parquet
    from PIL import Image

    chance = np.random.default_rng(0)

    def jpeg() -> bytes:
        file = io.BytesIO()
        Image.fromarray(chance.integers(0, 256, (32, 32, 3), np.uint8)).save(file, "JPEG")
        return file.getvalue()

    table = {"image": [jpeg() for _ in range(5_000)], "label": [row % 10 for row in range(5_000)]}
    pyarrow.parquet.write_table(pyarrow.table(table), folder / "train.parquet")
    return f"parquet:{folder}"


def ratios_of(
    rates: dict[str, list[float]], compared: Sequence[tuple[str, str]]
) -> dict[str, list[float]]:
    """Round by round, of those pairs that took part."""
    return {
        f"{ours} / {theirs}": [a / b for a, b in zip(rates[ours], rates[theirs], strict=True)]
        for ours, theirs in compared
        if ours in rates and theirs in rates
    }


def print_rates(rates: dict[str, list[float]], precisions: dict[str, str]) -> None:
    """Images per second."""
    print(f"{'contestant':<28}{'precision':<12}{'images/s':>10}{'min':>8}{'max':>8}")
    for name, turns in rates.items():
        told = (statistics.median(turns), min(turns), max(turns))
        print(f"{name:<28}{precisions[name]:<12}{told[0]:>10.0f}{told[1]:>8.0f}{told[2]:>8.0f}")


def print_ratios(ratios: dict[str, list[float]], promised: float | None) -> None:
    """What is promised; without a promise, what is told for information."""
    last = "for information" if promised is None else f"{promised} promised"
    print(f"\n{'ratio':<44}{'median':>8}{'min':>8}{'max':>8}")
    for name, each in ratios.items():
        told = (statistics.median(each), min(each), max(each))
        print(f"{name:<44}{told[0]:>8.2f}{told[1]:>8.2f}{told[2]:>8.2f}  {last}")


def print_parts(within: dict[str, dict[str, float]]) -> None:
    """Where the time of our step goes."""
    whole = sum(within["parts_s"].values())
    print(f"\n{'part of our step':<20}{'ms':>8}{'share':>8}")
    for part, seconds in within["parts_s"].items():
        print(f"{part:<20}{1000 * seconds:>8.1f}{seconds / whole:>8.0%}")
    told = [f"{1000 * seconds:.0f} ms {form}" for form, seconds in within["teacher_s"].items()]
    print(f"teacher alone: {', '.join(told)}\n")


if __name__ == "__main__":
    sys.exit(main())
