"""Stage quantize: the student computes in 8 bits and learns to, the teacher still teaching.

Leaves student_int8.safetensors (float weights and ranges), ranges.json, quantized.json (the layers
that stay float, and what each layer's 8 bits cost where that was asked) and history.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...models.checkpoints import load_weights, save_weights
from ...models.fake_quant import report, set_grid
from ...models.fold import feature_paths, fold_batch_norm
from ...models.ranges import ranges_of
from ...models.taps import Tapped
from ..acceleration import precision
from ..evaluate import top1
from ..events import JSON
from ..fit import fit
from ..inputs import Inputs
from ..networks import blocks_of, load_network, read_json, write_json
from ..quantizing import calibrated
from ..recipe import Recipe
from ..splits import seeded_order
from ..teaching import Teaching, frozen_teacher, terms_of, virtual_view

if TYPE_CHECKING:
    from torch import Tensor

    from ..batches import Batches


def run(inputs: Inputs, settings: Recipe, out: Path) -> dict[str, JSON]:
    """Calibrate, then fine-tune with fake quantization; top-1 of the simulated INT8 network."""
    data, told = inputs.data, settings.quantize
    taught_by = inputs["teacher"] / "teacher.json"
    teacher = load_network(taught_by, inputs["teacher"] / "teacher.safetensors", data.device)
    description = inputs["distill"] / "student.json"
    student = load_network(description, inputs["distill"] / "student.safetensors", data.device)
    blocks = blocks_of(read_json(description), student)
    # BatchNorm first: with running statistics still moving, the int8 ranges chase them.
    start = calibrated(
        fold_batch_norm(student, blocks=blocks),
        calibration_images(data.train, told.calibration_images),
        method=told.calibration,
        percentile=told.percentile,
        keep_float=told.keep_float,
    )
    prepared = start.network
    # A warm-up spares a student that knows nothing yet; this one was distilled.
    losses = terms_of(told.losses or settings.distill.losses, warm_up=told.losses is not None)
    teaching = Teaching(
        frozen_teacher(teacher, blocks_of(read_json(taught_by), teacher), data.device),
        Tapped(prepared, feature_paths(prepared)),
        losses,
        virtual_view=virtual_view(losses, data),
        processes=inputs.processes,
    )
    teaching.fit_shapes(data.train, seed=settings.seed)
    learned = inputs["distill"] / "losses.safetensors"
    if learned.exists():  # only what a loss of this stage alone learns starts afresh
        losses.load_state_dict(load_weights(learned), strict=False)
    history = fit(
        prepared,
        data.train.seeded(settings.seed).shared(inputs.processes),
        teaching,
        told,
        state=inputs.scratch / "fit.safetensors",
        seed=settings.seed,
        device=data.device,
        label="quantize",
        evaluate=lambda net: top1(net, data.validation, inputs.processes),
        before_epoch=teaching.starts,
        beside=losses,
        processes=inputs.processes,
    )
    set_grid(prepared.eval(), "tensorrt")
    reached = top1(prepared, data.validation, inputs.processes)
    placed = report(prepared)
    save_weights(out / "student_int8.safetensors", prepared)
    (out / "ranges.json").write_text(ranges_of(prepared).to_json())
    write_json(out / "quantized.json", start.told())
    write_json(out / "history.json", history)
    return {
        "top1_validation": reached,
        "precision": precision(told, data.device) if history else None,
        "layers_quantized": placed["quantized"],
        "layers_float": placed["float"],
        "headline": f"top-1 {100 * reached:.2f} % (validation, simulated on TensorRT's grid)",
    }


def calibration_images(images: Batches, count: int) -> Iterable[Tensor]:
    """Training images of all classes, batch by batch, as often as one asks; no views."""
    return _Images(images, count)


class _Images:
    def __init__(self, images: Batches, count: int) -> None:
        self.images = images.plain()
        # Drawn, not the first: folders and many sets lie sorted by class.
        self.rows = seeded_order(len(images.labels), seed=(0,))[:count]

    def __iter__(self) -> Iterator[Tensor]:
        size = self.images.batch_size
        starts = range(0, len(self.rows), size)
        return (self.images.some(self.rows[start : start + size])[0] for start in starts)
