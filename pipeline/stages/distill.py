"""Stage distill: the student learns from the labels, the teacher's logits and its graphs.

Leaves student.safetensors, student.json (with its blocks), history.json and, where a loss learns
something itself (FitNet's regressor), losses.safetensors.
"""

from __future__ import annotations

from pathlib import Path

from ...models.checkpoints import save_weights
from ...models.taps import Tapped
from ..acceleration import precision
from ..evaluate import top1
from ..events import JSON, emit
from ..fit import fit
from ..inputs import Inputs
from ..networks import blocks_of, build_network, load_network, naming, read_json, write_json
from ..recipe import Recipe
from ..teaching import Teaching, frozen_teacher, matched, terms_of, virtual_view


def run(inputs: Inputs, settings: Recipe, out: Path) -> dict[str, JSON]:
    """Train the chosen student under the teacher; its top-1 on the validation split."""
    data = inputs.data
    taught_by = inputs["teacher"] / "teacher.json"
    teacher = load_network(taught_by, inputs["teacher"] / "teacher.safetensors", data.device)
    teacher_blocks = blocks_of(read_json(taught_by), teacher)
    description = read_json(inputs["search"] / "student.json")
    student = build_network(description, seed=settings.seed).to(data.device)
    blocks = blocks_of(description, student)
    matched(teacher_blocks, blocks)
    tapped = Tapped(student, blocks)
    if settings.distill.epochs == 0:
        emit("note", text="distill.epochs = 0: the student learns nothing")
    losses = terms_of(settings.distill.losses)
    teaching = Teaching(
        frozen_teacher(teacher, teacher_blocks, data.device),
        tapped,
        losses,
        virtual_view=virtual_view(losses, data),
        processes=inputs.processes,
    )
    teaching.fit_shapes(data.train, seed=settings.seed)
    history = fit(
        student,
        data.train.seeded(settings.seed).shared(inputs.processes),
        teaching,
        settings.distill,
        state=inputs.scratch / "fit.safetensors",
        seed=settings.seed,
        device=data.device,
        label="distill",
        evaluate=lambda net: top1(net, data.validation, inputs.processes),
        before_epoch=teaching.starts,
        beside=losses,
        processes=inputs.processes,
    )
    reached = top1(student, data.validation, inputs.processes)
    pixels = {"mean": list(data.mean), "std": list(data.std)}
    save_weights(out / "student.safetensors", student, naming({**description, **pixels}))
    if losses.state_dict():
        save_weights(out / "losses.safetensors", losses)
    write_json(out / "student.json", {**description, "blocks": list(blocks)})
    write_json(out / "history.json", history)
    return {
        "top1_validation": reached,
        "precision": precision(settings.distill, data.device) if history else None,
        "headline": f"top-1 {100 * reached:.2f} % (validation)",
    }
