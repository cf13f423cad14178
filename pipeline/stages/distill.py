"""Stage distill: the student learns from the labels, the teacher's logits and its graphs.

Leaves student.safetensors, student.json (with its blocks), history.json and, where a loss learns
something itself (FitNet's regressor), losses.safetensors.
"""

from __future__ import annotations

from pathlib import Path

from ...models.checkpoints import save_weights
from ..acceleration import precision
from ..events import JSON, emit
from ..inputs import Inputs
from ..lessons import Instructor, Lessons
from ..networks import naming, read_json, write_json
from ..recipe import Recipe


def run(inputs: Inputs, settings: Recipe, out: Path) -> dict[str, JSON]:
    """Train the chosen student under the teacher; its top-1 on the validation split."""
    data, told = inputs.data, settings.distill
    description = read_json(inputs["shortlist"] / "student.json")
    instructor = Instructor.of_stage(inputs)
    lessons = Lessons(description, instructor, told, inputs, seed=settings.seed)
    if told.epochs == 0:
        emit("note", text="distill.epochs = 0: the student learns nothing")
    history = lessons.train(told, state="fit.safetensors", label="distill")
    reached = lessons.reached()
    pixels = {"mean": list(data.mean), "std": list(data.std)}
    student = lessons.student
    save_weights(out / "student.safetensors", student, naming({**description, **pixels}))
    if lessons.losses.state_dict():
        save_weights(out / "losses.safetensors", lessons.losses)
    write_json(out / "student.json", {**description, "blocks": list(lessons.blocks)})
    write_json(out / "history.json", history)
    return {
        "top1_validation": reached,
        "precision": precision(told, data.device) if history else None,
        "headline": f"top-1 {100 * reached:.2f} % (validation)",
    }
