"""The check of an exported model, line by line; `LINES` is the page to read."""

# N images, C channels, H rows, W columns

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput
from . import check_against, check_arm64, check_graph, check_runs
from .check_report import CheckReport, Fail, Line, Skip, Verdict
from .check_subject import Subject, open_subject
from .contract import Contract
from .runtime import one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .arm64 import Arm64

__all__ = ["CheckReport", "Line", "Verdict", "check_model"]


@dataclass(frozen=True)
class Check:
    """One line to be: its name, who asks for it, and the line that must have passed before."""

    name: str
    run: Callable[[Subject], Line]
    needs: str = ""
    asked: Callable[[Subject], bool] = lambda subject: True


def _limits_parity(subject: Subject, by: str | None = None) -> bool:
    set_limits = subject.contract.parity.model_dump(exclude_none=True)
    return bool(set_limits) if by is None else by in set_limits


def _emulated(subject: Subject) -> bool:
    return subject.arm64 is not None


LINES = (
    Check("readable", check_graph.readable),
    Check("checker", check_graph.checker, "readable"),
    Check("shapes", check_graph.shapes, "readable"),
    Check("operators", check_graph.operators, "readable"),
    Check("quantizers", check_graph.quantizers, "readable", lambda s: s.target == "tensorrt"),
    Check("opset_max", check_graph.opset_max, "readable"),
    Check("ir_max", check_graph.ir_max, "readable"),
    Check("single_file", check_graph.single_file, "readable", lambda s: s.contract.single_file),
    Check(
        "max_bytes",
        check_graph.max_bytes,
        "readable",
        lambda s: s.contract.max_bytes is not None,
    ),
    Check("loads", check_runs.loads, "readable"),
    Check("dynamic_batch", check_runs.dynamic_batch, "loads", lambda s: s.contract.dynamic_batch),
    Check("runs", check_runs.runs, "loads"),
    Check("finite", check_runs.finite, "runs", lambda s: s.contract.finite),
    Check(
        "batch_invariant",
        check_runs.batch_invariant,
        "loads",
        lambda s: s.contract.batch_invariant,
    ),
    *(
        Check(
            f"parity.{limit}",
            partial(check_against.parity_within, limit_name=limit),
            "runs",
            partial(_limits_parity, by=limit),
        )
        for limit in check_against.LIMITS
    ),
    Check(
        "parity",
        check_against.parity_unjudged,
        "runs",
        lambda s: s.reference is not None and not _limits_parity(s),
    ),
    Check(
        "top1_drop",
        check_against.top1_drop,
        "runs",
        lambda s: (
            s.contract.top1_drop is not None or (s.reference is not None and s.labels is not None)
        ),
    ),
    Check(
        "int8_fraction",
        check_against.int8_fraction,
        "loads",
        lambda s: s.contract.int8_fraction is not None or s.target is not None,
    ),
    Check("arm64.runs", check_arm64.arm64_runs, "runs", _emulated),
    Check("arm64.finite", check_arm64.arm64_finite, "arm64.runs", _emulated),
    Check("arm64.agrees", check_arm64.arm64_agrees, "arm64.runs", _emulated),
)


def check_model(
    path: Path,
    *,
    contract: Contract,
    target: str | None = None,
    reference: Path | None = None,
    images: NDArray[Any] | None = None,
    labels: NDArray[Any] | None = None,
    threads: int = 1,
    arm64: Arm64 | None = None,
) -> CheckReport:
    """The report on the model at `path`, held to `contract`, run in ONNX Runtime on this machine.

    `images` (N, C, H, W) are normalised as the model wants them; without them seeded noise goes
    through and the report says so. `reference` is the model whose logits and top-1 are expected.
    `arm64` is an emulated processor, on which the model is run as well.
    A line stands in the report if the contract asks for it or if its material was given.
    A fault of the model is a line; a fault in what else was given is `BadInput`.
    """
    _known(target)
    subject = open_subject(
        path,
        contract=contract,
        target=target,
        reference=reference,
        images=images,
        labels=labels,
        threads=threads,
        arm64=arm64,
    )
    import onnx
    import onnxruntime

    lines: dict[str, Line] = {}
    for check in LINES:
        if check.asked(subject):
            lines[check.name] = _line(check, subject, lines)
    return CheckReport(
        model=str(path),
        sha256=_sha256(path),
        bytes=path.stat().st_size,
        target=target,
        reference=None if reference is None else str(reference),
        inputs=subject.inputs,
        tools={"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
        | ({} if arm64 is None else {"arm64": str(arm64)}),
        lines=tuple(lines.values()),
        allow_skipped=contract.allow_skipped,
        required=contract.limits,
    )


def _line(check: Check, subject: Subject, before: dict[str, Line]) -> Line:
    """The line of one check; whatever happens in it becomes its verdict."""
    if check.needs and before[check.needs].verdict != "pass":
        return Line(
            name=check.name, verdict="skipped", why=f"{check.needs!r} did not pass before it"
        )
    try:
        return check.run(subject)
    except Skip as reason:
        return Line(name=check.name, verdict="skipped", why=str(reason))
    except Fail as reason:
        return Line(name=check.name, verdict="fail", why=str(reason))
    # A line that breaks in a way nobody foresaw must not hide the others; it fails the check.
    except Exception as error:
        why = f"{type(error).__name__}: {one_line(error)}"
        return Line(name=check.name, verdict="error", why=why)


def _known(target: str | None) -> None:
    if target is not None and target not in check_graph.CEILINGS:
        known = tuple(check_graph.CEILINGS)
        near = difflib.get_close_matches(target, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise BadInput(f"unknown target {target!r}; {hint}known: {', '.join(known)}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
