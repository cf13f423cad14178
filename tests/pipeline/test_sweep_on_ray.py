"""A sweep on a real local Ray cluster: workers, a kill in the middle, an interruption.

Ray is no part of the usual environment: make test-ray
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgestill.pipeline.manifest import verify

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None,
        reason="ray is not installed: pip install 'edgestill[ray]'",
    ),
]

Edgestill = Callable[..., Any]
TRAINED = ("search", "teacher", "shortlist", "distill", "quantize")
TINY = (
    "--set", "data.image_size=8", "--set", "teacher.epochs=2", "--set", "distill.epochs=5",
    "--set", "export.targets=['ort-x86']",
)  # fmt: skip
SMALL, LARGE, NONE = ("smoke-macs-200k", "smoke-macs-300k", "smoke-macs-1k")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str, dict[str, int]]:
    """(work directory, exit code, stdout, {run: pid of its first worker}); SMALL's was killed."""
    folder = tmp_path_factory.mktemp("swept")
    runs = folder / "work/runs"
    with sweeping(folder, "budget.macs=1k,200k,300k") as process:
        until(lambda: '"label": "distill"' in read(runs / SMALL / "events.jsonl"))
        until(lambda: (runs / LARGE / "lock.json").exists())
        pids = {name: json.loads(read(runs / name / "lock.json"))["pid"] for name in (SMALL, LARGE)}
        os.kill(pids[SMALL], signal.SIGKILL)
        out, err = process.communicate()
    print(err)  # pytest shows it where a test fails
    return folder / "work", process.returncode, out, pids


def test_all_runs_end_and_the_one_that_cannot_is_the_one_that_failed(
    swept: tuple[Path, int, str, dict[str, int]],
) -> None:
    workdir, code, out, pids = swept

    told = json.loads((workdir / "sweeps/smoke/sweep.json").read_text())
    runs = {run["name"]: run for run in told["runs"]}
    assert code == 1
    assert {name: run["status"] for name, run in runs.items()} == {
        NONE: "failed", SMALL: "done", LARGE: "done"
    }  # fmt: skip
    assert {name: run["lost"] for name, run in runs.items()} == {NONE: 0, SMALL: 1, LARGE: 0}
    assert f"failed: {NONE}: no wideresnet" in out
    assert len(set(pids.values())) == 2  # two workers at one time


def test_the_teacher_was_made_once(swept: tuple[Path, int, str, dict[str, int]]) -> None:
    workdir, *_ = swept

    made = [
        event
        for name in (SMALL, LARGE)
        for event in events(workdir, name)
        if event.get("name") == "teacher" and event.get("status") == "done"
    ]
    assert len(made) == 1
    assert len(list((workdir / "store/teacher").glob("*/manifest.json"))) == 1


def test_the_killed_run_went_on_where_it_was(swept: tuple[Path, int, str, dict[str, int]]) -> None:
    workdir, *_ = swept

    told = events(workdir, SMALL)
    begun = [
        place
        for place, event in enumerate(told)
        if event.get("name") == "distill" and event.get("status") == "run"
    ]
    epochs = [
        [event["epoch"] for event in part if event.get("label") == "distill"]
        for part in (told[begun[0] : begun[1]], told[begun[1] :])
    ]
    assert len(begun) == 2
    assert told[begun[1]]["why"] == "goes on where it was interrupted"
    assert epochs[0] and epochs[1][0] > 1
    assert epochs[1][-1] == 5


def test_the_results_are_those_of_runs_that_nobody_interrupted(
    swept: tuple[Path, int, str, dict[str, int]], edgestill: Edgestill, tmp_path: Path
) -> None:
    workdir, *_ = swept

    for name, macs in ((SMALL, "200k"), (LARGE, "300k")):
        words = ("run", "smoke", *TINY, "--set", f"budget.macs={macs}", "--set", f"name={name}")
        done = edgestill(*words, "--until", "quantize", cwd=tmp_path, timeout=600)
        assert done.returncode == 0, done.stderr
        for stage in TRAINED:
            alone = verify(tmp_path / "edgestill-work/runs" / name / stage)
            assert verify(workdir / "runs" / name / stage).content == alone.content, (name, stage)


def test_an_interruption_ends_the_sweep_and_its_workers(tmp_path: Path) -> None:
    run = tmp_path / "work/runs" / LARGE
    with sweeping(tmp_path, "budget.macs=300k") as process:
        until(lambda: '"epoch": 1' in read(run / "events.jsonl"))
        worker = json.loads(read(run / "lock.json"))["pid"]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()

    assert process.returncode == 130
    assert said.splitlines()[-1] == "edgestill: interrupted; run the same command again to go on"
    assert "Traceback" not in said
    until(lambda: not Path(f"/proc/{worker}").exists(), timeout_s=60)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--ray", "127.0.0.1:1"), "edgestill: --ray 127.0.0.1:1: no cluster answers"),
        (("--ray", "local", "--cpus", "100000"), "no machine of the cluster has the 100000 CPUs"),
    ],
)
def test_a_cluster_that_cannot_take_the_runs_is_told_in_one_line(
    edgestill: Edgestill, tmp_path: Path, words: tuple[str, ...], line: str
) -> None:
    done = edgestill("sweep", "smoke", "--over", "seed=0", *words, cwd=tmp_path, timeout=300)

    assert done.returncode == 2, done.stderr
    assert line in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def sweeping(folder: Path, over: str) -> subprocess.Popen[str]:
    """A sweep on a cluster of its own, in `folder`/work, going on while the test does."""
    return subprocess.Popen(
        [
            str(Path(sys.executable).with_name("edgestill")), "sweep", "smoke", *TINY,
            "--over", over, "--ray", "local", "--workdir", "work",
        ],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Whoever starts the tests in the background hands down an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def until(holds: Callable[[], bool], timeout_s: float = 300) -> None:
    limit = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def events(workdir: Path, run: str) -> list[dict[str, Any]]:
    """What the run told, in order; a line that a kill cut short is left out."""
    told = []
    for line in read(workdir / "runs" / run / "events.jsonl").splitlines():
        if line.endswith("}"):
            told.append(json.loads(line))
    return told
