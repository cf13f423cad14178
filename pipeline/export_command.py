"""`edgestill export`: a network of a run, a checkpoint, a library or a function, as ONNX."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from .commands import run_folder
from .console import shown
from .export_int8 import Network, RangesFrom, export_int8, how_ranges_come
from .manifest import Damaged, verify

if TYPE_CHECKING:
    from torch import nn

PRECISIONS = ("fp32", "fp16", "int8")


def export_command(
    source: str,
    out: Path,
    *,
    weights: Path | None,
    input_shape: str | None,
    targets: Sequence[str] | None,
    precision: str,
    calibrate: str | None,
    calibration: str,
    keep_float: Sequence[str],
    classes: int | None,
    workdir: Path,
    as_json: bool,
) -> None:
    """Write the files asked for into `out` and say what they are."""
    from ..export.targets import TARGETS

    if precision not in PRECISIONS:
        raise BadInput(f"--precision {precision}: expected one of {', '.join(PRECISIONS)}")
    for target in targets or ():
        if target not in TARGETS:
            raise BadInput(f"--target {target}: expected one of {', '.join(TARGETS)}")
    if precision != "int8":
        unused: dict[str, object] = {"--calibrate": calibrate, "--target": targets or None}
        unused["--keep-float"] = keep_float or None
        _refuse(unused, f"--precision {precision} quantizes nothing")
    given: dict[str, object] = {"--weights": weights, "--classes": classes}
    given |= {"--input-shape": input_shape}
    with shown(quiet=as_json), redirect_stdout(sys.stderr):  # a user's own code may print
        if ":" not in source and not Path(source).is_file():
            given |= {"--calibrate": calibrate, "--keep-float": keep_float or None}
            _refuse(given, f"the run {source} is exported already")
            files = _copy(run_folder(source, workdir), out, targets or TARGETS, precision)
        else:
            if Path(source).is_file():
                _refuse(given, f"{source} says itself what it holds")
                network = _of_checkpoint(Path(source))
            else:
                network = _of_name(source, weights, _shape(input_shape or "3x224x224"), classes)
            ranges = None
            if precision == "int8":
                ranges = how_ranges_come(calibrate, calibration, keep_float)
            out.mkdir(parents=True, exist_ok=True)
            files = _export(network, out, targets or TARGETS, precision, ranges)
    _tell(files, as_json)


def _refuse(given: Mapping[str, object], why: str) -> None:
    for option, value in given.items():
        if value is not None:
            raise BadInput(f"{option} has no meaning here: {why}")


def _tell(files: Mapping[str, Path], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"files": {name: str(path) for name, path in files.items()}}))
        return
    for name, path in files.items():
        print(f"{name:<10} {path}  {path.stat().st_size:,} bytes")


def _copy(run: Path, out: Path, targets: Sequence[str], precision: str) -> dict[str, Path]:
    """A run's files are made and checked already."""
    names = {"fp32": "model.fp32.onnx"} if precision == "fp32" else {}
    if precision == "int8":
        names = {target: f"model.{target}.onnx" for target in targets}
    if precision == "fp16":
        student = run / "distill" / "student.safetensors"
        raise BadInput(f"a run holds no fp16 file; give its checkpoint as SOURCE: {student}")
    try:
        made = verify(run / "export")
    except Damaged as fault:
        raise BadInput(f"the run {run}: export is damaged: {fault}; run its recipe again") from None
    for name, file in names.items():
        if file not in made.files:
            raise BadInput(f"the run {run} was not exported for {name}; add it to export.targets")
    out.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, file in names.items():
        files[name] = Path(shutil.copyfile(run / "export" / file, out / file))
    return files


def _export(
    network: Network, out: Path, targets: Sequence[str], precision: str, ranges: RangesFrom | None
) -> dict[str, Path]:
    from ..export.int8_speed import speed_note
    from ..export.to_onnx import onnx_from_model
    from .events import emit
    from .exporting import LARGEST_RELATIVE_DIFFERENCE_HALF, agrees, save_onnx

    model, shape = network.model, network.shape
    if precision == "fp16":
        from ..export.half import half_precision

        half = out / "model.fp16.onnx"
        save_onnx(half_precision(onnx_from_model(model, shape)), half, network.facts)
        agrees(model, half, shape, LARGEST_RELATIVE_DIFFERENCE_HALF)
        return {"fp16": half}
    whole = out / "model.fp32.onnx"
    save_onnx(onnx_from_model(model, shape), whole, network.facts)
    agrees(model, whole, shape)
    if ranges is None:
        return {"fp32": whole}
    quantized = export_int8(network, out, targets, ranges)
    for target, path in quantized.items():
        if note := speed_note(whole, path, target):
            emit("note", text=note)
    return {"fp32": whole} | quantized


def _of_checkpoint(path: Path) -> Network:
    """The network of one of our checkpoints, which describe themselves."""
    from ..models.checkpoints import load_weights
    from .networks import build_network, described, size_of

    told = described(path)
    if told is None or "mean" not in told:
        raise BadInput(
            f"{path} does not say which network it holds; give the network as SOURCE, as"
            " torchvision:resnet18 or module:function, and this file with --weights"
        )
    model = build_network(told)
    model.load_state_dict(load_weights(path))
    size = size_of(told)
    mean, std = tuple(told["mean"]), tuple(told["std"])
    return Network(model=model.eval(), shape=(3, size, size), mean=mean, std=std)


def _of_name(
    source: str, weights: Path | None, shape: tuple[int, int, int], classes: int | None
) -> Network:
    """The network of a library or of a function, with as many classes as its weights have."""
    from ..models.teacher import teacher_from

    place: Any = {"image_size": shape[1], "base": Path()}
    count = classes
    if weights is not None and classes is None:
        count = _classes(teacher_from(source, num_classes=None, **place), weights)
    model = teacher_from(source, num_classes=count, checkpoint=weights, **place)
    return Network(model=model, shape=shape)


def _classes(network: nn.Module, weights: Path) -> int | None:
    """The classes of `weights`, read off the one size in which they differ from `network`."""
    from ..models.checkpoints import load_weights

    found, own = load_weights(weights), network.state_dict()
    heads = {
        len(found[name])
        for name, tensor in own.items()
        if name in found and found[name].shape != tensor.shape
    }
    return heads.pop() if len(heads) == 1 else None


def _shape(text: str) -> tuple[int, int, int]:
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise BadInput(f"--input-shape {text}: expected CxHxW, as 3x224x224")
    channels, height, width = map(int, parts)
    if channels != 3 or height != width:
        raise BadInput(f"--input-shape {text}: three channels and a square image are supported")
    return channels, height, width
