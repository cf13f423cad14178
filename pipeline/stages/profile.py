"""Stage profile: the exported files timed in turns on each target, with energy where it tells.

Leaves measurements.json (figures and every sample, in milliseconds) and board.json, both by target.
What the targets' own names say is in the key; the boards behind them are not: another board under
the same name needs another `name`, or the artifact removed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ...deploy.session import Case, open_device
from ..comparison import compared
from ..events import JSON, emit
from ..inputs import Inputs
from ..measuring import told as progress_of
from ..networks import read_json, write_json
from ..profile_cases import provider_name, threads_of
from ..profile_settings import On
from ..recipe import Recipe

NATIVE = {"x86_64": "ort-x86", "aarch64": "ort-arm64"}


def run(inputs: Inputs, settings: Recipe, out: Path) -> dict[str, JSON]:
    """Time the float files and the INT8 file made for each target's runtime.

    A target that fails fails the stage; those before it need not be measured again.
    """
    measured: dict[str, Any] = {}
    boards: dict[str, Any] = {}
    for index, on in enumerate(settings.profile.on):
        kept = inputs.scratch / f"{index}.json"
        if not kept.exists():
            write_json(kept.with_suffix(".new"), _measured(on, inputs["export"]))
            os.replace(kept.with_suffix(".new"), kept)
        measured[on.called] = read_json(kept)
        boards[on.called] = measured[on.called].pop("board")
    order = list(measured)
    write_json(out / "measurements.json", {"order": order, "targets": measured})
    write_json(out / "board.json", boards)
    p50: dict[str, JSON] = {}
    told = []
    for name in order:
        files = measured[name]["files"]
        p50[name] = {file: each["latency_ms"]["p50"] for file, each in files.items()}
        text = ", ".join(f"{file} {each['latency_ms']['p50']:.3g}" for file, each in files.items())
        told.append(f"{name}: {text}" if len(order) > 1 else text)
    return {"p50_ms": p50, "headline": f"p50 ms: {'; '.join(told)}"}


def files_for(on: On, machine: str) -> dict[str, str]:
    """{name in figures: exported file} that target `on`, a `machine` as uname says, can run."""
    files = {"teacher": "teacher.fp32.onnx", "student": "model.fp32.onnx"}
    native = NATIVE.get(machine) if on.provider == "cpu" else None  # CUDA has no INT8 kernels
    if on.engine != "onnxruntime" or on.provider == "tensorrt":
        native = "tensorrt"
    return files if native is None else {**files, native: f"model.{native}.onnx"}


def _measured(on: On, exported: Path) -> dict[str, Any]:
    """One target's part of measurements.json, and its board."""
    present = read_json(exported / "export.json")["files"]
    on_cpu = on.engine == "onnxruntime" and on.provider == "cpu"
    with open_device(on.target) as device:
        files = files_for(on, device.probe()["machine"])
        names = [name for name, file in files.items() if file in present]
        profile = device.profile(
            [
                Case(
                    model=exported / files[name],
                    label=name,
                    engine=on.engine,
                    provider=provider_name(on.engine, on.provider),
                    batch=on.batch,
                    threads=threads_of(on.engine, on.provider, on.threads if on_cpu else None),
                )
                for name in names
            ],
            rounds=on.rounds,
            seconds=on.seconds,
            warmup_seconds=on.warmup_seconds,
            min_runs=on.runs,
            power_mode=on.power_mode,
            lock_clocks=on.lock_clocks,
            strict=on.strict,
            on_progress=progress_of(f"profile {on.called}"),
        )
    flags = dict.fromkeys(flag for each in profile.measurements for flag in each.flags)
    if grave := [flag.text for flag in flags if flag.grave]:
        emit("note", text=f"{on.called}: not to be trusted: {'; '.join(grave)}")
    first, *others = profile.measurements
    return {
        "settings": on.model_dump(),
        "set": profile.settings,
        "files": {each.label: each.to_json() for each in profile.measurements},
        "comparisons": [each.to_json() for other in others for each in compared(other, first)],
        "power": profile.power,
        "earlier_slices": profile.earlier_slices,
        "board": profile.board,
    }
