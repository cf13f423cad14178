"""What it is worth that the teacher goes on teaching while the student learns to compute in 8 bits.

    python benchmarks/quantize_teacher.py --data parquet:DIR [--scale cpu] [--seeds 10] [--jobs 2]
                                          [--validation] [--work DIR] [--json FILE]

Takes the students that benchmarks/accuracy.py trained with the shipped default losses (same --data,
--scale, --seeds, --validation and --work). Each is calibrated, then fine-tuned with a recipe's
[quantize] defaults three ways: not at all, with the labels alone, and with the teacher as well (the
shipped default). The same images in the same order, the last epoch, the network on TensorRT's grid;
differences are paired by student.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from accuracy import (
    LABELS,
    RIVALS,
    SCALES,
    Errors,
    Scale,
    command,
    error_percent,
    folder_of,
    open_scale,
    recipe_losses,
    work_of,
)
from paired import compared, print_table
from side_by_side import tell
from surroundings import environment

from edgestill.pipeline.recipe import Quantize

WAYS = {
    "float": None,
    "calibrated only": None,
    "labels alone": [LABELS],
    "teacher as well": RIVALS["shipped default"],
}


def main() -> int:
    """Fine-tune what is missing, then print and write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True, help="as data.source of a recipe")
    parser.add_argument("--scale", choices=SCALES, default="cpu")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2, help="students fine-tuned at once")
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--work", type=Path, default=Path("edgestill-work/accuracy"))
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()

    split = "validation" if wanted.validation else "test"
    one = partial(fine_tune, SCALES[wanted.scale], wanted.data, work_of(wanted), split)
    with ProcessPoolExecutor(wanted.jobs, multiprocessing.get_context("spawn")) as pool:
        errors = dict(zip(range(wanted.seeds), pool.map(one, range(wanted.seeds)), strict=True))
    found = compared(list(errors.values()), references=("float", "labels alone"))
    print_table(found, f"error on the {split} images, {len(errors)} students in 8 bits")
    if wanted.json:
        told = {
            "command": command(wanted),
            "split": split,
            "ways": WAYS,
            "quantize": Quantize().model_dump(mode="json"),
            "error_percent": errors,
            "compared": found,
            **environment(),
        }
        wanted.json.write_text(json.dumps(told, indent=2) + "\n")
    return 0


def fine_tune(scale: Scale, source: str, work: Path, split: str, seed: int) -> Errors:
    """The error in % of one student after each of WAYS."""
    import torch

    from edgestill.models.checkpoints import load_weights
    from edgestill.models.fake_quant import calibrate, prepare, set_grid
    from edgestill.models.fold import feature_paths, fold_batch_norm
    from edgestill.models.student import build
    from edgestill.models.taps import Tapped
    from edgestill.pipeline.events import listening
    from edgestill.pipeline.fit import fit
    from edgestill.pipeline.stages.quantize import calibration_images
    from edgestill.pipeline.teaching import Teaching, frozen_teacher, terms_of

    trained = folder_of(work, RIVALS, seed) / "shippeddefault.safetensors"
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    data, settings, errors = open_scale(scale, source), Quantize(), {}
    teacher, student = build(scale.teacher, seed=0), build(scale.student, seed=seed)
    teacher.load_state_dict(load_weights(work / "teacher.safetensors"))
    student.load_state_dict(load_weights(trained))
    student.to(data.device).eval()
    frozen = frozen_teacher(teacher, feature_paths(teacher), data.device)
    errors["float"] = error_percent(student, data, split)
    for way, losses in list(WAYS.items())[1:]:
        network = prepare(fold_batch_norm(student))
        calibrate(network, calibration_images(data.train, settings.calibration_images))
        if losses:
            teaching = Teaching(
                frozen,
                Tapped(network, feature_paths(network)),
                terms_of(recipe_losses(losses), warm_up=False),
            )
            with listening(tell):
                fit(
                    network,
                    data.train.seeded(seed),
                    teaching,
                    settings,
                    state=trained.with_name(f"{way.replace(' ', '')}.fit.safetensors"),
                    seed=seed,
                    device=data.device,
                    label=f"seed {seed}, {way}",
                )
        set_grid(network.eval(), "tensorrt")
        errors[way] = error_percent(network, data, split)
    return errors


if __name__ == "__main__":
    sys.exit(main())
