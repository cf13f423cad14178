"""The accuracy of a file that a run of ours exported, as that run's summary has it."""

from __future__ import annotations

from pathlib import Path

from .summary import Summary


def known_accuracy(model: Path) -> float | None:
    """Top-1 of `RUN/export/FILE` on the run's held-out images, from 0 to 1; None if unknown.

    The summary counts only if it was written for this very export.
    """
    run = model.parent.parent
    try:
        summary = Summary.model_validate_json((run / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no run, or not one of this version
        return None
    if Path(summary.artifacts.get("export", "")).name != model.parent.resolve().name:
        return None
    if model.name == "teacher.fp32.onnx":
        return summary.accuracy.teacher
    if model.name == "model.fp32.onnx":
        return summary.accuracy.student
    return summary.accuracy.int8.get(model.name.removeprefix("model.").removesuffix(".onnx"))
