"""`edgestill sweep` as a real process: what it leaves, reuses and refuses, and an interruption."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgestill.pipeline.manifest import verify

Edgestill = Callable[..., Any]


def test_runs_share_what_they_can_and_a_failure_is_listed_at_the_end(
    finished_copy: Path, edgestill: Edgestill
) -> None:
    # The second budget is met by nothing, the first is the recipe's own: all but the report stands.
    words = ("sweep", "smoke", "--over", "budget.macs=1k,900k", "--workdir", "work")
    before = verify(finished_copy / "runs/smoke/quantize").content

    done = edgestill(*words, cwd=finished_copy.parent)

    folder = finished_copy / "sweeps/smoke"
    told = json.loads((folder / "sweep.json").read_text())
    failed, whole = told["runs"]
    assert done.returncode == 1
    assert [run["status"] for run in told["runs"]] == ["failed", "done"]
    assert failed["exit_code"] == 1 and "budget.macs = 1,000 binds" in failed["error"]
    statuses = {name: stage["status"] for name, stage in whole["figures"]["stages"].items()}
    assert statuses.pop("report") == "ran"
    assert set(statuses.values()) == {"reused"}
    assert verify(finished_copy / "runs/smoke-macs-900k/quantize").content == before
    assert "failed: smoke-macs-1k: no wideresnet" in done.stdout
    assert "1 of 2 runs done, 1 failed" in done.stdout
    assert (folder / "pareto.svg").read_text().startswith("<svg")
    assert (finished_copy / "runs/smoke-macs-900k/report.html").is_file()


def test_json_is_all_that_stdout_gets(finished_copy: Path, edgestill: Edgestill) -> None:
    words = ("sweep", "smoke", "--over", "budget.macs=900k", "--workdir", "work", "--json")

    done = edgestill(*words, cwd=finished_copy.parent)

    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert told == json.loads((finished_copy / "sweeps/smoke/sweep.json").read_text())
    assert told["runs"][0]["figures"]["top1"]["student"] > 0.5


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("sweep", "smoke", "--over", "seed=a,1"), "with --over seed=a: seed: "),
        (("sweep", "nowhere", "--over", "seed=0,1"), "no recipe file 'nowhere'"),
        (("sweep", "smoke"), "Missing option '--over'"),
    ],
)
def test_what_cannot_be_swept_ends_before_anything_runs(
    edgestill: Edgestill, tmp_path: Path, words: tuple[str, ...], line: str
) -> None:
    done = edgestill(*words, cwd=tmp_path)

    assert done.returncode == 2
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_an_interrupted_sweep_says_so_ends_its_run_and_goes_on_later(
    edgestill: Edgestill, tmp_path: Path, sent: signal.Signals
) -> None:
    words = (
        "sweep", "smoke", "--over", "seed=0", "--workdir", "work",
        "--set", "data.image_size=8", "--set", "teacher.epochs=40",
    )  # fmt: skip
    journal = tmp_path / "work/runs/smoke-seed-0/events.jsonl"
    command = [str(Path(sys.executable).with_name("edgestill")), *words]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        text=True,
        stderr=subprocess.PIPE,
        # Whoever starts the tests in the background hands down an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        wait_for(journal, '"epoch": 1')
        process.send_signal(sent)
        said = process.communicate()[1]
    steps = len(journal.read_text().splitlines())
    told = json.loads((tmp_path / "work/sweeps/smoke/sweep.json").read_text())

    assert process.returncode == 130
    assert said.splitlines()[-1] == ("edgestill: interrupted; run the same command again to go on")
    assert "Traceback" not in said
    assert (told["status"], told["runs"][0]["status"]) == ("interrupted", "waiting")
    time.sleep(0.5)
    assert len(journal.read_text().splitlines()) == steps  # nobody goes on in secret
    scratch = list((tmp_path / "work/store/teacher").glob("*.work/scratch/*"))
    assert scratch  # from which the same command goes on


def wait_for(path: Path, text: str, timeout_s: float = 90) -> None:
    """Return when the file holds `text`."""
    limit = time.monotonic() + timeout_s
    while time.monotonic() < limit:
        if path.exists() and text in path.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not say {text!r} in {timeout_s} s")
