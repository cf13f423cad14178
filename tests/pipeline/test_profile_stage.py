"""The profile stage on several targets, through the real command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Edgestill = Callable[..., Any]
TWO = (
    "[{seconds=0.1, rounds=2, warmup_seconds=0.1},"
    " {name='twice', batch=2, seconds=0.1, rounds=3, warmup_seconds=0}]"
)


def test_every_target_has_its_figures_its_board_and_its_section(
    finished_copy: Path, edgestill: Edgestill
) -> None:
    done = edgestill("run", "smoke", "--workdir", finished_copy, "--set", f"profile.on={TWO}",
                     cwd=finished_copy.parent)  # fmt: skip

    assert done.returncode == 0, done.stderr
    run = finished_copy / "runs/smoke"
    measured = json.loads((run / "profile/measurements.json").read_text())
    boards = json.loads((run / "profile/board.json").read_text())
    summary = json.loads((run / "summary.json").read_text())
    assert measured["order"] == ["local", "twice"]
    assert set(boards) == {"local", "twice"}
    assert boards["local"]["fingerprint"] == boards["twice"]["fingerprint"]
    for name, rounds, warm in (("local", 2, True), ("twice", 3, False)):
        files = measured["targets"][name]["files"]
        assert {each["warmup_s"] >= 0.1 for each in files.values()} == {warm}
        assert {"teacher", "student"} <= set(files)
        assert {len(each["slices"]) for each in files.values()} == {rounds}
        assert {each["baseline"] for each in measured["targets"][name]["comparisons"]} == {
            "teacher"
        }
    assert summary["latency_ms"]["student@twice"]["p50"] > 0
    assert summary["measured"]["student@twice"]["batch"] == 2
    assert "student@local" not in summary["latency_ms"]
    assert "on twice" in done.stdout
    assert "Measured on twice" in (run / "report.html").read_text()


def test_a_target_that_fails_fails_the_stage_and_what_others_measured_is_kept(
    finished_copy: Path, edgestill: Edgestill
) -> None:
    unreachable = "[{seconds=0.1}, {target='ssh://127.0.0.1:1'}]"
    words = ("run", "smoke", "--workdir", finished_copy, "--set", f"profile.on={unreachable}")

    first = edgestill(*words, cwd=finished_copy.parent)
    scratch = next((finished_copy / "store/profile").glob("*.work/scratch/0.json"))
    kept = scratch.read_bytes()
    again = edgestill(*words, cwd=finished_copy.parent)

    for done in (first, again):
        assert done.returncode == 3
        assert done.stderr.splitlines()[-1].startswith("edgestill: ")
        assert "Traceback" not in done.stderr
    assert "goes on where it was interrupted" in again.stderr
    assert scratch.read_bytes() == kept
