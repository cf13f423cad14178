"""The check of an exported model, line by line; `check_lines.LINES` is the page to read."""

# N samples

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import BadInput, OutOfMemory
from . import check_latency
from .check_facts import facts
from .check_lines import LINES, Check
from .check_report import CheckReport, Fail, Line, Skip, Verdict
from .check_subject import PROTOBUF_BYTES, Subject, open_subject
from .contract import Contract
from .runtime import one_line
from .targets import TARGETS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .arm64 import Arm64

__all__ = ["CheckReport", "Line", "Verdict", "check_model"]

MORE_MEMORY = "takes more memory than the check may use; allow more with --memory"


def check_model(
    path: Path,
    *,
    contract: Contract,
    target: str | None = None,
    reference: Path | None = None,
    samples: Mapping[str, NDArray[Any]] | NDArray[Any] | None = None,
    labels: NDArray[Any] | None = None,
    threads: int = 1,
    arm64: Arm64 | None = None,
    planned: Callable[[tuple[str, ...]], None] = lambda names: None,
    begun: Callable[[str], None] = lambda name: None,
    ended: Callable[[Line], None] = lambda line: None,
) -> CheckReport:
    """The report on the model at `path`, held to `contract`, run in ONNX Runtime on this machine.

    `samples` are (N, ...) as the model takes them, for every input by name, or one array for a
    model with one input; without them seeded noise goes through and the report says so.
    `reference` is the model whose outputs and top-1 are expected, or an .npz of recorded ones; by
    default the contract's. `arm64` is an emulated processor, on which the model is run as well.
    A line stands in the report if the contract asks for it or if its material was given;
    `planned` is called with the names of all, `begun` before and `ended` after each. A fault of the
    model is a line; a fault in what else was given is `BadInput`.
    """
    target = target or contract.target
    _known(target)
    if reference is None and contract.reference is not None:
        reference = Path(contract.reference)
    subject = open_subject(
        path,
        contract=contract,
        target=target,
        reference=reference,
        samples=samples,
        labels=labels,
        threads=threads,
        arm64=arm64,
    )
    check_latency.look_over_baseline(contract.latency)
    import onnx
    import onnxruntime

    lines: dict[str, Line] = {}
    checks = [check for check in LINES if _asked(check, subject)]
    planned(tuple(check.name for check in checks))
    for check in checks:
        begun(check.name)
        lines[check.name] = _line(check, subject, lines)
        ended(lines[check.name])
    # What the lines kept from ONNX Runtime must not be opened by it for the report's head.
    loaded = lines["loads"].verdict == "pass"
    return CheckReport(
        model=str(path),
        sha256=_sha256(path),
        bytes=path.stat().st_size,
        target=subject.target,
        reference=None if reference is None else str(reference),
        inputs=subject.inputs if loaded else "none: the model was not loaded",
        tools={"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
        | ({} if arm64 is None else {"arm64": str(arm64)}),
        lines=tuple(lines.values()),
        allow_skipped=contract.allow_skipped,
        allow_undecided=contract.allow_undecided,
        facts=facts(subject, loaded=loaded),
        required=contract.limits(subject.target),
    )


def _asked(check: Check, subject: Subject) -> bool:
    """Whether the line is wanted; where the asking breaks on the file, it is, and tells why."""
    try:
        return check.asked(subject)
    except Exception:
        return True


def _line(check: Check, subject: Subject, before: dict[str, Line]) -> Line:
    """The line of one check; whatever happens in it becomes its verdict."""
    for need in check.needs:
        if before[need].verdict != "pass":
            return Line(name=check.name, verdict="skipped", why=f"{need!r} did not pass before it")
    try:
        return check.run(subject)
    except Skip as reason:
        return Line(name=check.name, verdict="skipped", why=str(reason))
    except Fail as reason:
        if not isinstance(reason.__cause__, OutOfMemory):
            return Line(name=check.name, verdict="fail", why=str(reason))
        return Line(name=check.name, verdict="error", why=MORE_MEMORY)
    except (MemoryError, OutOfMemory):
        return Line(name=check.name, verdict="error", why=MORE_MEMORY)
    # A line that breaks in a way nobody foresaw must not hide the others; it fails the check.
    except Exception as error:
        why = f"{type(error).__name__}: {one_line(error)}"
        return Line(name=check.name, verdict="error", why=why)


def _known(target: str | None) -> None:
    if target is not None and target not in TARGETS:
        near = difflib.get_close_matches(target, TARGETS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise BadInput(f"unknown target {target!r}; {hint}known: {', '.join(TARGETS)}")


def _sha256(path: Path) -> str:
    """The file's; "" of one too large for protobuf, which may be too large to be read through."""
    if path.stat().st_size >= PROTOBUF_BYTES:
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
