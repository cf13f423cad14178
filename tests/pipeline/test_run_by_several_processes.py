"""A whole run by two processes: what it leaves, and what is left when one of them dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgestill.pipeline.manifest import Manifest, read_manifest

# Small steps: rounding differs between one process and two, and training would enlarge it.
QUICK = (
    "data.train_limit=400",
    "teacher.epochs=3",
    "teacher.lr=0.001",
    "distill.epochs=3",
    "distill.lr=0.001",
    "quantize.epochs=3",
    "quantize.lr=0.0001",
    "quantize.calibration_images=64",
    "check.top1_drop=1",
    "profile.on.0.seconds=0.1",
)
WORDS = ("run", "smoke", *(word for change in QUICK for word in ("--set", change)))
TRAINED = ("teacher", "distill", "quantize")
EDGESTILL = str(Path(sys.executable).with_name("edgestill"))
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")

# torchrun's own agent, in forks of a process that has its imports behind it: a run by two processes
# starts in a moment. A line of stdin is a folder, the number of processes, and the words of the
# command; what they print goes to FOLDER/log.
SERVER = """
import os, signal, sys, time
import onnxscript, sklearn.datasets, torch, torch._dynamo, torch.fx
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from edgestill.pipeline import cli, follow, process_group
for name in ("teacher", "search", "shortlist", "distill", "quantize"):
    __import__("edgestill.pipeline.stages." + name)

def command(*words):
    sys.argv = ["edgestill", *words]
    if os.path.exists("late") and os.environ["RANK"] == "1":
        meet = process_group.rendezvous
        process_group.rendezvous = lambda url: time.sleep(1) or meet(url)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as exec leaves it; a fork does not
    try:
        cli.main()
    except SystemExit as ended:
        print(f"rank {os.environ.get('RANK', 0)} ended with {ended.code}", flush=True)
        raise

def started(count, words):
    if count == 1:
        return command(*words)
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=count, start_method="fork", monitor_interval=0.1,
        rdzv_backend="c10d", rdzv_endpoint="localhost:0", max_restarts=0,
    )
    elastic_launch(config, command)(*words)

print("ready", flush=True)
for line in sys.stdin:
    folder, count, *words = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = 1
        try:
            started(int(count), words)
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException as error:
            print("torchrun:", type(error).__name__, flush=True)
        finally:
            os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Warm:
    """Runs the command by one process or by two, in folders with a work directory and a log."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"

    def run(
        self, folder: Path, *words: str, count: int = 2, until: str = "quantize", **kill: Any
    ) -> tuple[int, str]:
        """The exit code of torchrun, and all that was printed."""
        assert self.process.stdin is not None
        folder.mkdir(exist_ok=True)
        (folder / "log").write_text("")
        told = (*WORDS, "--workdir", "work", "--until", until, *words)
        self.process.stdin.write("\t".join((str(folder), str(count), *told)) + "\n")
        self.process.stdin.flush()
        agent = int(self._line())
        if kill:
            signalled(folder, agent, **kill)
        return int(self._line()), (folder / "log").read_text()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def signalled(folder: Path, agent: int, *, after: str, who: str, how: int) -> None:
    """Send a signal to the first process, the second one or torchrun once the log has a line."""
    limit = time.monotonic() + 60
    while after not in (folder / "log").read_text():
        assert time.monotonic() < limit, (folder / "log").read_text()
        time.sleep(0.005)
    first = int(json.loads((folder / "work" / "lock.json").read_text())["pid"])
    children = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
    (second,) = {int(child) for child in children} - {first}
    os.kill({"first": first, "second": second, "torchrun": agent}[who], how)


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    server = Warm()
    yield server
    server.process.kill()
    server.process.communicate()


@pytest.fixture(scope="module")
def whole(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work directory of two processes that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    code, log = warm.run(folder)
    assert code == 0, log
    return folder / "work"


def test_two_processes_come_to_what_one_comes_to(warm: Warm, whole: Path, tmp_path: Path) -> None:
    code, log = warm.run(tmp_path, count=1)

    assert code == 0, log
    for stage in TRAINED:
        ours, theirs = (read(work, stage, "history.json") for work in (whole, tmp_path / "work"))
        for mine, alone in zip(ours, theirs, strict=True):
            # float32: as far apart as one process with one thread and with two
            assert mine["loss"] == pytest.approx(alone["loss"], rel=3e-3), stage
            assert mine["terms"] == pytest.approx(alone["terms"], rel=0.02), stage


def test_nothing_of_the_number_of_processes_is_in_a_key(whole: Path) -> None:
    said = subprocess.check_output(
        [EDGESTILL, "plan", *WORDS[1:], "--workdir", whole, "--json"], text=True
    )

    stages = json.loads(said)["stages"]
    assert {stages[stage]["action"] for stage in ("search", *TRAINED)} == {"reuse"}
    assert {manifest(whole, stage).environment["processes"] for stage in TRAINED} == {2}


def test_the_first_process_alone_tells_and_writes(whole: Path) -> None:
    log = (whole.parent / "log").read_text()
    journal = (whole / "runs" / "smoke" / "events.jsonl").read_text()

    assert log.count("teacher epoch 2/3") == 1
    assert log.count("teacher    done") == 1
    assert sum('"event": "epoch"' in line for line in journal.splitlines()) == 9


@pytest.mark.long
def test_killed_and_interrupted_they_go_on_and_end_with_the_same_bytes(
    warm: Warm, whole: Path, tmp_path: Path
) -> None:
    kill, stop = signal.SIGKILL, signal.SIGINT

    code, log = warm.run(tmp_path, after="teacher epoch 1/3", who="second", how=kill)
    assert code != 0
    assert ours(log) == [
        "edgestill: the process of rank 1 (of 2) is gone, killed or crashed; what was finished"
        " stands: run again"
    ]
    assert "rank 0 ended with 3" in log

    code, log = warm.run(tmp_path, after="distill epoch 1/3", who="first", how=kill)
    assert code != 0
    assert "teacher: continues after epoch" in log
    assert ours(log) == [
        "edgestill: the process of rank 0 (of 2) is gone, killed or crashed; what was finished"
        " stands: run again"
    ]
    assert "rank 1 ended with 3" in log

    code, log = warm.run(tmp_path, after="quantize epoch 1/3", who="torchrun", how=stop)
    assert code != 0
    assert "distill: continues after epoch" in log
    assert ours(log) == ["edgestill: interrupted; run the same command again to go on"]
    assert "rank 0 ended with 130" in log and "rank 1 ended with 130" in log

    last = subprocess.run(
        [*TORCHRUN, "--no-python", EDGESTILL, *WORDS, "--workdir", "work", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert last.returncode == 0, last.stderr
    assert "quantize: continues after epoch" in last.stderr
    assert json.loads(last.stdout)["recipe"] == "smoke"  # once, and nothing else
    for stage in TRAINED:
        assert manifest(tmp_path / "work", stage).files == manifest(whole, stage).files


@pytest.mark.long
def test_two_processes_try_a_shortlist_together(warm: Warm, tmp_path: Path) -> None:
    code, log = warm.run(tmp_path, "--set", "student.shortlist=2", until="shortlist")

    assert code == 0, log
    rows = read(tmp_path / "work", "shortlist", "candidates.json")
    assert [len(row["rungs"]) for row in rows if "rungs" in row] == [1, 1]
    assert log.count("epoch 2/2") == 2


def test_a_mistake_that_all_processes_meet_is_told_once(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "late").touch()  # the second process is still starting when the first has failed

    code, log = warm.run(tmp_path, "--set", "data.batch_size=33")

    assert code != 0
    assert ours(log) == [
        "edgestill: a batch of 33 images does not divide among 2 processes; set data.batch_size to"
        " a multiple of 2"
    ]
    assert "rank 0 ended with 2" in log and "rank 1 ended with 2" in log


def test_a_mistake_that_one_process_meets_ends_both(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import os\n"
        "from edgestill.models.errors import BadInput\n"
        "from torch import nn\n"
        "def network():\n"
        "    if os.environ['RANK'] == '1':\n"
        "        raise BadInput('no such weights on this machine')\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),\n"
        "                         nn.Flatten(), nn.Linear(4, 10))\n"
    )

    code, log = warm.run(
        tmp_path, "--set", "teacher.model=own:network", "--set", 'teacher.blocks=["1"]'
    )

    assert code != 0
    (said,) = ours(log)
    assert "no such weights on this machine" in said
    assert "rank 0 ended with 2" in log and "rank 1 ended with 2" in log
    assert "BadInput(" not in log  # no traceback of ours


def ours(log: str) -> list[str]:
    return [line for line in log.splitlines() if line.startswith("edgestill:")]


def manifest(workdir: Path, stage: str) -> Manifest:
    return read_manifest(workdir / "runs" / "smoke" / stage)


def read(workdir: Path, stage: str, name: str) -> Any:
    return json.loads((workdir / "runs" / "smoke" / stage / name).read_text())
