"""The contract of an export: what a model must keep to, read from [check] of a TOML file."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..models.errors import BadInput


def _bytes(value: object) -> object:
    """200_000 and "200KB" are the same number."""
    from ..models.budget import parse_quantity

    return parse_quantity(value) if isinstance(value, str) else value


Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Bytes = Annotated[int, Field(ge=1), BeforeValidator(_bytes)]


class ParityLimits(BaseModel):
    """[check.parity]: how far the logits may be from the reference's. Model specific, so unset."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    max_abs: Annotated[float, Field(ge=0)] | None = None
    """Largest difference of two logits."""
    cosine_min: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Least cosine of any row of logits."""
    top1_agreement_min: Share | None = None
    """Least share of images on which both name the same class."""


class Contract(BaseModel):
    """[check]: every line is optional; an unset limit is not checked."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    top1_drop: Share | None = None
    """Top-1 that may be lost against the reference on labelled images; 0.01 is one point."""
    int8_fraction: Share | None = None
    """Least share of convolutions and matrix products that the runtime runs in INT8."""
    opset_max: Count | None = None
    """Newest ONNX opset; unset: what the target's oldest supported runtime reads."""
    ir_max: Count | None = None
    """Newest ONNX IR version; unset: as for the opset."""
    max_bytes: Bytes | None = None
    """Size of the model with its side files: a number, or text as "200KB"."""
    parity: ParityLimits = ParityLimits()
    finite: bool = True
    """No NaN or Inf for zeros, extremes, noise and the images given."""
    batch_invariant: bool = True
    """A row of logits depends on its own image alone."""
    # WRN-16, ResNet-18 and MobileNetV2, FP32 and static INT8, differ by 0 (AVX-512). The room is
    # for kernels that round a single row otherwise: one INT8 code flipped by a float's last bit
    # moves a logit by less than 1 % of the largest. That rows depend is judged without room.
    batch_tolerance: Annotated[float, Field(ge=0)] = 0.01
    """Difference of batch 1 from batch N, as a share of the largest logit."""
    # Convolutions and products in INT8 are exact. QLinearAdd adds in float32: a sum within its
    # rounding of half a code falls to either side (3 of 32768 in one Add of ResNet-18), and what
    # follows carries the code on. How far depends on the network, so it is measured as well.
    arm64_tolerance: Annotated[float, Field(ge=0)] = 0.01
    """Difference of emulated arm64 from x86-64, as a share of the largest logit; where running the
    file unfused on x86-64 differs from that by more, as much as it does."""
    dynamic_batch: bool = False
    """The batch axis must be free."""
    single_file: bool = True
    """No weights in files beside the model."""
    allow_skipped: bool = True
    """False: a line that could not be checked fails the check as a whole."""

    @property
    def limits(self) -> tuple[str, ...]:
        """Names of the lines that this contract sets a limit for."""
        alone = {"top1_drop": self.top1_drop, "int8_fraction": self.int8_fraction}
        parity = {f"parity.{name}": value for name, value in self.parity.model_dump().items()}
        return tuple(name for name, value in (alone | parity).items() if value is not None)


def contract_from_toml(path: Path) -> Contract:
    """The contract in `path`. `BadInput` names the file, the table and the key."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 text (byte {error.start}); expected TOML") from error
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"{path}: not TOML: {' '.join(str(error).split())}") from error
    strangers = [key for key in document if key != "check"]
    if strangers:
        raise BadInput(f"{path}: unknown table [{strangers[0]}]; a contract holds [check] alone")
    if not isinstance(document.get("check"), dict):
        raise BadInput(f"{path}: no [check] table; a contract is written below a line [check]")
    try:
        return Contract.model_validate(document["check"])
    except ValidationError as error:
        raise BadInput(f"{path}: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    """The first complaint, with its table and key, as one line."""
    problems = error.errors(include_url=False)
    problem = problems[0]
    *tables, key = [str(part) for part in problem["loc"]] or ["check"]
    known = Contract if not tables else ParityLimits
    says = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, known.model_fields, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        says = f"unknown key; {hint}known: {', '.join(known.model_fields)}"
    else:
        says = f"{says}, found {_short(problem['input'])}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"[{'.'.join(('check', *tables))}] {key}: {' '.join(says.split())}{more}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
