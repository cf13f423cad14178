"""The build plan beside an ONNX file: how each TensorRT version makes an engine of it.

`model.onnx` gets `model.plan.json`, a JSON object:
    schema           1
    file, sha256     the ONNX file, by its name: the plan lies beside it
    side_files       name -> sha256 of the files that hold weights outside of it
    inputs           name -> {"declared", "min", "opt", "max"}: its shape as the file has it (a free
                     axis is a name or null), and the sizes that the engine is to take
    batch            {"min", "opt", "max"}
    precision        {"asked": as-file | fp32 | fp16 | int8, "file": fp32 | fp16 | int8}
    dla_core         number of the accelerator; null: the GPU
    workspace_bytes  the most that the builder may take for one layer
    engine, layers   files that the lines below write, beside the ONNX file; `layers` is for
                     fusion_report(engine_layers=...)
    tensorrt         version -> {"jetpack": releases that bring this minor version, "builds"} and,
                     where it builds, {"strongly_typed", "precision_flags", "timing_cache": a file
                     of its own, "build": trtexec's line, "time": the line that then times the
                     engine, "notes": what to know besides}, else {"why": what it cannot take}.
                     Lines are run where the file lies
    agent            {"request": what the device agent takes (deploy/agent/protocol.py), "profile":
                     the command that sends it, "notes"}, or {"request": null, "why"}
Whether an engine can be built is known when it is built: memory or a kernel may be wanting.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..deploy.agent.engine_cache import sha256
from ..deploy.agent.errors import AgentError
from ..deploy.agent.inputs import fixed_sizes
from ..deploy.agent.onnx_file import OnnxFile, read_onnx
from ..deploy.agent.precision import held
from ..deploy.agent.protocol import PRECISIONS, Case
from ..deploy.agent.trtexec_flags import Asked, numbers
from ..models.errors import BadInput

if TYPE_CHECKING:
    from onnx import ModelProto

SCHEMA = 1
VERSIONS = ("8.6.1", "10.3.0", "10.16.1", "11.4.0")
WORKSPACE_BYTES = 1 << 30
MIB = 1 << 20
Batch = tuple[int, int, int]
Shapes = dict[str, list[int]]


def write_build_plan(onnx_path: Path, **settings: Any) -> Path:
    """`<stem>.plan.json` beside the ONNX file; `settings` and errors as of `build_plan`."""
    path = onnx_path.with_name(f"{onnx_path.stem}.plan.json")
    path.write_text(json.dumps(build_plan(onnx_path, **settings), indent=2) + "\n")
    return path


def build_plan(
    onnx_path: Path,
    *,
    versions: Sequence[str] = VERSIONS,
    batch: Batch | None = None,
    dla_core: int | None = None,
    workspace_bytes: int = WORKSPACE_BYTES,
    timing_cache: str | None = None,
    precision: str = "as-file",
) -> dict[str, Any]:
    """The plan, as the head of this file lays it out.

    batch: smallest, best and largest; None: the file's own, or 1 where it is free.
    timing_cache: a file's name for all versions; None: one of its own for each, as none takes
    another's.

    Raises:
        BadInput: no ONNX file, another axis than the batch is free, or a setting cannot be used.
    """
    from .agent_job import agent_job
    from .build_lines import build_lines

    _refuse_settings(versions, batch, dla_core, workspace_bytes, timing_cache, precision)
    try:
        onnx = read_onnx(onnx_path)
        sizes = batch or (_own_batch(onnx),) * 3
        least, best, most = (_shapes(onnx, size, batch is None) for size in sizes)
    except AgentError as error:
        raise BadInput(f"{onnx_path.name}: {error}") from None
    proto = _load(onnx_path)
    case = Case(
        model=onnx_path.name,
        label=onnx_path.stem,
        engine="tensorrt",
        batch=sizes[1],
        precision=precision,
        dla_core=dla_core,
    )
    entries = {}
    for version in versions:
        asked = Asked(
            numbers(version) or (0, 0, 0),
            case,
            onnx,
            best,
            workspace_mib=workspace_bytes // MIB,
        )
        if least != most:
            asked = replace(asked, least=least, most=most)
        entries[version] = build_lines(version, asked, timing_cache, proto)
    side_files = _side_files(proto, onnx_path)
    return {
        "schema": SCHEMA,
        "file": onnx_path.name,
        "sha256": sha256(onnx_path),
        "side_files": side_files,
        "inputs": {
            name: {"declared": declared, "min": least[name], "opt": best[name], "max": most[name]}
            for name, declared in onnx.inputs.items()
        },
        "batch": dict(zip(("min", "opt", "max"), sizes, strict=True)),
        "precision": {"asked": precision, "file": held(onnx)},
        "dla_core": dla_core,
        "workspace_bytes": workspace_bytes,
        "engine": f"{onnx_path.stem}.engine",
        "layers": f"{onnx_path.stem}.layers.json",
        "tensorrt": entries,
        "agent": agent_job(case, onnx, sizes, workspace_bytes, list(side_files)),
    }


def _own_batch(onnx: OnnxFile) -> int:
    """The first axis of the inputs where it is fixed, else 1."""
    firsts = [sizes[0] for sizes in onnx.inputs.values() if sizes]
    return next((size for size in firsts if isinstance(size, int)), 1)


def _shapes(onnx: OnnxFile, batch: int, as_declared: bool) -> Shapes:
    """Every input's sizes; as_declared: one whose axes are all fixed is held to no batch."""
    found = {}
    for name, declared in onnx.inputs.items():
        fixed = [size for size in declared if isinstance(size, int)]
        whole = len(fixed) == len(declared)
        found[name] = fixed if as_declared and whole else fixed_sizes(name, declared, batch)
    return found


def _load(path: Path) -> ModelProto:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs

    try:
        # By default the suffix would choose the format.
        return onnx.load(path, format="protobuf", load_external_data=False)
    except (DecodeError, RuntimeError, ValueError) as error:
        raise BadInput(f"{path.name} is no ONNX model: {error}") from None


def _side_files(proto: ModelProto, path: Path) -> dict[str, str]:
    """Name -> sha256. Raises BadInput: one that cannot be read, or lies elsewhere."""
    from onnx.external_data_helper import uses_external_data

    from .model_parts import tensors
    from .side_file import span

    found = {}
    for each in tensors(proto):
        if uses_external_data(each.tensor):
            place = span(each.tensor, path)
            if isinstance(place, str):
                raise BadInput(f"{path.name}: {each.name} {place}")
            location = {entry.key: entry.value for entry in each.tensor.external_data}["location"]
            if location not in found:
                found[location] = sha256(place.file)
    return dict(sorted(found.items()))


def _refuse_settings(
    versions: Sequence[str],
    batch: Batch | None,
    dla_core: int | None,
    workspace_bytes: int,
    timing_cache: str | None,
    precision: str,
) -> None:
    wrong = [version for version in versions if numbers(version) is None]
    if wrong or not versions:
        found = wrong[0] if wrong else "none"
        raise BadInput(f"TensorRT version {found}: expected some such as {', '.join(VERSIONS)}")
    if batch is not None and not 1 <= batch[0] <= batch[1] <= batch[2]:
        raise BadInput(f"batch {batch}: expected the smallest, the best and the largest, from 1 on")
    if dla_core is not None and not 0 <= dla_core <= 15:
        raise BadInput(f"DLA core {dla_core}: expected a number from 0 to 15")
    if dla_core is not None and batch is not None and batch[0] != batch[2]:
        raise BadInput(f"batch {batch} on a DLA: an engine for it has one batch; give one")
    if workspace_bytes < MIB or workspace_bytes % MIB:
        raise BadInput(f"workspace of {workspace_bytes} bytes: expected whole MiB, of {MIB} bytes")
    if timing_cache is not None and Path(timing_cache).name != timing_cache:
        raise BadInput(f"timing cache {timing_cache}: expected a file's name without a folder")
    if precision not in PRECISIONS:
        raise BadInput(f"precision {precision}: expected one of {', '.join(PRECISIONS)}")
