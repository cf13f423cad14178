"""What lies beside a file for TensorRT: the lint's findings, the build plan, an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..export.runtimes import Runtime, oldest
from .events import emit

if TYPE_CHECKING:
    from ..export.tensorrt_finding import Finding

Batch = tuple[int, int, int]
SHOWN = 5
"""Findings of one file told; the rest are counted."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What is asked of the engines."""

    batch: Batch | None = None
    """Smallest, best and largest batch; None: the file's own, or 1 where it is free."""
    dla_core: int | None = None
    build: bool = False


def plan_for(path: Path, engine: Engine, runtime: Runtime | None) -> tuple[Path, str]:
    """The build plan written beside the ONNX file, and why its release refuses the file, or "".

    Findings are told as notes. `runtime` None: the oldest supported.
    """
    import onnx

    from ..export.build_plan import write_build_plan
    from ..export.tensorrt_lint import VERSIONS, tensorrt_lint

    wanted = runtime or oldest("tensorrt")
    reason, release = "", _newest_before(wanted, VERSIONS)
    if release is None:
        emit("note", text=f"{path.name}: there is no operator table of {wanted}; not linted")
    else:
        findings = tensorrt_lint(onnx.load(path, load_external_data=False), release)
        reason = _tell(path, release, findings)
    return write_build_plan(path, batch=engine.batch, dla_core=engine.dla_core), reason


def _newest_before(runtime: Runtime, releases: Sequence[str]) -> str | None:
    """The newest of `releases` that is not newer than `runtime`."""
    older = [each for each in releases if _numbers(each) <= _numbers(runtime.version)]
    return max(older, key=_numbers, default=None)


def _tell(path: Path, release: str, findings: tuple[Finding, ...]) -> str:
    for finding in findings[:SHOWN]:
        emit("note", text=f"{path.name}: TensorRT {release}: {finding.severity}: {finding}")
    if len(findings) > SHOWN:
        emit("note", text=f"{path.name}: TensorRT {release}: {len(findings) - SHOWN} more findings")
    errors = [finding for finding in findings if finding.severity == "error"]
    return f"TensorRT {release} does not take {path.name}: {errors[0]}" if errors else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
