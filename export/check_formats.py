"""A check's report as text for machines: JSON, JUnit XML, SARIF 2.1.0 and Markdown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from json import dumps
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .check_report import CheckReport, Line

SARIF_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
MARKS = {"pass": "pass", "fail": "**FAIL**", "skipped": "*skipped*", "error": "**ERROR**"}


def json(report: CheckReport) -> str:
    """One JSON object, as `CheckReport.to_json` gives it."""
    return dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def junit(report: CheckReport) -> str:
    """JUnit XML: a suite per model, a case per line; skipped lines are skipped cases."""
    from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

    kinds = {"fail": Failure, "error": Error, "skipped": Skipped}
    suite = TestSuite(_printable(f"edgestill check {report.model}"))
    for line in report.lines:
        case = TestCase(line.name, classname=f"edgestill.check.{report.target or 'any'}")
        if line.verdict in kinds:
            case.result = [kinds[line.verdict](message=_printable(_says(line)))]
        suite.add_testcase(case)
    xml: Any = JUnitXml("edgestill check")  # the package is typed only in parts
    xml.add_testsuite(suite)
    xml.update_statistics()
    return str(xml.tostring().decode("utf-8"))


def sarif(report: CheckReport) -> str:
    """A SARIF 2.1.0 log: failed and broken lines are errors, skipped lines are notes."""
    return dumps(sarif_log(report), indent=2, ensure_ascii=False) + "\n"


def sarif_log(report: CheckReport) -> dict[str, Any]:
    """The same as plain JSON values. Passes are rules without a result.

    GitHub shows every result as an alert, whatever its `kind`; so passes are left out.
    """
    names = [line.name for line in report.lines]
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "edgestill check",
                        "rules": [
                            {
                                "id": line.name,
                                "shortDescription": {"text": line.expected or line.name},
                            }
                            for line in report.lines
                        ],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": report.counts["error"] == 0,
                        "exitCode": 0 if report.ok else 1,
                    }
                ],
                "artifacts": [
                    {"location": {"uri": _uri(report.model)}, "hashes": {"sha-256": report.sha256}}
                ],
                "results": [
                    _result(report, line, names.index(line.name))
                    for line in report.lines
                    if line.verdict != "pass"
                ],
                "properties": {
                    "verdict": report.verdict,
                    "counts": dict(report.counts),
                    "target": report.target,
                    "inputs": report.inputs,
                },
            }
        ],
    }


def markdown(report: CheckReport) -> str:
    """A heading, the verdict with its counts, and a table of the lines."""
    rows = [
        f"| {_cell(line.name)} | {MARKS[line.verdict]} | {_cell(line.found)} |"
        f" {_cell(line.expected)} | {_cell(line.why)} |"
        for line in report.lines
    ]
    about = [f"inputs: {report.inputs}", f"target: {report.target or 'none given'}"]
    if report.reference:
        about.append(f"reference: `{report.reference}`")
    tools = ", ".join(f"{name} {number}" for name, number in report.tools.items())
    return "\n".join(
        [
            f"## edgestill check `{Path(report.model).name}`",
            "",
            f"**{report.verdict}**",
            "",
            "| line | verdict | found | expected | why |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
            f"{'; '.join(about)}; {tools}; sha256 `{report.sha256[:12]}`",
            "",
        ]
    )


FORMATS: Mapping[str, Callable[[CheckReport], str]] = {
    "json": json,
    "junit": junit,
    "sarif": sarif,
    "markdown": markdown,
}
"""Name of the format (as the command's option) -> the function that writes it."""


def _result(report: CheckReport, line: Line, rule: int) -> dict[str, Any]:
    # The line and the file's name: the same finding keeps its identity from run to run.
    identity = f"{Path(report.model).name}:{report.target}:{line.name}".encode()
    return {
        "ruleId": line.name,
        "ruleIndex": rule,
        "level": "note" if line.verdict == "skipped" else "error",
        "message": {"text": f"{line.name} {line.verdict}: {_says(line)}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(report.model), "index": 0},
                    # A binary file has no lines, but GitHub drops a result without a start line.
                    "region": {"startLine": 1},
                }
            }
        ],
        "partialFingerprints": {"edgestillLine/v1": hashlib.sha256(identity).hexdigest()},
    }


def _says(line: Line) -> str:
    """Found, expected and why, as one line of text."""
    parts = [
        f"found {line.found}" if line.found else "",
        f"expected {line.expected}" if line.expected else "",
        line.why,
    ]
    return "; ".join(part for part in parts if part)


def _uri(model: str) -> str:
    path = Path(model)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")


def _printable(text: str) -> str:
    """`text` without the characters that XML 1.0 forbids."""
    return re.sub(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]", "?", text)
