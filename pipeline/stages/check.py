"""Stage check: every exported file against the contract, on the validation split.

Leaves check.json: per file every line with its verdict. A line that fails does not stop the run, so
that the report shows it; the run then ends with exit code 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...export.check import check_model
from ...export.contract import Contract
from ..evaluate import as_arrays
from ..events import JSON, emit
from ..inputs import Inputs
from ..networks import read_json, write_json
from ..recipe import Recipe


def run(inputs: Inputs, settings: Recipe, out: Path) -> dict[str, JSON]:
    """Check the INT8 files against the float one, each in ONNX Runtime."""
    images, labels = as_arrays(inputs.data.validation)
    told = settings.check
    contract = Contract(top1_drop=told.top1_drop, int8_fraction=told.int8_fraction)
    reference = inputs["export"] / "model.fp32.onnx"
    reports: dict[str, Any] = {}
    targets = read_json(inputs["export"] / "export.json")["targets"]
    for target in targets:
        path = inputs["export"] / f"model.{target}.onnx"
        emit("progress", label="check", done=len(reports), total=len(targets), unit="files")
        report = check_model(
            path,
            contract=contract,
            target=target,
            reference=reference,
            samples=images,
            labels=labels,
        )
        reports[target] = {**report.to_json(), "model": path.name, "reference": reference.name}
    failed = [
        f"{target}: {line['name']}"
        for target, report in reports.items()
        for line in report["lines"]
        if line["verdict"] in ("fail", "error")
    ]
    ok = bool(reports) and all(report["ok"] for report in reports.values())
    write_json(out / "check.json", {"ok": ok, "failed": failed, "targets": reports})
    skipped = sum(report["counts"]["skipped"] for report in reports.values())
    passed = f"{len(reports)} files hold the contract, {skipped} lines skipped"
    return {"ok": ok, "headline": passed if ok else f"FAILED {', '.join(failed)}"}
