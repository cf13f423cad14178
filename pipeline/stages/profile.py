"""Stage profile: the exported files timed where they run, with energy if the machine can tell.

Leaves measurements.json (figures and every sample, in milliseconds) and board.json.
"""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path
from typing import Any

from ...deploy.session import profile
from ..events import JSON
from ..inputs import Inputs
from ..measuring import told as progress_of
from ..networks import read_json, write_json
from ..recipe import Recipe

NATIVE = {"x86_64": "ort-x86", "aarch64": "ort-arm64"}


def run(inputs: Inputs, settings: Recipe, out: Path) -> dict[str, JSON]:
    """Time the float files and the INT8 file that is made for this processor."""
    told = settings.profile.on[0]
    files = {"teacher": "teacher.fp32.onnx", "student": "model.fp32.onnx"}
    native = NATIVE.get(platform.machine())
    if native is not None:
        files[native] = f"model.{native}.onnx"
    present = read_json(inputs["export"] / "export.json")["files"]
    files = {name: file for name, file in files.items() if file in present}
    measured: dict[str, Any] = {}
    board: Any = None
    for name, file in files.items():
        measurement = profile(
            inputs["export"] / file,
            target=told.target,
            engine=told.engine,
            batch=told.batch,
            threads=told.threads,
            seconds=told.seconds,
            min_runs=told.runs,
            on_progress=progress_of(f"profile {name}"),
        )
        figures = dataclasses.asdict(measurement)
        board = figures.pop("board")
        measured[name] = figures
    write_json(out / "measurements.json", {"settings": told.model_dump(), "files": measured})
    write_json(out / "board.json", board)
    p50 = {name: figures["latency_ms"]["p50"] for name, figures in measured.items()}
    text = ", ".join(f"{name} {value:.3g}" for name, value in p50.items())
    return {"p50_ms": p50, "headline": f"p50 ms: {text}"}
