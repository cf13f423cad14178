"""`edgestill export`: a network of a run, a checkpoint, a library or a function, as ONNX."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..export.file_form import LOGITS
from ..export.heads import check_head
from ..export.onnx_writing import side_path
from ..models.errors import BadInput, GateFailed
from .commands import run_folder
from .console import shown
from .events import emit
from .export_options import ExportOptions, Plan, planned
from .manifest import Damaged, Manifest, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .data import Data
    from .export_files import Place, Written
    from .export_settings import Export
    from .export_source import Network


@dataclass
class Result:
    """What an export left, and what is wrong with it."""

    files: dict[str, Path] = field(default_factory=dict)
    plans: dict[str, Path] = field(default_factory=dict)
    engines: dict[str, Path] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    """Why the runtime that a file is for does not take it."""
    parity: dict[str, Any] = field(default_factory=dict)
    """How far each plain file is from torch's network, as `Agreement.to_json` tells it."""

    def to_json(self) -> dict[str, object]:
        """{"files": {name: path}, "plans": ..., "engines": ..., "refused": [text], "parity":
        {name: {"images": text, "outputs": {output: figures}}}}"""
        parts = {"files": self.files, "plans": self.plans, "engines": self.engines}
        return {
            **{
                key: {name: str(path) for name, path in part.items()} for key, part in parts.items()
            },
            "refused": self.refused,
            "parity": self.parity,
        }


def export_command(source: str, out: Path, options: ExportOptions, *, as_json: bool) -> None:
    """Write the files asked for into `out` and say what they are.

    Raises:
        BadInput: the options do not go together, or the network cannot be exported like that.
        GateFailed: a file does not compute what its network does, or its runtime refuses it.
        MissingPackage, DeviceError: an engine was asked for and cannot be built here; the files and
            their plans are written then.
    """
    plan = planned(source, options)
    result = Result()
    with shown(quiet=as_json), redirect_stdout(sys.stderr):  # a user's own code may print
        if plan.copies:
            _copy(run_folder(source, options.workdir), out, plan, result)
        else:
            network = _network(source, options, plan)
            run = run_folder(source, options.workdir) if plan.run else None
            if run is not None:
                plan = plan.as_run(_export_of(run))
            _export(network, out, plan, result, run)
        _beside(result, plan)
    try:
        if plan.engine.build and not result.refused:
            _build(result, out)
    finally:
        _tell(result, as_json)
    if result.refused:
        raise GateFailed("; ".join(result.refused))


def _network(source: str, options: ExportOptions, plan: Plan) -> Network:
    from .export_source import of_checkpoint, of_name, of_run

    if plan.run:
        return of_run(run_folder(source, options.workdir))
    if Path(source).is_file():
        return of_checkpoint(Path(source))
    network = of_name(source, options.weights, plan.shape, options.classes)
    return network if plan.mean is None else replace(network, mean=plan.mean, std=plan.std)


def _export_of(run: Path) -> Export:
    """The recipe's [export] of a finished run."""
    from .export_settings import Export

    return Export.model_validate_json(json.dumps(_verified(run, "export").settings["export"]))


def _verified(run: Path, stage: str) -> Manifest:
    try:
        return verify(run / stage)
    except Damaged as fault:
        again = "run its recipe again"
        raise BadInput(f"the run {run}: {stage} is damaged: {fault}; {again}") from None


def _copy(run: Path, out: Path, plan: Plan, result: Result) -> None:
    """A run's files are made and checked already; in the form for the device, if it has that."""
    made = _verified(run, "export").files
    parity = json.loads((run / "export" / "export.json").read_text())["parity"]
    chosen = {}
    for name in plan.names:
        if f"model.{name}.onnx" not in made:
            raise BadInput(f"the run {run} was not exported for {name}; add it to export.targets")
        deployed = f"deploy.{name}.onnx"
        chosen[name] = deployed if deployed in made else f"model.{name}.onnx"
    out.mkdir(parents=True, exist_ok=True)
    for name, file in chosen.items():
        result.files[name] = Path(shutil.copyfile(run / "export" / file, out / file))
        result.parity[name] = parity[name]
        side = side_path(out / file)
        if side.name in made:
            shutil.copyfile(run / "export" / side.name, side)
        else:
            side.unlink(missing_ok=True)  # of an earlier export; nothing reads it any more


def _export(network: Network, out: Path, plan: Plan, result: Result, run: Path | None) -> None:
    from .export_files import Place
    from .export_int8 import data_for
    from .exporting import held_out
    from .run_data import images_of_run

    if plan.wanted.form.head != LOGITS:  # else known only when the first file is written
        check_head(plan.wanted.form.head, network.class_count())
    images = plan.images or (plan.ranges.images if plan.ranges else None)
    data = None
    if images is not None:
        data = data_for(images, network, "--images" if plan.images else "--calibrate")
    elif run is not None:
        data = images_of_run(run, _verified(run, "teacher"), network)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out) as scratch:
        place = Place(
            out=out, scratch=Path(scratch), images=None if data is None else held_out(data)
        )
        for made in _written(network, plan, place, data):
            result.files[made.name] = made.path
            result.parity[made.name] = made.agreement.to_json()
            kind = "" if made.name in ("fp32", "fp16") else "the fake-quantized network in "
            emit("note", text=f"{made.name} against {kind}torch: {made.agreement}")


def _written(network: Network, plan: Plan, place: Place, data: Data | None) -> Iterator[Written]:
    from .export_files import write_fp16, write_fp32, write_int8
    from .export_int8 import data_for, quantized_by, tell_int8

    whole: Written | None = None
    if plan.precision == "fp16":
        yield write_fp16(network, plan.wanted, place)
    elif plan.precision == "fp32" or network.quantized is None:
        whole = write_fp32(network, plan.wanted, place)
        yield whole
    if plan.precision != "int8":
        return
    quantized = network.quantized
    if quantized is None:
        assert plan.ranges is not None  # planned() sees to it
        if plan.images or data is None:
            data = data_for(plan.ranges.images, network, "--calibrate")
        quantized = quantized_by(network, plan.ranges, data)
    for made in write_int8(network, quantized, plan.targets, plan.wanted, place):
        yield made
        tell_int8(made.plain, made.name, whole.plain if whole else None)


def _beside(result: Result, plan: Plan) -> None:
    """Plans for the files that are for TensorRT."""
    from .export_tensorrt import plan_for

    for name in plan.tensorrt:
        runtime = plan.wanted.form_of(name).runtime
        path, refused = plan_for(result.files[name], plan.engine, runtime)
        result.plans[name] = path
        if refused:
            result.refused.append(refused)


def _build(result: Result, out: Path) -> None:
    from .build_engine import build_engine

    for name, path in result.plans.items():
        told = json.loads(path.read_text())
        result.engines[name] = build_engine(result.files[name], told, out)


def _tell(result: Result, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result.to_json()))
        return
    for name, path in result.files.items():
        size = path.stat().st_size
        print(f"{name:<10} {path}  {size:,} bytes")
        side = side_path(path)
        if side.exists():
            print(f"{'weights':<10} {side}  {side.stat().st_size:,} bytes")
        for kind, made in (("plan", result.plans), ("engine", result.engines)):
            if name in made:
                print(f"{kind:<10} {made[name]}")
