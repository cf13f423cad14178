"""A report in four formats, each read back by something else than its writer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from edgestill.export import check_formats
from edgestill.export.check import check_model
from edgestill.export.check_report import CheckReport, Line
from edgestill.export.contract import Contract, ParityLimits


@pytest.fixture
def real(nan_on_zeros: Path, good: Path) -> CheckReport:
    """A check of a real model that passes, fails and skips, with an infinite figure in it."""
    return check_model(
        nan_on_zeros,
        contract=Contract(top1_drop=0.1, parity=ParityLimits(max_abs=0.1)),
        reference=good,
        images=np.zeros((4, 3, 8, 8), np.float32),
    )


@pytest.fixture
def made() -> CheckReport:
    """One line of each verdict, with text that breaks careless writers."""
    nasty = 'a | b\n<c> & "d" \x00\x1b ü]]> \\'
    return CheckReport(
        model="out dir/models|1/ü#model.onnx",
        sha256="0" * 64,
        bytes=1,
        target="ort-x86",
        reference=None,
        inputs="4 images",
        tools={"onnx": "1"},
        lines=(
            Line(name="good", verdict="pass", found="1", expected="1"),
            Line(name="bad", verdict="fail", found=nasty, expected="2", why=nasty),
            Line(name="absent", verdict="skipped", why="no labels"),
            Line(name="broken", verdict="error", why="ZeroDivisionError: division by zero"),
        ),
    )


def test_json_is_the_report_with_null_for_what_is_not_finite(real: CheckReport) -> None:
    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    read = json.loads(check_formats.json(real), parse_constant=refuse)

    lines = {line["name"]: line for line in read["lines"]}
    assert lines["parity.max_abs"]["figures"]["max_abs"] is None
    assert (read["ok"], lines["finite"]["verdict"]) == (False, "fail")
    assert read["counts"]["skipped"] == 1
    assert read == real.to_json()


def test_junit_counts_what_the_report_counts(made: CheckReport) -> None:
    xml = JUnitXml.fromstring(check_formats.junit(made).encode())

    assert (xml.tests, xml.failures, xml.errors, xml.skipped) == (4, 1, 1, 1)
    (suite,) = xml
    kinds = {case.name: [type(result) for result in case.result] for case in suite}
    assert kinds == {"good": [], "bad": [Failure], "absent": [Skipped], "broken": [Error]}
    messages = {case.name: case.result[0].message for case in suite if case.result}
    assert messages["absent"] == "no labels"
    assert '<c> & "d"' in messages["bad"]


# The "required" lists of the SARIF 2.1.0 schema for the objects that are written here.
REQUIRED = {
    "sarifLog": {"version", "runs"},
    "run": {"tool"},
    "tool": {"driver"},
    "toolComponent": {"name"},
    "reportingDescriptor": {"id"},
    "multiformatMessageString": {"text"},
    "invocation": {"executionSuccessful"},
    "result": {"message"},
}
CHILDREN = {  # object -> property -> object of that property (or of each of its items)
    "sarifLog": {"runs": "run"},
    "run": {"tool": "tool", "invocations": "invocation", "results": "result"},
    "tool": {"driver": "toolComponent"},
    "toolComponent": {"rules": "reportingDescriptor"},
    "reportingDescriptor": {"shortDescription": "multiformatMessageString"},
}


def objects(kind: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in value if isinstance(value, list) else [value]:
        yield kind, item
        for name, child in CHILDREN.get(kind, {}).items():
            if name in item:
                yield from objects(child, item[name])


def test_sarif_has_what_the_standard_requires(made: CheckReport) -> None:
    log = json.loads(check_formats.sarif(made))

    seen = list(objects("sarifLog", log))
    assert {kind for kind, _ in seen} == set(REQUIRED)
    assert [(k, REQUIRED[k] - item.keys()) for k, item in seen if REQUIRED[k] - item.keys()] == []
    assert (log["version"], log["$schema"].rsplit("/")[-1]) == ("2.1.0", "sarif-schema-2.1.0.json")


def test_sarif_results_point_at_their_rule_and_the_file(made: CheckReport) -> None:
    (run,) = json.loads(check_formats.sarif(made))["runs"]

    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules) == 4
    assert {r["ruleId"]: r["level"] for r in run["results"]} == {
        "bad": "error",
        "absent": "note",
        "broken": "error",
    }
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "out%20dir/models%7C1/%C3%BC%23model.onnx"
        assert place["region"]["startLine"] >= 1


def test_sarif_says_when_a_line_broke(made: CheckReport, real: CheckReport) -> None:
    def ran(report: CheckReport) -> bool:
        (invocation,) = check_formats.sarif_log(report)["runs"][0]["invocations"]
        return bool(invocation["executionSuccessful"])

    assert (ran(made), ran(real)) == (False, True)


def test_markdown_is_a_table_with_one_row_a_line(made: CheckReport) -> None:
    text = check_formats.markdown(made)

    rows = [row for row in text.splitlines() if row.startswith("|")]
    assert len(rows) == 2 + 4
    assert {row.replace("\\\\", "").replace("\\|", "").count("|") for row in rows} == {6}
    assert "**failed: 1 fail, 1 error, 1 pass, 1 skipped (not checked)**" in text


@pytest.mark.parametrize("write", check_formats.FORMATS.values(), ids=check_formats.FORMATS)
def test_every_format_tells_the_skipped_lines(
    write: Callable[[CheckReport], str], made: CheckReport
) -> None:
    text = write(made)

    assert "no labels" in text
    assert "skipped" in text


@pytest.mark.parametrize("write", check_formats.FORMATS.values(), ids=check_formats.FORMATS)
def test_the_same_report_gives_the_same_text(
    write: Callable[[CheckReport], str], real: CheckReport
) -> None:
    assert write(real) == write(real)
