"""The accuracy of exported files, where their run has counted it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgestill.pipeline.known_accuracy import known_accuracy


def a_run(folder: Path, summary: dict[str, Any], made: str) -> Path:
    """runs/NAME with its summary, and a link to the artifact store/export/9f31."""
    artifact = folder / "store/export/9f31"
    artifact.mkdir(parents=True)
    run = folder / "runs/digits"
    run.mkdir(parents=True)
    (run / "export").symlink_to(artifact)
    (run / "summary.json").write_text(json.dumps({**summary, "artifacts": {"export": made}}))
    return run / "export"


def test_a_file_of_a_run_has_the_accuracy_of_its_summary(
    tmp_path: Path, summary_json: dict[str, Any]
) -> None:
    export = a_run(tmp_path, summary_json, made="edgestill-work/store/export/9f31")

    assert known_accuracy(export / "teacher.fp32.onnx") == 0.98
    assert known_accuracy(export / "model.fp32.onnx") == 0.97
    assert known_accuracy(export / "model.ort-x86.onnx") == 0.96
    assert known_accuracy(export / "model.tensorrt.onnx") is None


def test_a_summary_of_another_export_tells_nothing(
    tmp_path: Path, summary_json: dict[str, Any]
) -> None:
    export = a_run(tmp_path, summary_json, made="edgestill-work/store/export/another")

    assert known_accuracy(export / "model.fp32.onnx") is None


def test_a_file_of_no_run_has_none(tmp_path: Path) -> None:
    assert known_accuracy(tmp_path / "model.onnx") is None
