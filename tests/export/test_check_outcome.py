"""Some line fails exactly if the check does, whichever way it came to that."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from edgestill.export.check_outcome import outcomes
from edgestill.export.check_report import CheckReport

from .reports import PASSED, SKIPPED, UNDECIDED, of_every_verdict, report


def counts(of: CheckReport) -> dict[str, str]:
    return {line.name: outcome for line, outcome in outcomes(of)}


def test_what_may_stay_open_is_neither_passed_nor_failed() -> None:
    assert counts(report(PASSED, SKIPPED, UNDECIDED)) == {
        "loads": "pass",
        "top1_drop": "open",
        "latency": "open",
    }


@pytest.mark.parametrize(
    ("changes", "fails"),
    [
        ({"allow_skipped": False}, "top1_drop"),
        ({"required": ("top1_drop",)}, "top1_drop"),
        ({"allow_undecided": False}, "latency"),
    ],
    ids=lambda value: str(value),
)
def test_what_may_not_stay_open_fails(changes: dict[str, Any], fails: str) -> None:
    found = counts(report(PASSED, SKIPPED, UNDECIDED, **changes))

    assert [name for name, outcome in found.items() if outcome == "fail"] == [fails]


def test_a_check_in_which_nothing_passed_fails_by_a_line_of_its_own() -> None:
    *_, (line, outcome) = outcomes(report(SKIPPED))

    assert (line.name, outcome) == ("check", "fail")
    assert line.why.startswith("failed: 0 pass, ")


def test_a_line_fails_exactly_if_the_report_does() -> None:
    every = of_every_verdict().lines
    for which in product((False, True), repeat=len(every)):
        lines = tuple(line for line, there in zip(every, which, strict=True) if there)
        for skipped, undecided, required in product(
            (False, True), (False, True), ((), ("top1_drop",))
        ):
            made = replace(
                report(*lines), allow_skipped=skipped, allow_undecided=undecided, required=required
            )
            failing = [name for name, how in counts(made).items() if how in ("fail", "error")]
            assert bool(failing) is not made.ok, (made.verdict, failing)
