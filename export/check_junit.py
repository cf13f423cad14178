"""Reports of a check as JUnit XML: a suite per model, a case per line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .check_outcome import encodable, message, outcomes
from .check_report import CheckReport


def junit(reports: Sequence[CheckReport]) -> str:
    """JUnit XML. A line that the contract lets be undecided or unchecked is a skipped case."""
    from junitparser import JUnitXml

    xml: Any = JUnitXml("edgestill check")  # the package is typed only in parts
    for report in reports:
        xml.add_testsuite(_suite(report))
    # Not skipped: the schema of Jenkins' xUnit plugin has no such count at the root.
    for count in ("tests", "failures", "errors"):
        setattr(xml, count, sum(getattr(suite, count) for suite in xml))
    return str(xml.tostring().decode("utf-8"))


def _suite(report: CheckReport) -> Any:
    from junitparser import Error, Failure, Skipped, TestCase, TestSuite

    kinds = {"fail": Failure, "error": Error, "open": Skipped}
    suite: Any = TestSuite(_printable(f"edgestill check {report.model}"))
    for name in ("target", "reference", "inputs", "sha256"):
        if value := getattr(report, name):
            suite.add_property(name, _printable(value))
    for line, counts in outcomes(report):
        case: Any = TestCase(_printable(line.name), classname=_class(report))
        says = _printable(message(line))
        if counts in kinds:
            result = kinds[counts](message=says, type_=line.verdict)
            # Some readers show the attribute, others the text.
            result.text = says
            case.result = [result]
        elif says:
            case.system_out = says
        suite.add_testcase(case)
    suite.update_statistics()
    return suite


def _class(report: CheckReport) -> str:
    """Tells cases of several models apart; readers take what follows the last dot as the class."""
    model = report.model.replace(".", "_")
    return _printable(f"edgestill.check.{report.target or 'any'}.{model}")


def _printable(text: str) -> str:
    """`text` without the characters that XML 1.0 forbids."""
    return re.sub(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]", "?", encodable(text))
