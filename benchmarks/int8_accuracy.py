"""What 8 bits cost in accuracy, in ONNX Runtime itself: CIFAR-10, beside quantize_static and PT2E.

    python benchmarks/int8_accuracy.py --data parquet:DIR [--seeds 3] [--validation] [--work DIR]
                                       [--json FILE]

Two students (a WRN, a MobileNetV2-style network) of each seed are distilled in float, kept in
--work, and made into 8 bits in four ways: ours with calibration only and ours fine-tuned with a
recipe's [quantize] defaults, each written for every target; ONNX Runtime's quantize_static (QDQ,
uint8 activations, int8 weights per channel, pre-processed) on the same float file; and torchao's
PT2E, which stays in torch, where torchao is installed. All see the same calibration images.
All but PT2E are judged by the file in ONNX Runtime's CPU provider, on all test images, once.

Promises, as the mean over seeds: fine-tuned loses at most 0.3 points against float, calibration
alone at most 1.0, and neither is worse than quantize_static by more than the half-width of the
paired difference's interval. Exit code 1 if one is broken.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from int8_students import open_images, trained_students, trained_teacher, work_of
from paired import compared, print_table
from side_by_side import tell
from surroundings import environment

from edgestill.pipeline.recipe import Distill, Quantize

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, fx, nn

    from edgestill.pipeline.batches import Batches
    from edgestill.pipeline.data import Data

TARGETS = ("ort-x86", "ort-arm64", "tensorrt")
FLOAT, STATIC, PT2E = "float", "quantize_static", "torchao PT2E"
CALIBRATED, TUNED = "calibrated", "fine-tuned"
LOST = {CALIBRATED: 1.0, TUNED: 0.3}
"""Points that each way may lose against float."""


def main() -> int:
    """Make what is missing, then judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True, help="as data.source of a recipe")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--work", type=Path, default=Path("edgestill-work/int8"))
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()

    data = open_images(wanted.data)
    images = data.validation if wanted.validation else data.test
    work = work_of(wanted.work, wanted.data)
    errors: dict[str, dict[int, dict[str, float]]] = {}
    for seed in range(wanted.seeds):
        for name, student in trained_students(data, work, seed).items():
            found = errors_of(student, data, images, work / f"seed-{seed}", name, seed)
            errors.setdefault(name, {})[seed] = found
            print(f"seed {seed}, {name}: {found}", file=sys.stderr)
    told = {name: compared(list(each.values()), (FLOAT, STATIC)) for name, each in errors.items()}
    broken = [f"{name}: {line}" for name, each in told.items() for line in broken_promises(each)]
    for name, each in told.items():
        print_table(each, f"{name}: error %, {wanted.seeds} seeds, n = {images.images} images")
    for line in broken:
        print(f"broken: {line}")
    if wanted.json:
        source, split = wanted.data.partition(":")[0], ["--validation"] * wanted.validation
        command = f"python benchmarks/int8_accuracy.py --data {source}:DIR --seeds {wanted.seeds}"
        content: dict[str, Any] = {"command": " ".join([command, *split])}
        content |= {"images": images.images, "error_percent": errors}
        content |= {"compared": told, "broken": broken, "promised_points": LOST}
        content |= {"quantize": Quantize().model_dump(mode="json"), **environment()}
        wanted.json.write_text(json.dumps(content, indent=2) + "\n")
    return 1 if broken else 0


def errors_of(
    student: nn.Module, data: Data, images: Batches, folder: Path, name: str, seed: int
) -> dict[str, float]:
    """The error in % of one student, float and in each way of 8 bits."""
    from edgestill.export import onnx_from_model, write_dialect
    from edgestill.models.fake_quant import calibrate, prepare
    from edgestill.models.fold import fold_batch_norm
    from edgestill.models.ranges import ranges_of
    from edgestill.pipeline.evaluate import top1_onnx
    from edgestill.pipeline.stages.quantize import calibration_images

    shape, settings = (3, 32, 32), Quantize()
    seen = calibration_images(data.train, settings.calibration_images)
    prepared = prepare(fold_batch_norm(student))
    calibrate(prepared, seen)
    ways: dict[str, nn.Module] = {CALIBRATED: copy.deepcopy(prepared)}
    ways[TUNED] = fine_tuned(prepared, data, settings, folder, name, seed)
    errors = {}
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "model.onnx"

        def error_percent(model: Any, target: str | None = None) -> float:
            file.write_bytes(model.SerializeToString())
            return 100 * (1 - top1_onnx(file, images, target))

        errors[FLOAT] = error_percent(onnx_from_model(student, shape))
        errors[STATIC] = error_percent(quantized_statically(file, [x.numpy() for x in seen]))
        for way, network in ways.items():
            marked, ranges = onnx_from_model(network.eval(), shape), ranges_of(network)
            for target in TARGETS:
                written = write_dialect(marked, ranges, target)
                errors[f"{way}, {target}"] = error_percent(written, target)
    try:
        errors[PT2E] = torchao_error(student, seen, images)
    except ImportError as reason:
        print(f"{PT2E}: skipped, {reason}", file=sys.stderr)
    return errors


def fine_tuned(
    prepared: fx.GraphModule, data: Data, settings: Quantize, folder: Path, name: str, seed: int
) -> nn.Module:
    """`prepared` after the stage's own fine-tuning, the teacher still teaching."""
    from edgestill.models.fold import feature_paths
    from edgestill.models.taps import Tapped
    from edgestill.pipeline.events import listening
    from edgestill.pipeline.fit import fit
    from edgestill.pipeline.teaching import Teaching, frozen_teacher, terms_of

    plain = trained_teacher(data, folder.parent)
    teaching = Teaching(
        frozen_teacher(plain, feature_paths(plain), data.device),
        Tapped(prepared, feature_paths(prepared)),
        terms_of(Distill().losses, warm_up=False),
    )
    with listening(tell):
        fit(
            prepared,
            data.train.seeded(seed),
            teaching,
            settings,
            state=folder / f"{name}.int8.fit.safetensors",
            seed=seed,
            device=data.device,
            label=f"{name}, seed {seed}, 8 bits",
        )
    return prepared


def quantized_statically(path: Path, images: list[np.ndarray]) -> Any:
    """The float file at `path` as ONNX Runtime's own tool quantizes it."""
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no types
        def __init__(self) -> None:
            self.batches = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch}

    with tempfile.TemporaryDirectory() as place:
        ready, done = Path(place) / "ready.onnx", Path(place) / "int8.onnx"
        quant_pre_process(path, ready)
        quantize_static(
            ready,
            done,
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
        return onnx.load(done)


def torchao_error(student: nn.Module, seen: Iterable[Tensor], images: Batches) -> float:
    """The error in % of torchao's calibrated network for x86 CPUs, computed by torch."""
    import torch

    warnings.filterwarnings("ignore")
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    example = next(iter(seen))
    batch = {0: torch.export.Dim("batch", min=2, max=4096)}
    exported = torch.export.export(
        copy.deepcopy(student).eval(), (example,), dynamic_shapes=(batch,)
    ).module()
    quantizer = X86InductorQuantizer()
    quantizer.set_global(get_default_x86_inductor_quantization_config())
    network = prepare_pt2e(exported, quantizer)
    with torch.no_grad():
        for each in seen:
            network(each)
        network = convert_pt2e(network)
        right = sum(int((network(x).argmax(dim=1) == labels).sum()) for x, labels in images.plain())
    return 100 * (1 - right / images.images)


def broken_promises(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line for each promise that does not hold."""
    lines = []
    for name, row in found.items():
        way = name.partition(",")[0]
        if way not in LOST:
            continue
        lost, worse = row["minus"][FLOAT]["mean"], row["minus"][STATIC]
        if lost > LOST[way]:
            lines.append(f"{name} loses {lost:.2f} points, {LOST[way]} promised")
        if worse["mean"] > (worse["half_width"] or 0.0):
            lines.append(f"{name} is {worse['mean']:.2f} points worse than {STATIC}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
