"""Killed at any moment and started again, a training run ends with the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

KILLS = 20

# Runs in a process of its own. For every kill it forks a child that trains and sends itself SIGKILL
# on reaching the n-th line executed in the loop and in the writing of its state; then a second
# child trains in the same folder to the end.
PROGRAM = """
import json, os, random, signal, sys
from pathlib import Path

import safetensors.torch
import torch
import torch._dynamo  # what optimizers load at their first use; here once, not in every child
from torch import nn
from torch.nn import functional

torch.set_num_threads(1)
from edgestill.pipeline import fit as loop, fit_state
from edgestill.pipeline.fit import fit
from edgestill.pipeline.fit_state import digest
from edgestill.pipeline.recipe import Training

TRACED = {loop.__file__, fit_state.__file__}
SETTINGS = Training(
    epochs=4, lr=0.05, optimizer=sys.argv[2], precision=sys.argv[3], clip_norm=1.0
)


class Noise:
    images = 80

    def __len__(self):
        return 10

    def epoch(self, epoch):
        chance = torch.Generator().manual_seed(epoch)
        for _ in range(10):
            yield torch.randn(8, 3, 6, 6, generator=chance), torch.arange(8) % 2


def run(folder, kill_at=None):
    lines = 0

    def line(frame, event, argument):
        nonlocal lines
        if event == "line":
            lines += 1
            if lines == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(),
        nn.Linear(64, 2),
    )
    beside, weight = nn.Linear(2, 2), [1.0]  # what a loss learns, and a term that warms up

    def terms(images, labels):
        logits = model(images)
        return {
            "ce": functional.cross_entropy(logits.float(), labels),
            "hint": weight[0] * beside(logits).float().square().mean(),
        }

    sys.settrace(lambda frame, *event: line if frame.f_code.co_filename in TRACED else None)
    history = fit(
        model, Noise(), terms, SETTINGS, beside=beside,
        before_epoch=lambda epoch: weight.__setitem__(0, min((epoch + 1) / 3, 1.0)),
        state=folder / "state", seed=3, device=torch.device("cpu"), label="teacher",
        evaluate=lambda model: float(model(torch.ones(2, 3, 6, 6)).sum()),
    )
    sys.settrace(None)
    trained = {**model.state_dict(), **beside.state_dict(prefix="beside.")}
    return {"weights": digest(trained), "history": history, "lines": lines}


def in_a_child(folder, kill_at=None):
    child = os.fork()
    if child == 0:
        (folder / "result.json").write_text(json.dumps(run(folder, kill_at)))
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return None
    return json.loads((folder / "result.json").read_text())


root = Path(sys.argv[1])


def fresh(name):
    (root / name).mkdir()
    return root / name


whole = in_a_child(fresh("whole"))
killed = []
for moment in sorted(random.Random(0).sample(range(1, whole["lines"] + 1), int(sys.argv[4]))):
    folder = fresh(str(moment))
    died = in_a_child(folder, moment) is None
    killed.append({"moment": moment, "died": died, "again": in_a_child(folder)})
print(json.dumps({"whole": whole, "killed": killed}))
"""


@pytest.fixture(scope="module", params=[("sgd", "float32"), ("adamw", "bfloat16")], ids=str)
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The uninterrupted run, and those that were killed and started again."""
    folder = tmp_path_factory.mktemp("-".join(request.param))
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), *request.param, str(KILLS)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    left = sorted({path.name for path in folder.glob("*/*")})
    return {**json.loads(result.stdout), "files": left}


def test_every_run_was_killed_and_some_had_to_continue(runs: Any) -> None:
    lines = [run["again"]["lines"] for run in runs["killed"]]

    assert [run["died"] for run in runs["killed"]] == [True] * KILLS
    assert min(lines) < 0.5 * runs["whole"]["lines"]  # most of the work was not done again


def test_the_weights_are_those_of_the_uninterrupted_run(runs: Any) -> None:
    weights = {run["moment"]: run["again"]["weights"] for run in runs["killed"]}

    assert weights == dict.fromkeys(weights, runs["whole"]["weights"])


def test_the_records_are_those_of_the_uninterrupted_run(runs: Any) -> None:
    for run in runs["killed"]:
        assert run["again"]["history"] == runs["whole"]["history"]


def test_nothing_but_the_state_is_left(runs: Any) -> None:
    assert runs["files"] == ["result.json", "state"]
