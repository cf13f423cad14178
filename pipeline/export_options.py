"""What `edgestill export` was asked for: every bad combination refused before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast, get_args

from ..export.file_form import LOGITS, FileForm
from ..export.heads import check_head
from ..export.runtimes import Runtime, runtime_of
from ..export.targets import TARGETS
from ..models.errors import BadInput
from .export_files import FloatType, Precision, Wanted
from .export_int8 import RangesFrom, how_ranges_come, known_source
from .export_settings import Export
from .export_tensorrt import Engine
from .export_words import batches, image_shape, normalisation

SHAPE = (3, 224, 224)
FIRST_WITH_HALF_STEPS = 19
"""Opset; QuantizeLinear takes float16 from there on."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The words of the command line; None, () or False: not given."""

    weights: Path | None = None
    input_shape: str | None = None
    targets: tuple[str, ...] = ()
    precision: str = "int8"
    float_type: str | None = None
    calibrate: str | None = None
    calibration: str = "mse"
    keep_float: tuple[str, ...] = ()
    images: str | None = None
    classes: int | None = None
    runtimes: tuple[str, ...] = ()
    opset: int | None = None
    batch: int | None = None
    external_data: bool = False
    input: str | None = None
    layout: str | None = None
    mean: str | None = None
    std: str | None = None
    head: str | None = None
    build_engine: bool = False
    engine_batch: str | None = None
    dla_core: int | None = None
    workdir: Path = Path("edgestill-work")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done; checked."""

    run: bool
    """Whether the source is a run."""
    copies: bool
    """Whether its files are taken as they are."""
    precision: Precision
    targets: tuple[str, ...]
    shape: tuple[int, int, int]
    ranges: RangesFrom | None
    images: str | None
    """A data source whose held-out images the files are compared on."""
    wanted: Wanted
    engine: Engine
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    given: Mapping[str, Any] = field(default_factory=dict)
    """The parts of the form that were given."""

    @property
    def names(self) -> tuple[str, ...]:
        """The files by name."""
        return self.targets if self.precision == "int8" else (self.precision,)

    @property
    def tensorrt(self) -> tuple[str, ...]:
        """The names of the files that are for TensorRT, and get a plan."""
        runtimes = {runtime.name for runtime in self.wanted.runtimes}
        if self.precision == "int8":
            return tuple({"tensorrt"} & set(self.targets))
        if self.precision == "fp16" and not runtimes:
            return (self.precision,)
        return (self.precision,) if "tensorrt" in runtimes or self.engine.build else ()

    def as_run(self, export: Export) -> Plan:
        """With what the run's recipe asks of its files, where the command line is silent."""
        form, told = wanted_by(export), self.wanted
        wanted = replace(
            told,
            form=replace(form.form, **self.given),
            runtimes=told.runtimes or form.runtimes,
            external_data=told.external_data or form.external_data,
        )
        return replace(self, wanted=wanted)


def wanted_by(export: Export) -> Wanted:
    """How a recipe wants its files, in the form for the device."""
    return Wanted(
        form=FileForm(
            input=export.input,
            layout=export.layout,
            head=export.head,
            batch=export.batch,
            opset=export.opset,
        ),
        runtimes=tuple(map(runtime_of, export.runtimes)),
        float_type=export.float_type,
        external_data=export.external_data,
    )


def planned(source: str, options: ExportOptions) -> Plan:
    """The plan for what was asked; `BadInput` with one line for what cannot be meant."""
    told = options
    _known("--precision", told.precision, get_args(Precision))
    for target in told.targets:
        _known("--target", target, TARGETS)
    _known("--float-type", told.float_type or "float32", get_args(FloatType))
    int8 = told.precision == "int8"
    if not int8:
        unused: dict[str, object] = {"--calibrate": told.calibrate, "--target": told.targets}
        unused |= {"--keep-float": told.keep_float, "--float-type": told.float_type}
        _refuse(unused, f"--precision {told.precision} quantizes nothing")
    run = ":" not in source and not Path(source).is_file()
    networks: dict[str, object] = {"--weights": told.weights, "--classes": told.classes}
    networks |= {"--input-shape": told.input_shape}
    normal: dict[str, object] = {"--mean": told.mean, "--std": told.std}
    if run:
        ranges: dict[str, object] = {"--calibrate": told.calibrate, "--keep-float": told.keep_float}
        _refuse(networks | normal | ranges, f"the run {source} has its network and its ranges")
    elif Path(source).is_file():
        _refuse(networks | normal, f"{source} says itself what it holds")
    for option, data in (("--calibrate", told.calibrate), ("--images", told.images)):
        if data is not None:
            known_source(data, option)
    runtimes = tuple(map(runtime_of, told.runtimes))
    targets = _targets(told, runtimes) if int8 else ()
    given = _form_given(told)
    mean, std = normalisation(told.mean, told.std)
    form = FileForm(**given)
    if form.head != LOGITS and told.classes is not None:
        check_head(form.head, told.classes)
    wanted = Wanted(
        form=form,
        runtimes=runtimes,
        float_type=cast(FloatType, told.float_type or "float32"),
        external_data=told.external_data,
    )
    for target in targets:
        wanted.form_of(target).limits(target)
    if not int8:
        wanted.form_of(told.precision).limits(None)
    _refuse_half_steps(wanted, targets)
    plan = Plan(
        run=run,
        copies=run
        and told.precision != "fp16"
        and not (given or runtimes or told.external_data or told.images)
        and told.float_type is None,
        precision=cast(Precision, told.precision),
        targets=targets,
        shape=SHAPE if told.input_shape is None else image_shape(told.input_shape),
        ranges=how_ranges_come(told.calibrate, told.calibration, told.keep_float)
        if int8 and not run
        else None,
        images=told.images,
        wanted=wanted,
        engine=Engine(
            batch=None if told.engine_batch is None else batches(told.engine_batch, told.batch),
            dla_core=told.dla_core,
            build=told.build_engine,
        ),
        mean=mean,
        std=std,
        given=given,
    )
    if told.build_engine and runtimes and {each.name for each in runtimes} == {"onnxruntime"}:
        raise BadInput(f"--build-engine builds for TensorRT, and --runtime {runtimes[0]} was given")
    if not plan.tensorrt:
        engines: dict[str, object] = {"--build-engine": told.build_engine or None}
        engines |= {"--engine-batch": told.engine_batch, "--dla-core": told.dla_core}
        _refuse(engines, "no file for TensorRT was asked for")
    if form.input == "uint8" and ":" in source and mean is None:
        raise BadInput(
            f"--input uint8 normalises inside, and how {source} was trained is not known: give"
            " --mean and --std, or --mean imagenet"
        )
    return plan


def _targets(told: ExportOptions, runtimes: tuple[Runtime, ...]) -> tuple[str, ...]:
    """The targets asked for; if none is, those that the runtimes named run."""
    programs = {runtime.name for runtime in runtimes}
    fits = tuple(target for target in TARGETS if _program(target) in programs)
    targets = tuple(dict.fromkeys(told.targets)) or fits or TARGETS
    for runtime in runtimes:
        if runtime.name not in map(_program, targets):
            raise BadInput(f"--runtime {runtime} runs no file for {', '.join(targets)}")
    if told.float_type == "float16" and "tensorrt" not in targets:
        raise BadInput(
            f"--float-type float16 is for --target tensorrt; {', '.join(targets)} compute in"
            " float32"
        )
    return targets


def _program(target: str) -> str:
    return "tensorrt" if target == "tensorrt" else "onnxruntime"


def _form_given(told: ExportOptions) -> dict[str, Any]:
    if told.layout is not None and told.input != "uint8":
        raise BadInput("--layout is of raw pixels: give --input uint8 with it")
    values = {
        "input": told.input,
        "layout": told.layout,
        "head": told.head,
        "batch": told.batch,
        "opset": told.opset,
    }
    return {name: value for name, value in values.items() if value is not None}


def _refuse_half_steps(wanted: Wanted, targets: tuple[str, ...]) -> None:
    if wanted.float_type != "float16" or "tensorrt" not in targets:
        return
    form = wanted.form_of("tensorrt")
    most = form.limits("tensorrt")
    if form.opset is not None and form.opset < FIRST_WITH_HALF_STEPS:
        why = f"--opset {form.opset} was given"
    elif most is not None and most[0] < FIRST_WITH_HALF_STEPS:
        why = f"{form.runtime} reads up to {most[0]}"
    else:
        return
    raise BadInput(
        f"--float-type float16: ONNX quantizes float16 from opset {FIRST_WITH_HALF_STEPS} on,"
        f" and {why}"
    )


def _known(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise BadInput(f"{option} {value}: expected one of {', '.join(known)}")


def _refuse(given: Mapping[str, object], why: str) -> None:
    for option, value in given.items():
        if value is not None and value != ():
            raise BadInput(f"{option} has no meaning here: {why}")
