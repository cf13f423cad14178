"""`edgestill export`: a network of a run, a checkpoint, a library or a function, as ONNX."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .commands import run_folder
from .console import shown

if TYPE_CHECKING:
    from torch import Tensor, nn

PRECISIONS = ("fp32", "fp16", "int8")
CALIBRATION_IMAGES = 1024
LIBRARY_CLASSES = 1000


def export_command(
    source: str,
    out: Path,
    *,
    weights: Path | None,
    input_shape: str,
    targets: Sequence[str] | None,
    precision: str,
    calibrate: str | None,
    classes: int | None,
    workdir: Path,
    as_json: bool,
) -> None:
    """Write the files asked for into `out` and say what they are."""
    from ..export.dialects import TARGETS

    if precision not in PRECISIONS:
        raise BadInput(f"--precision {precision}: expected one of {', '.join(PRECISIONS)}")
    for target in targets or ():
        if target not in TARGETS:
            raise BadInput(f"--target {target}: expected one of {', '.join(TARGETS)}")
    with shown(quiet=as_json):
        if ":" in source or Path(source).is_file():
            shape = _shape(input_shape)
            if precision == "int8" and calibrate is None:
                raise BadInput(
                    "INT8 ranges come from data: give images with --calibrate, as imagefolder:DIR"
                    " or parquet:DIR; or take --precision fp32"
                )
            model = _network(source, weights, shape[1], classes)
            out.mkdir(parents=True, exist_ok=True)
            images = calibrate if precision == "int8" else None
            files = _export(model, out, shape, targets or TARGETS, precision, images)
        else:
            files = _copy(run_folder(source, workdir), out, targets or TARGETS, precision)
    if as_json:
        print(json.dumps({"files": {name: str(path) for name, path in files.items()}}))
    else:
        for name, path in files.items():
            print(f"{name:<10} {path}  {path.stat().st_size:,} bytes")


def _copy(run: Path, out: Path, targets: Sequence[str], precision: str) -> dict[str, Path]:
    """A run's files are made and checked already."""
    names = {"fp32": "model.fp32.onnx"} if precision == "fp32" else {}
    if precision == "int8":
        names = {target: f"model.{target}.onnx" for target in targets}
    if precision == "fp16":
        raise BadInput(f"the run {run} holds no fp16 file; export its checkpoint with --weights")
    out.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, file in names.items():
        if not (run / "export" / file).is_file():
            raise BadInput(f"the run {run} was not exported for {name}; add it to export.targets")
        files[name] = Path(shutil.copyfile(run / "export" / file, out / file))
    return files


def _export(
    model: nn.Module,
    out: Path,
    shape: tuple[int, int, int],
    targets: Sequence[str],
    precision: str,
    calibrate: str | None,
) -> dict[str, Path]:
    from ..export.to_onnx import onnx_from_model
    from .exporting import LARGEST_RELATIVE_DIFFERENCE_HALF, agrees, save_onnx

    if precision == "fp16":
        from ..export.half import half_precision

        half = out / "model.fp16.onnx"
        save_onnx(half_precision(onnx_from_model(model, shape)), half, {})
        agrees(model, half, shape, LARGEST_RELATIVE_DIFFERENCE_HALF)
        return {"fp16": half}
    whole = out / "model.fp32.onnx"
    save_onnx(onnx_from_model(model, shape), whole, {})
    agrees(model, whole, shape)
    if calibrate is None:
        return {"fp32": whole}
    return {"fp32": whole} | _quantized(model, out, shape, targets, calibrate)


def _quantized(
    model: nn.Module,
    out: Path,
    shape: tuple[int, int, int],
    targets: Sequence[str],
    calibrate: str,
) -> dict[str, Path]:
    from ..export.dialects import write_dialect
    from ..export.fusion import fusion_report
    from ..export.to_onnx import onnx_from_model
    from ..models import fake_quant
    from ..models.fold import fold_batch_norm
    from ..models.ranges import ranges_of
    from .events import emit
    from .exporting import save_onnx

    prepared = fake_quant.prepare(fold_batch_norm(model))
    fake_quant.calibrate(prepared, _images(calibrate, shape))
    marked, ranges = onnx_from_model(prepared, shape), ranges_of(prepared)
    files = {}
    for target in targets:
        files[target] = out / f"model.{target}.onnx"
        save_onnx(write_dialect(marked, ranges, target), files[target], {"target": target})
        fusion = fusion_report(files[target], target)
        emit("note", text=f"{target}: {fusion.int8} of {fusion.total} in INT8 ({fusion.source})")
    return files


def _images(source: str, shape: tuple[int, int, int]) -> list[Tensor]:
    """Un-augmented training images of `source`, normalised by their own statistics."""
    import torch

    from .data import open_data
    from .recipe import DataSettings
    from .splits import seeded_order

    settings = DataSettings(source=source, image_size=shape[1], resize=True, batch_size=64)
    train = open_data(settings, device=torch.device("cpu"), base=Path()).train.plain()
    rows = seeded_order(len(train.labels), seed=(0,))[:CALIBRATION_IMAGES]
    return [train.some(rows[start : start + 64])[0] for start in range(0, len(rows), 64)]


def _network(source: str, weights: Path | None, size: int, classes: int | None) -> nn.Module:
    """The network of a checkpoint that describes itself, of a library, or of a function."""
    from ..models.checkpoints import load_weights
    from ..models.teacher import teacher_from
    from .networks import build_network

    if Path(source).is_file():
        model = build_network(_described(Path(source)))
        model.load_state_dict(load_weights(Path(source)))
        return model.eval()
    count = classes or _classes(source, weights, size)
    return teacher_from(source, num_classes=count, image_size=size, checkpoint=weights)


def _described(checkpoint: Path) -> dict[str, Any]:
    from .networks import described

    told = described(checkpoint)
    if told is None:
        raise BadInput(
            f"{checkpoint} does not say which network it holds; give the network as SOURCE, as"
            " torchvision:resnet18 or module:function, and this file with --weights"
        )
    return told


def _classes(source: str, weights: Path | None, size: int) -> int:
    """As many classes as the weights have; 1,000, the libraries' own number, without weights."""
    from ..models.checkpoints import load_weights
    from ..models.teacher import teacher_from

    if weights is None:
        return LIBRARY_CLASSES
    found = load_weights(weights)
    built = teacher_from(source, num_classes=LIBRARY_CLASSES, image_size=size).state_dict()
    heads = {
        len(found[name])
        for name, tensor in built.items()
        if name in found and tensor.ndim and len(tensor) == LIBRARY_CLASSES != len(found[name])
    }
    return heads.pop() if len(heads) == 1 else LIBRARY_CLASSES


def _shape(text: str) -> tuple[int, int, int]:
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise BadInput(f"--input-shape {text}: expected CxHxW, as 3x224x224")
    channels, height, width = map(int, parts)
    if channels != 3 or height != width:
        raise BadInput(f"--input-shape {text}: three channels and a square image are supported")
    return channels, height, width
