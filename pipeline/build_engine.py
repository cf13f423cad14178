"""A TensorRT engine built where the export runs, by the agent's own builder.

Beside `<stem>.engine` lie its timing cache and `<stem>.engine.json`, written last:
    tensorrt, gpu, compute_capability, sm_count, cuda_runtime    what it was built with and for; it
                     loads nowhere else
    file, sha256, bytes, seconds    of the engine, and how long the building took
    onnx             {"file", "sha256", "side_files"} of what it was built from
    inputs, batch, precision, dla_core, workspace_bytes    as the plan has them
    timing_cache     a file of TensorRT's timings, which makes the next build faster
    strongly_typed, precision_flags, tf32    how the types were given
    layers, int8_layers    counts, or null
    Layers, Bindings    what TensorRT's inspector says: `fusion_report(engine_layers=...)` reads it
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..deploy.agent.cudart import open_cudart
from ..deploy.agent.engine_cache import sha256
from ..deploy.agent.errors import AgentError
from ..deploy.agent.files import Files
from ..deploy.agent.layer_info import layer_counts
from ..deploy.agent.nvml import gpu_facts
from ..deploy.agent.onnx_file import read_onnx
from ..deploy.agent.precision import types_for
from ..deploy.agent.tensorrt_build import (
    build,
    can_be_strong,
    layers_json,
    load_tensorrt,
    messages,
    opened,
    started,
)
from ..deploy.errors import DeviceError
from ..export.build_plan import SCHEMA
from ..models.errors import BadInput, MissingPackage

ASKED = ("inputs", "batch", "precision", "dla_core", "workspace_bytes")


def build_engine(
    onnx_path: Path, plan: Mapping[str, Any], out: Path, *, root: Path = Path("/")
) -> Path:
    """`<stem>.engine` in the folder `out`, built as `plan` (export/build_plan.py) says.

    Raises:
        BadInput: the plan is of another file, or TensorRT cannot take the file as asked.
        MissingPackage: TensorRT or CUDA's runtime is not installed here.
        DeviceError: there is no GPU that it can use, or it cannot build the engine.
    """
    _refuse_other(onnx_path, plan)
    try:
        return _built(onnx_path, plan, out, root)
    except AgentError as error:
        raise _told(error, onnx_path) from None


def _built(onnx_path: Path, plan: Mapping[str, Any], out: Path, root: Path) -> Path:
    trt = load_tensorrt()
    cuda = open_cudart()
    logger = messages(trt)
    version, core = str(trt.__version__), plan["dla_core"]
    types = types_for(
        plan["precision"]["asked"],
        read_onnx(onnx_path),
        version,
        can_be_strong(trt),
        dla=core is not None,
    )
    runtime = started(trt.Runtime, logger)
    if core is not None:
        runtime.DLA_core = core
    out.mkdir(parents=True, exist_ok=True)
    engine_path = out / f"{onnx_path.stem}.engine"
    timings = out / f"{onnx_path.stem}.{version}.timing.cache"
    inputs: dict[str, dict[str, list[int]]] = plan["inputs"]
    start = time.monotonic()
    serialized, told = build(
        trt,
        logger,
        onnx_path,
        plan["batch"]["opt"],
        types,
        core,
        timings,
        shapes={name: (of["min"], of["opt"], of["max"]) for name, of in inputs.items()},
        workspace_bytes=plan["workspace_bytes"],
    )
    seconds = round(time.monotonic() - start, 3)
    text = layers_json(trt, opened(runtime, logger, serialized))
    record = engine_path.with_name(f"{engine_path.name}.json")
    record.unlink(missing_ok=True)  # none may stand beside another engine's bytes
    _write(engine_path, bytes(memoryview(serialized)))
    facts = {
        "tensorrt": version,
        "gpu": _gpu_name(root),
        "compute_capability": cuda.compute_capability(),
        "sm_count": cuda.sm_count(),
        "cuda_runtime": cuda.version,
        "file": engine_path.name,
        "sha256": sha256(engine_path),
        "bytes": engine_path.stat().st_size,
        "seconds": seconds,
        "onnx": {name: plan[name] for name in ("file", "sha256", "side_files")},
        "timing_cache": timings.name if timings.is_file() else None,
        "strongly_typed": types.strong,
        "precision_flags": list(types.flags),
        **{name: plan[name] for name in ASKED},
        **told,
        "layers": None,
        "int8_layers": None,
        **(layer_counts(text) or {}),
        **_layers(text),
    }
    _write(record, (json.dumps(facts, indent=2) + "\n").encode())
    return engine_path


def _refuse_other(onnx_path: Path, plan: Mapping[str, Any]) -> None:
    if not onnx_path.is_file():
        raise BadInput(f"{onnx_path}: no such file; expected the ONNX file of the plan")
    if plan.get("schema") != SCHEMA:
        raise BadInput(
            f"the plan has schema {plan.get('schema')}, expected {SCHEMA}; write it anew"
        )
    for name, digest in {onnx_path.name: plan["sha256"], **plan["side_files"]}.items():
        path = onnx_path.parent / name
        if not path.is_file() or sha256(path) != digest:
            raise BadInput(f"{name} is not the file that the plan is for; write the plan anew")


def _told(error: AgentError, onnx_path: Path) -> Exception:
    """The agent's error, for whoever exports."""
    if error.kind == "missing":
        cause = error.__cause__ or error
        return MissingPackage(
            f"no engine of {onnx_path.name}: TensorRT is not usable here ({cause}); install it"
            " with: pip install 'edgestill[tensorrt]' (on a Jetson it is the system's: sudo apt-get"
            " install python3-libnvinfer), or build it elsewhere by the plan's lines"
        )
    text = f"no engine of {onnx_path.name}: {error}"
    return BadInput(text) if error.kind == "request" else DeviceError(text)


def _layers(text: str) -> dict[str, Any]:
    """What the inspector says, or null where that is no JSON: the engine is there all the same."""
    try:
        found = json.loads(text)
        return {"Layers": found["Layers"], "Bindings": found.get("Bindings", [])}
    except (ValueError, KeyError, TypeError):
        return {"Layers": None, "Bindings": None}


def _gpu_name(root: Path) -> str | None:
    """A graphics card's, or the Jetson's."""
    facts = gpu_facts(root)
    if facts is not None:
        return str(facts["name"])
    files, name = Files(root), "proc/device-tree/model"
    return files.text(name) if files.exists(name) else None


def _write(path: Path, content: bytes) -> None:
    """Complete or absent."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
