"""The closing table of a sweep: every run has its line, and every failure its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgestill.pipeline.sweep_results import Run
from edgestill.pipeline.sweep_table import sweep_table

from .sweeps import done, figures, two_budgets_three_seeds


def test_every_run_has_a_line_with_its_values_and_figures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sweep_table(two_budgets_three_seeds())

    told = capsys.readouterr().out
    lines = [line for line in told.splitlines() if "15M" in line]
    assert len(lines) == 3
    for words in ("92.00 %", "15 M", "20 kB", "3", "met", "done"):
        assert words in lines[2]
    assert "6 of 6 runs done" in told


def test_a_failure_is_told_in_full_below_the_table_and_hides_no_other_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = two_budgets_three_seeds()
    why = "no wideresnet fits " + "because of a very long reason " * 8 + "END"
    broken = Run(
        name="broken", overrides={"budget.macs": "1k", "seed": "0"}, status="failed", exit_code=1,
        error=why, lost=2,
    )  # fmt: skip

    sweep_table(replace(whole, runs=(broken, *whole.runs)))

    told = capsys.readouterr().out
    assert f"failed: broken: {why} (exit code 1)" in told
    assert "failed, 2 lost" in told
    assert "6 of 7 runs done, 1 failed" in told


def test_latencies_under_different_conditions_are_said_not_to_compare(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = two_budgets_three_seeds()
    other = done("other", {"budget.macs": "1M", "seed": "9"}, figures(timed="another machine"))

    sweep_table(replace(whole, runs=(*whole.runs, other)))

    assert "they do not compare" in capsys.readouterr().out
