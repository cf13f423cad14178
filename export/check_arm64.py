"""The lines of a check that run the model on an emulated arm64 processor."""

from __future__ import annotations

import math
from pathlib import Path

from ..deploy.agent.cpu import cpu_flags, cpuinfo
from ..deploy.agent.files import Files
from ..models.errors import BadInput
from .check_report import Fail, Line, judged
from .check_subject import Subject
from .parity import compare


def arm64_runs(subject: Subject) -> Line:
    """ONNX Runtime on arm64 opens the file, and gives logits for the inputs."""
    try:
        got = subject.arm64_logits.shape
    except BadInput as error:
        raise Fail(f"ONNX Runtime on arm64: {error}") from error
    return judged(
        "arm64.runs",
        True,
        found=f"logits {got}",
        expected=f"logits from {subject.arm64}",
        why="emulated: the arithmetic of the kernels, not their speed",
    )


def arm64_finite(subject: Subject) -> Line:
    """No NaN or Inf in arm64's logits."""
    import numpy as np

    broken = int((~np.isfinite(subject.arm64_logits).all(axis=1)).sum())
    rows = len(subject.arm64_logits)
    return judged(
        "arm64.finite",
        not broken,
        found=f"NaN or Inf in {broken} of {rows} rows" if broken else "finite",
        expected=f"finite logits for {rows} inputs",
        figures={"non_finite_rows": broken},
    )


def arm64_agrees(subject: Subject) -> Line:
    """arm64's logits are x86-64's, but for what rounding may do.

    Both run the graph that ONNX Runtime makes for arm64, on the same version, so what is seen comes
    from the kernels alone. What rounding may do to this network is seen on x86-64, where the file
    is run fused and unfused; two machines may differ as much as these two do.
    """
    expected = subject.arm64_expected
    got = compare(expected, subject.arm64_logits)
    largest = float(abs(expected).max())
    rounding = compare(expected, subject.unfused).max_abs
    if not math.isfinite(largest + rounding):
        raise Fail("x86-64's own logits are not finite, so nothing can be held to them")
    limit = max(subject.contract.arm64_tolerance * largest, rounding)
    top1 = "" if got.top1_agreement is None else f", top-1 agrees on {got.top1_agreement:.2%}"
    differing = int((expected != subject.arm64_logits).any(axis=1).sum())
    notes = [
        "" if subject.given is not None else "on seeded noise, no images were given",
        "" if sums_are_exact(Files(Path("/"))) else "without VNNI x86-64's own sums may saturate",
    ]
    return judged(
        "arm64.agrees",
        got.max_abs <= limit,
        found=f"max {got.max_abs:.3g}, {differing} of {got.rows} rows differ{top1}",
        expected=f"max <= {limit:.3g} from x86-64 (largest logit {largest:.3g}; unfused there"
        f" {rounding:.3g})",
        why="; ".join(note for note in notes if note),
        figures={
            "max_abs": got.max_abs,
            "limit": limit,
            "largest": largest,
            "rounding": rounding,
            "differing_rows": differing,
            **({} if got.top1_agreement is None else {"top1_agreement": got.top1_agreement}),
            "rows": got.rows,
        },
    )


def sums_are_exact(files: Files) -> bool:
    """Whether this x86-64 processor adds products of 8-bit codes without saturating."""
    return any("vnni" in flag or "amx_int8" in flag for flag in cpu_flags(cpuinfo(files)) or ())
