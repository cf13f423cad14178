"""Reports in SARIF 2.1.0, held to what the standard and GitHub require."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from edgestill.export.check_report import CheckReport, Line
from edgestill.export.check_sarif import sarif

from .reports import PASSED, SKIPPED, UNDECIDED, of_every_verdict, report

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


def run(*reports: CheckReport) -> dict[str, Any]:
    (only,) = json.loads(sarif(reports))["runs"]
    assert isinstance(only, dict)
    return only


def objects(kind: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in value if isinstance(value, list) else [value]:
        yield kind, item
        for name, child in CHILDREN.get(kind, {}).items():
            if name in item:
                yield from objects(child, item[name])


def test_it_has_what_the_standard_requires() -> None:
    log = json.loads(sarif([of_every_verdict(), report(PASSED)]))

    seen = list(objects("sarifLog", log))
    assert {kind for kind, _ in seen} == set(REQUIRED)
    assert [(k, REQUIRED[k] - item.keys()) for k, item in seen if REQUIRED[k] - item.keys()] == []
    assert (log["version"], log["$schema"].rsplit("/")[-1]) == ("2.1.0", "sarif-schema-2.1.0.json")


def test_results_point_at_their_rule_and_the_file() -> None:
    told = run(of_every_verdict())

    rules = [rule["id"] for rule in told["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules) == 5
    assert {result["ruleId"]: result["level"] for result in told["results"]} == {
        "bad": "error",
        "top1_drop": "note",
        "broken": "error",
        "latency": "warning",
    }
    for result in told["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "out%20dir/models%7C1/%C3%BC%23model.onnx"
        assert place["region"]["startLine"] >= 1


def test_what_is_open_and_may_not_be_is_an_error() -> None:
    told = run(
        report(PASSED, SKIPPED, allow_skipped=False),
        report(PASSED, UNDECIDED, allow_undecided=False),
    )

    assert [result["level"] for result in told["results"]] == ["error", "error"]


def test_it_says_when_a_line_broke() -> None:
    def ran(made: CheckReport) -> bool:
        (invocation,) = run(made)["invocations"]
        return bool(invocation["executionSuccessful"])

    assert (ran(of_every_verdict()), ran(report(SKIPPED))) == (False, True)


def test_several_models_are_artifacts_of_one_run() -> None:
    other = Line(name="loads", verdict="fail", found="does not open", expected="a classifier")

    told = run(report(PASSED, model="a.onnx"), report(other, model="/tmp/b b.onnx"))

    uris = [artifact["location"]["uri"] for artifact in told["artifacts"]]
    assert uris == ["a.onnx", "file:///tmp/b%20b.onnx"]
    (result,) = told["results"]
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": uris[1], "index": 1}
    assert [rule["id"] for rule in told["tool"]["driver"]["rules"]] == ["loads"]
    assert told["invocations"][0]["exitCode"] == 1


def test_a_finding_keeps_its_identity_from_run_to_run() -> None:
    def identity(model: str, found: str = "1") -> str:
        line = Line(name="finite", verdict="fail", found=found)
        (result,) = run(report(line, model=model))["results"]
        return str(result["partialFingerprints"]["edgestillLine/v1"])

    assert identity("a/m.onnx") == identity("a/m.onnx", found="2")
    assert identity("a/m.onnx") != identity("b/m.onnx")
    assert identity("/tmp/1/m.onnx") == identity("/tmp/2/m.onnx")
