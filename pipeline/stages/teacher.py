"""Stage teacher: a network to learn from, trained here or brought with its weights.

Leaves teacher.safetensors, teacher.json (how to build it), data.json (classes, normalisation) and
history.json.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...models.checkpoints import save_weights
from ...models.cost import Cost
from ...models.errors import BadInput
from ...models.families import FAMILIES
from ...models.measure import measure
from ...models.teacher import teacher_from
from ..acceleration import precision
from ..evaluate import top1
from ..events import JSON, emit
from ..fit import fit
from ..inputs import Inputs
from ..networks import blocks_of, naming, write_json
from ..outside import module_hash
from ..recipe import Recipe
from ..training import cross_entropy

if TYPE_CHECKING:
    from torch import nn


def run(inputs: Inputs, settings: Recipe, out: Path) -> dict[str, JSON]:
    """Train or take the teacher; its top-1 on the validation split."""
    told, data = settings.teacher, inputs.data
    options = {"depth": told.depth, "width": told.width}
    if told.model not in FAMILIES and any(options.values()):
        emit("note", text=f"teacher.depth and width are for our families; not for {told.model}")
        options = {}
    description: dict[str, Any] = {
        "model": told.model,
        "options": {name: value for name, value in options.items() if value is not None},
        "num_classes": data.num_classes,
        "image_size": settings.data.image_size,
        "module": module_hash(told.model),
        "version": told.version,
        "blocks": told.blocks,
    }
    checkpoint = Path(told.checkpoint) if told.checkpoint else None
    model = teacher_from(
        told.model,
        num_classes=data.num_classes,
        image_size=settings.data.image_size,
        options=description["options"],
        checkpoint=checkpoint,
        seed=settings.seed,
        base=Path(),
    ).to(data.device)
    description["blocks"] = list(blocks_of(description, model))
    if checkpoint is None and told.epochs == 0:
        emit("note", text="teacher.epochs = 0 and no checkpoint: the teacher knows nothing")
    if checkpoint is not None and told.epochs > 0:
        emit("note", text=f"teacher: {checkpoint} is trained on for {told.epochs} epochs")
    history = fit(
        model,
        data.train.seeded(settings.seed).shared(inputs.processes),
        cross_entropy(model, inputs.processes),
        told,
        state=inputs.scratch / "fit.safetensors",
        seed=settings.seed,
        device=data.device,
        label="teacher",
        evaluate=lambda net: top1(net, data.validation, inputs.processes),
        processes=inputs.processes,
    )
    reached = top1(model, data.validation, inputs.processes)
    size = settings.data.image_size
    cost = _cost(model, size)
    pixels = {"mean": list(data.mean), "std": list(data.std)}
    save_weights(out / "teacher.safetensors", model, naming({**description, **pixels}))
    write_json(out / "teacher.json", description)
    write_json(out / "history.json", history)
    write_json(
        out / "data.json",
        {"classes": list(data.class_names), "mean": list(data.mean), "std": list(data.std)},
    )
    return {
        "top1_validation": reached,
        "precision": precision(told, data.device) if history else None,
        **cost,
        "headline": f"top-1 {100 * reached:.2f} % (validation), {cost['params']:,} parameters",
    }


def _cost(model: nn.Module, size: int) -> dict[str, int | None]:
    """What the teacher costs; None for what cannot be counted, which a note then tells."""
    try:
        return asdict(measure(model, (3, size, size)))
    except BadInput as reason:
        emit("note", text=f"the teacher's cost is not counted: {reason}")
        unknown: dict[str, int | None] = dict.fromkeys(field.name for field in fields(Cost))
        return {**unknown, "params": sum(each.numel() for each in model.parameters())}
