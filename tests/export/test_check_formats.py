"""Reports in JSON and Markdown, and what all the formats have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from edgestill.export import check_formats
from edgestill.export.check import check_model
from edgestill.export.check_report import CheckReport, Line
from edgestill.export.contract import Contract, ParityLimits

from .reports import PASSED, SKIPPED, of_every_verdict, report

Write = Callable[[Sequence[CheckReport]], str]
every_format = pytest.mark.parametrize(
    "write", check_formats.FORMATS.values(), ids=check_formats.FORMATS
)


@pytest.fixture
def real(nan_on_zeros: Path, good: Path) -> CheckReport:
    """A check of a real model that passes, fails and skips, with an infinite figure in it."""
    return check_model(
        nan_on_zeros,
        contract=Contract(top1_drop=0.1, parity=ParityLimits(max_abs=0.1)),
        reference=good,
        samples=np.zeros((4, 3, 8, 8), np.float32),
    )


@pytest.fixture
def made() -> CheckReport:
    return of_every_verdict()


@pytest.fixture
def passing() -> CheckReport:
    return report(PASSED)


def validate(text: str) -> Any:
    schema = json.loads(check_formats.json_schema())
    read = json.loads(text)
    jsonschema.Draft202012Validator(schema).validate(read)
    return read


def test_json_is_the_report_with_null_for_what_is_not_finite(real: CheckReport) -> None:
    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    read = json.loads(check_formats.json([real]), parse_constant=refuse)

    lines = {line["name"]: line for line in read["lines"]}
    assert lines["parity.max_abs"]["figures"]["max_abs"] is None
    assert (read["ok"], lines["finite"]["verdict"]) == (False, "fail")
    assert read == real.to_json()


def test_json_of_several_models_says_whether_all_hold(
    real: CheckReport, passing: CheckReport
) -> None:
    read = json.loads(check_formats.json([passing, real]))

    assert (read["ok"], [each["ok"] for each in read["reports"]]) == (False, [True, False])
    assert read["reports"][1] == real.to_json()
    assert json.loads(check_formats.json([passing, passing]))["ok"] is True


def test_the_schema_is_valid_and_describes_every_key(real: CheckReport) -> None:
    schema = json.loads(check_formats.json_schema())

    jsonschema.Draft202012Validator.check_schema(schema)
    read = validate(check_formats.json([real]))
    report, line = schema["$defs"]["report"], schema["$defs"]["line"]
    assert read.keys() == report["properties"].keys() == set(report["required"])
    assert {*line["properties"]} == {*line["required"]} == {*read["lines"][0]}


def test_reports_of_one_model_and_of_several_keep_the_schema(
    real: CheckReport, made: CheckReport, passing: CheckReport
) -> None:
    for reports in ([made], [passing], [real, made, passing]):
        validate(check_formats.json(reports))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": "edgestill.check/2"}, "edgestill.check/1"),
        ({"ok": "yes"}, "boolean"),
        ({"lines": [{"name": "loads", "verdict": "passed"}]}, "passed"),
        ({"sha256": "abc"}, "abc"),
    ],
)
def test_the_schema_refuses_what_is_no_report(
    passing: CheckReport, change: dict[str, Any], says: str
) -> None:
    told = passing.to_json() | change

    with pytest.raises(jsonschema.ValidationError) as caught:
        jsonschema.validate(told, json.loads(check_formats.json_schema()))
    shown = [caught.value, *(caught.value.context or [])]
    assert says in " ".join(each.message for each in shown)


def test_markdown_is_a_table_with_one_row_a_line(made: CheckReport) -> None:
    text = check_formats.markdown([made])

    rows = [row for row in text.splitlines() if row.startswith("|")]
    assert len(rows) == 2 + 5
    assert {row.replace("\\\\", "").replace("\\|", "").count("|") for row in rows} == {6}
    assert text.startswith("## edgestill check `ü#model.onnx`\n\n**failed: 1 pass, 1 fail, ")


def test_markdown_of_several_models_counts_those_that_hold(
    made: CheckReport, passing: CheckReport
) -> None:
    text = check_formats.markdown([made, passing, passing])

    assert text.startswith("## edgestill check: 2 of 3 models hold their contract\n")
    assert text.count("\n### edgestill check ") == 3


def test_markdown_shows_names_of_a_model_as_they_are() -> None:
    evil = "<img src=x> `a` [b](http://c) **d** @all /conv_1/_quant_ parity.max_abs &lt;"
    line = Line(name="operators", verdict="pass", found=evil)

    text = check_formats.markdown([report(line)])

    shown = (
        r"&lt;img src=x> \`a\` \[b\](http://c) \*\*d\*\* &#64;all /conv_1/\_quant\_ parity.max_abs"
    )
    assert f"| {shown} &amp;lt; |" in text


def test_markdown_marks_what_fails_though_it_did_not_say_fail() -> None:
    may = check_formats.markdown([report(PASSED, SKIPPED)])
    must = check_formats.markdown([report(PASSED, SKIPPED, required=("top1_drop",))])

    assert "| top1_drop | *skipped* |" in may
    assert "| top1_drop | **FAIL** (skipped) |" in must


@every_format
def test_every_format_tells_the_lines_that_are_open(write: Write, made: CheckReport) -> None:
    text = write([made])

    assert "no labels" in text
    assert "too noisy" in text
    assert "skipped" in text
    assert "undecided" in text


@every_format
def test_every_format_names_every_model(
    write: Write, made: CheckReport, passing: CheckReport
) -> None:
    text = write([made, passing])

    assert "model.onnx" in text
    assert "fine.onnx" in text


@every_format
def test_the_same_report_gives_the_same_text(write: Write, real: CheckReport) -> None:
    assert write([real, real]) == write([real, real])


@every_format
def test_a_name_that_is_not_utf8_can_be_written(write: Write) -> None:
    broken = Line(name="loads", verdict="fail", found="caf\udce9")

    text = write([report(broken, model="caf\udce9.onnx")])

    assert text.encode("utf-8")
