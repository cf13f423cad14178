"""How one TensorRT version makes an engine of an ONNX file, and times it: trtexec's lines."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from ..deploy.agent.errors import AgentError
from ..deploy.agent.precision import held, types_for
from ..deploy.agent.trtexec_flags import TURNED, TYPED, Asked, build_flags, run_flags, why_no_dla
from .fit_opset import opset_of
from .runtimes import JETPACKS, RUNTIMES
from .tensorrt_lint import VERSIONS as LINTED
from .tensorrt_lint import tensorrt_lint

if TYPE_CHECKING:
    from onnx import ModelProto

TRTEXEC = "/usr/src/tensorrt/bin/trtexec"  # NVIDIA's packages put it there, and not on the PATH
RUNS, SECONDS, WARM_UP_MS = 200, 10, 1000
SHOWN = 3
"""Findings of the lint that a reason names; the rest are counted."""


def build_lines(
    version: str, asked: Asked, timing_cache: str | None, proto: ModelProto
) -> dict[str, Any]:
    """The entry of `version` in a build plan; files are called by the case's label."""
    minor = _minor(version)
    findings = tensorrt_lint(proto, minor) if minor in LINTED else ()
    entry: dict[str, Any] = {"jetpack": [pack for pack, its in JETPACKS.items() if its == minor]}
    wrong = [str(each) for each in findings if each.severity == "error"]
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        return {**entry, "builds": False, "why": "; ".join(wrong[:SHOWN]) + more}
    try:
        return {
            **entry,
            "builds": True,
            **_lines(version, asked, timing_cache),
            "notes": [*_notes(version, asked, opset_of(proto)), *dict.fromkeys(map(str, findings))],
        }
    except AgentError as error:
        return {**entry, "builds": False, "why": str(error)}


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _lines(version: str, asked: Asked, timing_cache: str | None) -> dict[str, Any]:
    case, stem = asked.case, asked.case.label
    dla = case.dla_core is not None
    if dla and (why := why_no_dla(asked.version)) is not None:
        raise AgentError("request", why)
    types = types_for(
        case.precision, asked.onnx, version, can_be_strong=asked.version >= TYPED, dla=dla
    )
    cache = timing_cache or f"{stem}.{version}.timing.cache"
    engine = f"{stem}.engine"
    build = build_flags(asked, engine, cache, f"{stem}.layers.json")
    timed = run_flags(
        asked,
        engine,
        runs=RUNS,
        seconds=SECONDS,
        warm_up_ms=WARM_UP_MS,
        times=f"{stem}.times.json",
    )
    return {
        "strongly_typed": types.strong,
        "precision_flags": list(types.flags),
        "timing_cache": cache,
        "build": shlex.join([TRTEXEC, *build]),
        "time": shlex.join([TRTEXEC, *timed]),
    }


def _notes(version: str, asked: Asked, opset: int) -> list[str]:
    """What a reader of the lines should know besides."""
    minor, notes = _minor(version), []
    if minor not in LINTED:
        notes.append(f"operators were not looked at: there is no table for TensorRT {version}")
        newest = [each.opset_max for each in RUNTIMES if str(each) == f"tensorrt-{minor}"]
        if newest and opset > newest[0]:
            notes.append(f"the file is of opset {opset}, and TensorRT {minor} knows {newest[0]}")
    if asked.version >= TURNED:
        notes.append(
            "no JetPack brings it; from 11.4.1 on NVIDIA's Linux SBSA package installs it on"
            " JetPack 7.2.2 and later (AGX Orin, Thor)"
        )
    if asked.case.dla_core is not None:
        if asked.onnx.quantized and asked.version < TURNED:
            notes.append(
                "NVIDIA's guide for these releases: a DLA takes no explicit quantization, so layers"
                " between Q/DQ nodes run on the GPU"
            )
        elif asked.version >= TURNED and held(asked.onnx) == "fp32":
            notes.append("a DLA has no float32, and this file has nothing else: export it as fp16")
    return notes
