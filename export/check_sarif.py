"""Reports of a check as a SARIF 2.1.0 log: one run, an artifact per model."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .check_outcome import encodable, message, outcomes
from .check_report import CheckReport, Line

SARIF_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
OPEN = {"undecided": "warning", "skipped": "note"}
"""Level of a line that does not fail the check; all others are errors."""


def sarif(reports: Sequence[CheckReport]) -> str:
    """A SARIF 2.1.0 log: what fails the check is an error, undecided a warning, skipped a note."""
    return dumps(sarif_log(reports), indent=2) + "\n"


def sarif_log(reports: Sequence[CheckReport]) -> dict[str, Any]:
    """The same as plain JSON values. Passes are rules without a result.

    GitHub shows every result as an alert, whatever its `kind`; so passes are left out.
    """
    counted = [outcomes(report) for report in reports]
    rules = _rules([line for lines in counted for line, _ in lines])
    places = {rule["id"]: place for place, rule in enumerate(rules)}
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "edgestill check", "rules": rules}},
                "invocations": [
                    {
                        "executionSuccessful": all(r.counts["error"] == 0 for r in reports),
                        "exitCode": 0 if all(report.ok for report in reports) else 1,
                    }
                ],
                "artifacts": [_artifact(report) for report in reports],
                "results": [
                    _result(report, line, index, places[line.name], counts == "open")
                    for index, (report, lines) in enumerate(zip(reports, counted, strict=True))
                    for line, counts in lines
                    if counts != "pass"
                ],
            }
        ],
    }


def _rules(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """One rule per name; its text is what was expected, where all models agree on it."""
    expected: dict[str, set[str]] = {}
    for line in lines:
        expected.setdefault(line.name, set()).add(line.expected)
    return [
        {"id": name, "shortDescription": {"text": encodable(min(texts)) or name}}
        if len(texts) == 1
        else {"id": name, "shortDescription": {"text": name}}
        for name, texts in expected.items()
    ]


def _artifact(report: CheckReport) -> dict[str, Any]:
    return {
        "location": {"uri": _uri(report.model)},
        "length": report.bytes,
        "hashes": {"sha-256": report.sha256},
        "properties": {
            "verdict": report.verdict,
            "counts": dict(report.counts),
            "target": report.target,
            "inputs": encodable(report.inputs),
        },
    }


def _result(
    report: CheckReport, line: Line, artifact: int, rule: int, may_be: bool
) -> dict[str, Any]:
    # The file as it was named and the line: the same finding keeps its identity from run to run.
    # Of an absolute path the name alone, since the folder may be another one in each run.
    model = Path(report.model).name if os.path.isabs(report.model) else report.model
    identity = f"{model}:{report.target}:{line.name}"
    return {
        "ruleId": line.name,
        "ruleIndex": rule,
        "level": OPEN[line.verdict] if may_be else "error",
        "message": {"text": encodable(f"{line.name} {line.verdict}: {message(line)}")},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(report.model), "index": artifact},
                    # A binary file has no lines, but GitHub drops a result without a start line.
                    "region": {"startLine": 1},
                }
            }
        ],
        "partialFingerprints": {
            "edgestillLine/v1": hashlib.sha256(os.fsencode(identity)).hexdigest()
        },
    }


def _uri(model: str) -> str:
    path = Path(model)
    return path.as_uri() if path.is_absolute() else quote(os.fsencode(path.as_posix()))
