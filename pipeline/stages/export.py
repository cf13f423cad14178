"""Stage export: the student as ONNX, once in float and once per runtime in INT8.

Leaves model.fp32.onnx, model.<target>.onnx, teacher.fp32.onnx where the teacher can be exported,
fusion.json (what each runtime really fuses) and export.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...export.dialects import write_dialect
from ...export.fusion import fusion_report
from ...export.int8_speed import speed_note
from ...export.to_onnx import onnx_from_model
from ...models.checkpoints import load_weights
from ...models.errors import BadInput, EdgestillError
from ...models.fake_quant import prepare
from ...models.fold import fold_batch_norm
from ...models.ranges import Ranges
from ..events import JSON, emit
from ..exporting import agrees, save_onnx
from ..inputs import Inputs
from ..networks import blocks_of, load_network, read_json, size_of, write_json
from ..recipe import Recipe

if TYPE_CHECKING:
    from torch import nn


def run(inputs: Inputs, settings: Recipe, out: Path) -> dict[str, JSON]:
    """Write every file, and compare the float one with the network it came from."""
    import torch

    facts = read_json(inputs["teacher"] / "data.json")
    description = inputs["distill"] / "student.json"
    told = read_json(description)
    size = size_of(told)
    shape = (3, size, size)
    host = torch.device("cpu")

    student = load_network(description, inputs["distill"] / "student.safetensors", host)
    save_onnx(onnx_from_model(student, shape), out / "model.fp32.onnx", facts)
    worst = agrees(student, out / "model.fp32.onnx", shape)

    kept = read_json(inputs["quantize"] / "quantized.json")["keep_float"]
    prepared = prepare(fold_batch_norm(student, blocks=blocks_of(told, student)), keep_float=kept)
    prepared.load_state_dict(load_weights(inputs["quantize"] / "student_int8.safetensors"))
    marked = onnx_from_model(prepared.eval(), shape)
    ranges = Ranges.from_json((inputs["quantize"] / "ranges.json").read_text())
    fusion: dict[str, Any] = {}
    for target in settings.export.targets:
        path = out / f"model.{target}.onnx"
        save_onnx(write_dialect(marked, ranges, target), path, {**facts, "target": target})
        fusion[target] = fusion_report(path, target).to_json()
        if slow := speed_note(out / "model.fp32.onnx", path, target):
            emit("note", text=slow)
    write_json(out / "fusion.json", fusion)
    refusal = _export_teacher(inputs["teacher"], shape, out / "teacher.fp32.onnx", facts)
    files = sorted(path.name for path in out.glob("*.onnx"))
    write_json(
        out / "export.json",
        {"files": files, "targets": list(fusion), "teacher": refusal, "image_shape": shape},
    )
    share = ", ".join(f"{name} {each['int8']}/{each['total']}" for name, each in fusion.items())
    return {
        "max_abs_against_torch": worst,
        "bytes": {path.name: path.stat().st_size for path in out.glob("*.onnx")},
        "headline": f"INT8 kernels: {share}",
    }


def _export_teacher(folder: Path, shape: tuple[int, int, int], path: Path, facts: Any) -> str:
    """Write the teacher for comparison; the reason if a teacher of the user's own cannot leave."""
    import torch

    teacher: nn.Module = load_network(
        folder / "teacher.json", folder / "teacher.safetensors", torch.device("cpu")
    )
    try:
        save_onnx(onnx_from_model(teacher, shape), path, facts)
        agrees(teacher, path, shape)
    except (BadInput, EdgestillError) as reason:
        path.unlink(missing_ok=True)
        emit("note", text=f"the teacher is not exported, so it is not timed: {reason}")
        return str(reason)
    return ""
