"""Reports of checks as the formats' tests need them."""

from __future__ import annotations

from typing import Any

from edgestill.export.check_report import CheckReport, Line

NASTY = 'a | b\n<c> & "d" \x00\x1b ü]]> \\'
"""Text that breaks careless writers."""

PASSED = Line(name="loads", verdict="pass", found="opens", expected="opens")
SKIPPED = Line(name="top1_drop", verdict="skipped", why="no labels were given")
UNDECIDED = Line(
    name="latency",
    verdict="undecided",
    found="0.9 to 1.2",
    expected="at most 1.05",
    why="too noisy",
)


def report(*lines: Line, model: str = "models/fine.onnx", **changes: Any) -> CheckReport:
    """A report on `model` with these lines."""
    told: dict[str, Any] = {
        "sha256": "0" * 64,
        "bytes": 1,
        "target": "ort-x86",
        "reference": None,
        "inputs": "4 samples",
        "tools": {"onnx": "1"},
    }
    return CheckReport(model=model, lines=lines, **(told | changes))


def of_every_verdict() -> CheckReport:
    """One line of each verdict, and names that need care."""
    return report(
        Line(name="good", verdict="pass", found="1", expected="1"),
        Line(name="bad", verdict="fail", found=NASTY, expected="2", why=NASTY),
        SKIPPED,
        Line(name="broken", verdict="error", why="ZeroDivisionError: division by zero"),
        UNDECIDED,
        model="out dir/models|1/ü#model.onnx",
    )
