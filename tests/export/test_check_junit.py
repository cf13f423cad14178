"""Reports in JUnit XML, read back by a reader of JUnit XML."""

from __future__ import annotations

from junitparser import Error, Failure, JUnitXml, Skipped

from edgestill.export.check_junit import junit
from edgestill.export.check_report import CheckReport, Line

from .reports import PASSED, SKIPPED, UNDECIDED, of_every_verdict, report


def read(*reports: CheckReport) -> JUnitXml:
    return JUnitXml.fromstring(junit(reports).encode())


def test_it_counts_what_the_report_counts() -> None:
    xml = read(of_every_verdict())

    (suite,) = xml
    for each in (xml, suite):
        assert (each.tests, each.failures, each.errors) == (5, 1, 1)
    assert suite.skipped == 2
    kinds = {case.name: [type(result) for result in case.result] for case in suite}
    assert kinds == {
        "good": [],
        "bad": [Failure],
        "top1_drop": [Skipped],
        "broken": [Error],
        "latency": [Skipped],
    }


def test_its_messages_say_what_was_found_and_why() -> None:
    (suite,) = read(of_every_verdict())

    messages = {case.name: case.result[0].message for case in suite if case.result}
    assert messages["top1_drop"] == "not checked: no labels were given"
    assert messages["latency"] == "undecided: found 0.9 to 1.2; expected at most 1.05; too noisy"
    assert 'found a | b <c> & "d" ?? ü]]> \\; expected 2' in messages["bad"]
    for case in suite:
        assert all(result.text == result.message for result in case.result)


def test_a_line_that_passed_keeps_its_figures_as_output() -> None:
    (suite,) = read(report(PASSED))

    assert [case.system_out for case in suite] == ["found opens; expected opens"]


def test_undecided_fails_where_the_contract_does_not_allow_it() -> None:
    (suite,) = read(report(PASSED, UNDECIDED, allow_undecided=False))

    assert (suite.failures, suite.skipped) == (1, 0)


def test_a_check_that_failed_never_looks_like_one_that_passed() -> None:
    assert read(report(SKIPPED)).failures == 1
    assert read(report(PASSED, SKIPPED, required=("top1_drop",))).failures == 1


def test_every_model_has_a_suite_and_no_two_cases_have_one_name() -> None:
    xml = read(report(PASSED, model="a/m.onnx"), report(PASSED, model="b/m.onnx"))

    assert [suite.name for suite in xml] == ["edgestill check a/m.onnx", "edgestill check b/m.onnx"]
    names = [(case.classname, case.name) for suite in xml for case in suite]
    assert names == [
        ("edgestill.check.ort-x86.a/m_onnx", "loads"),
        ("edgestill.check.ort-x86.b/m_onnx", "loads"),
    ]
    assert xml.tests == 2


def test_a_line_named_after_a_port_of_the_model_is_printable() -> None:
    (suite,) = read(report(Line(name="inputs.\x01", verdict="pass")))

    assert [case.name for case in suite] == ["inputs.?"]
