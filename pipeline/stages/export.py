"""Stage export: the student as ONNX, in float and once per runtime in INT8.

Leaves model.fp32.onnx, model.<target>.onnx, model.fp16.onnx if asked for, deploy.* of each in the
form for the device if that is another, a build plan beside each file for TensorRT,
teacher.fp32.onnx where the teacher can be exported, fusion.json (what each runtime really fuses)
and export.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...export.file_form import FileForm
from ...export.fusion import fusion_report
from ...export.int8_speed import speed_note
from ...export.metadata import write_metadata
from ...export.onnx_writing import write_onnx
from ...export.to_onnx import onnx_from_model
from ...models.errors import BadInput, GateFailed
from ..events import JSON, emit
from ..export_files import Place, Wanted, Written, write_fp16, write_fp32, write_int8
from ..export_options import wanted_by
from ..export_source import MADE_BY, Network, of_stages
from ..export_tensorrt import Engine, plan_for
from ..exporting import agrees, held_out
from ..inputs import Inputs
from ..networks import load_network, read_json, write_json
from ..recipe import Recipe

if TYPE_CHECKING:
    from torch import nn


def run(inputs: Inputs, settings: Recipe, out: Path) -> dict[str, JSON]:
    """Write every file, and compare the float ones with the network they came from."""
    folders = {stage: inputs[stage] for stage in MADE_BY}
    manifests = {stage: inputs.artifacts[stage].manifest for stage in MADE_BY}
    network = of_stages(folders, manifests)
    images = held_out(inputs.data)
    place = Place(out=out, scratch=inputs.scratch, images=images)
    whole, *others = _files(network, settings, place)
    fusion: dict[str, Any] = {}
    for made in others:
        if made.name in settings.export.targets:
            fusion[made.name] = fusion_report(made.path, made.name).to_json()
            if slow := speed_note(whole.path, made.path, made.name):
                emit("note", text=slow)
    write_json(out / "fusion.json", fusion)
    teacher = out / "teacher.fp32.onnx"
    facts = read_json(inputs["teacher"] / "data.json")
    refusal = _export_teacher(inputs["teacher"], network.shape, teacher, facts)
    files = sorted(path.name for path in out.glob("*.onnx"))
    told: dict[str, Any] = {
        "targets": list(fusion),
        "teacher": refusal,
        "image_shape": network.shape,
    }
    told["parity"] = {made.name: made.agreement.to_json() for made in (whole, *others)}
    write_json(out / "export.json", {"files": files, **told})
    share = ", ".join(f"{name} {each['int8']}/{each['total']}" for name, each in fusion.items())
    return {
        "max_abs_against_torch": whole.agreement.worst,
        "bytes": {path.name: path.stat().st_size for path in out.glob("*.onnx")},
        "headline": f"INT8 kernels: {share}",
    }


def _files(network: Network, settings: Recipe, place: Place) -> Iterator[Written]:
    """The plain files, the float one first; then those for the device, if they are others."""
    told = settings.export
    device = wanted_by(told)
    form = FileForm(opset=device.form.opset)
    plain = replace(device, form=form, external_data=False)
    yield from _each(network, settings, plain, place)
    if (device.form, device.external_data) != (form, False):
        for _ in _each(network, settings, replace(device, stem="deploy"), place):
            pass


def _each(network: Network, settings: Recipe, wanted: Wanted, place: Place) -> Iterator[Written]:
    assert network.quantized is not None  # every run quantizes
    yield write_fp32(network, wanted, place)
    if settings.export.fp16:
        half = write_fp16(network, wanted, place)
        _plan(half, wanted)
        yield half
    for made in write_int8(network, network.quantized, settings.export.targets, wanted, place):
        if made.name == "tensorrt":
            _plan(made, wanted)
        yield made


def _plan(made: Written, wanted: Wanted) -> None:
    """The build plan beside a file for TensorRT; `GateFailed` if its release refuses the file."""
    _, refused = plan_for(made.path, Engine(), wanted.form_of(made.name).runtime)
    if refused:
        raise GateFailed(refused)


def _export_teacher(folder: Path, shape: tuple[int, int, int], path: Path, facts: Any) -> str:
    """Write the teacher for comparison; the reason if a teacher of the user's own cannot leave.

    `GateFailed` if it leaves and then computes something else.
    """
    import torch

    teacher: nn.Module = load_network(
        folder / "teacher.json", folder / "teacher.safetensors", torch.device("cpu")
    )
    try:
        model = onnx_from_model(teacher, shape)
        write_metadata(model, facts)
        write_onnx(model, path)
        agrees(teacher, path, shape)
    except BadInput as reason:  # one that was exported wrongly ends the run
        path.unlink(missing_ok=True)
        emit("note", text=f"the teacher is not exported, so it is not timed: {reason}")
        return str(reason)
    return ""
