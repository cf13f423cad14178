"""A check in a child process: the same report, and one also where the child does not end well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest

from edgestill.export.arm64 import Arm64
from edgestill.export.arm64_root import Arm64Root
from edgestill.export.check import check_model
from edgestill.export.check_child import CheckWorker, check_in_child
from edgestill.export.check_limits import Limits, files_bytes
from edgestill.export.check_report import CheckReport
from edgestill.export.contract import Contract, ParityLimits
from edgestill.models.errors import BadInput

from ..conftest import CLI
from .endless import endless, vast

Images = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Labels = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Machine = Callable[..., Arm64Root]
SHORT = Limits(timeout_s=1.0)


@pytest.fixture(scope="module")
def worker() -> Iterator[CheckWorker]:
    with CheckWorker() as worker:
        yield worker


@pytest.fixture
def looping(tmp_path: Path) -> Path:
    return endless(tmp_path / "endless.onnx")


@pytest.fixture(params=[False, True], ids=["forked", "new Python"])
def own_worker(request: pytest.FixtureRequest) -> Iterator[CheckWorker]:
    with CheckWorker(spawn=request.param) as worker:
        yield worker


def test_the_report_is_that_of_a_check_in_this_process(
    own_worker: CheckWorker, good: Path, images: Images, labels: Labels
) -> None:
    contract = Contract(top1_drop=0.1, parity=ParityLimits(max_abs=0.1), max_bytes=100_000)
    given = {"contract": contract, "reference": good, "samples": images, "labels": labels}

    there = own_worker.check(good, **given)  # type: ignore[arg-type]  # by name, as below

    assert there == check_model(good, **given)  # type: ignore[arg-type]
    assert there.ok


def test_samples_by_name_and_a_target_go_along(
    worker: CheckWorker, good: Path, images: Images
) -> None:
    report = worker.check(
        good, contract=Contract(), target="ort-x86", samples={"images": images[:7]}
    )

    assert report.target == "ort-x86"
    assert report.line("runs").found == "logits (7, 5)"


def test_lines_are_told_as_they_come(worker: CheckWorker, good: Path) -> None:
    told: list[str] = []

    report = worker.check(
        good,
        contract=Contract(),
        begun=lambda name: told.append(f"begun {name}"),
        ended=lambda line: told.append(f"ended {line.name}"),
    )

    assert told == [f"{what} {x.name}" for x in report.lines for what in ("begun", "ended")]


def test_an_emulated_processor_goes_along(
    worker: CheckWorker, good: Path, tmp_path: Path, machine: Machine
) -> None:
    arm64 = Arm64(files=machine(tmp_path), cpu="cortex-a53", timeout_s=60.0)

    report = worker.check(good, contract=Contract(), arm64=arm64)

    assert report.tools["arm64"] == str(arm64)
    assert report.line("arm64.runs").verdict == "pass"


def told_of_end(report: CheckReport, name: str) -> str:
    """Why line `name` broke; the lines before it passed, and those after it were not reached."""
    names = [line.name for line in report.lines]
    at = names.index(name)
    assert {line.verdict for line in report.lines[:at]} <= {"pass", "skipped"}
    assert report.lines[at].verdict == "error"
    assert names[at + 1 :], "the report ends with the line that broke"
    for line in report.lines[at + 1 :]:
        assert (line.verdict, line.why) == ("skipped", f"{name!r} ended the process before it")
    assert not report.ok
    return report.lines[at].why


def test_a_model_that_never_ends_is_ended(own_worker: CheckWorker, looping: Path) -> None:
    report, seconds = ended_in(own_worker, looping, "runs")

    says = f"did not end within {seconds:g} s; allow more with --timeout"
    assert says in told_of_end(report, "runs")
    assert report.sha256
    assert report.tools.keys() == {"onnx", "onnxruntime"}


def ended_in(worker: CheckWorker, path: Path, name: str) -> tuple[CheckReport, float]:
    """The report of a check whose time ran out in line `name`, and that time.

    A busy machine takes longer to come as far, so the time given grows.
    """
    for seconds in (1.5, 6.0, 24.0, 96.0):
        begun: list[str] = []
        limits = Limits(timeout_s=seconds)
        with suppress(BadInput):  # not even begun
            report = worker.check(path, contract=Contract(), limits=limits, begun=begun.append)
            if begun and begun[-1] == name:
                return report, seconds
    raise AssertionError(f"the check never came to {name}: {begun}")


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_is_told_with_its_signal(
    worker: CheckWorker, looping: Path, good: Path, number: signal.Signals
) -> None:
    def begun(name: str) -> None:
        if name == "runs":
            os.kill(child_of(worker), number)

    report = worker.check(looping, contract=Contract(), begun=begun)

    assert f"ended by signal {number.value} ({number.name})" in told_of_end(report, "runs")
    assert worker.check(good, contract=Contract()).ok


def test_a_worker_that_is_killed_is_started_anew(
    worker: CheckWorker, looping: Path, good: Path
) -> None:
    def begun(name: str) -> None:
        if name == "runs":
            os.kill(pid_of(worker), signal.SIGKILL)

    report = worker.check(looping, contract=Contract(), begun=begun)
    assert "ended by signal 9 (SIGKILL)" in told_of_end(report, "runs")

    assert worker.check(good, contract=Contract()).ok
    os.kill(pid_of(worker), signal.SIGKILL)
    time.sleep(0.1)  # between two checks
    assert worker.check(good, contract=Contract()).ok


def test_memory_is_limited(worker: CheckWorker, tmp_path: Path) -> None:
    path = vast(tmp_path / "vast.onnx", elements=500_000_000)

    report = worker.check(path, contract=Contract(), limits=Limits(memory_bytes=1 << 30))

    # ONNX Runtime gets no memory and says so; its process lives on.
    assert report.line("runs").verdict == "error"
    assert "allow more with --memory" in report.line("runs").why
    assert report.line("loads").verdict == "pass"
    assert worker.used is not None
    assert worker.used.resident_bytes < 1 << 30


def test_nothing_is_left_of_a_child_that_was_ended(
    looping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    with CheckWorker() as own:
        own.check(looping, contract=Contract(), limits=SHORT)
        assert children(pid_of(own)) == []
        worker = pid_of(own)

    assert list(scratch.iterdir()) == []
    assert not Path(f"/proc/{worker}").exists()


def test_children_end_with_the_process_that_waits_for_them(looping: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edgestill.export.check_child import *;"
        "from edgestill.export.contract import Contract;"
        "check_in_child(Path(sys.argv[1]), contract=Contract(), begun=lambda n: print(n, flush=1))"
    )
    words = [sys.executable, "-c", code, str(looping)]
    with subprocess.Popen(words, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        assert "runs\n" in iter(process.stdout.readline, "")
        (worker,) = children(process.pid)
        (child,) = children(worker)

        process.kill()

    assert gone(worker) and gone(child)


def test_ctrl_c_ends_the_children_and_says_no_more(looping: Path) -> None:
    words = [*CLI, "check", str(looping)]
    with subprocess.Popen(words, stdout=PIPE, stderr=PIPE, text=True) as process:
        (worker,) = awaited_children(process.pid)
        (child,) = awaited_children(worker)

        process.send_signal(signal.SIGINT)

        said, told = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Traceback" not in said + told
    assert gone(worker) and gone(child)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"samples": np.array([object()])}, "expected numbers or text"),
        ({"labels": np.array([1])}, "labels were given without"),
        ({"target": "tensort"}, "did you mean 'tensorrt'"),
        ({"reference": Path("nowhere.onnx")}, "nowhere.onnx"),
    ],
)
def test_a_fault_in_what_was_given_is_bad_input(
    worker: CheckWorker, good: Path, given: dict[str, object], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        worker.check(good, contract=Contract(), **given)  # type: ignore[arg-type]


def test_a_file_that_is_not_there_starts_nothing(tmp_path: Path) -> None:
    with CheckWorker() as own, pytest.raises(BadInput, match="no such file"):
        own.check(tmp_path / "gone.onnx", contract=Contract())
    assert own._process is None


def test_one_check_needs_no_worker_of_ones_own(good: Path) -> None:
    assert check_in_child(good, contract=Contract()).ok


def test_limits_follow_from_the_files(tmp_path: Path) -> None:
    model, beside = tmp_path / "big.onnx", tmp_path / "big.onnx.data"
    # Its name may fall between two of the pieces that are read.
    model.write_bytes(bytes((1 << 24) - 5) + b"big.onnx.data" + bytes(1000))
    beside.write_bytes(bytes(5000))
    (tmp_path / "other").write_bytes(bytes(9))
    with (tmp_path / "big_dump").open("wb") as file:
        file.truncate(100 << 30)  # 100 GB that only lie there, and take no space
    assert files_bytes(model, None) == model.stat().st_size + 5000

    model.write_bytes(b"")
    assert files_bytes(model, tmp_path / "gone.npz") == 0

    small = Limits().filled(model_bytes=1000, samples_bytes=0)
    large = Limits().filled(model_bytes=10**9, samples_bytes=0)
    own = Limits(memory_bytes=5, timeout_s=1.0).filled(model_bytes=10**9, samples_bytes=0)

    assert small.memory_bytes and large.memory_bytes and small.timeout_s and large.timeout_s
    assert small.memory_bytes <= 4 << 30
    assert large.memory_bytes >= small.memory_bytes
    assert large.timeout_s - small.timeout_s == pytest.approx(500, abs=0.01)
    assert (own.memory_bytes, own.timeout_s) == (5, 1.0)


def pid_of(worker: CheckWorker) -> int:
    assert worker._process is not None
    return worker._process.pid


def child_of(worker: CheckWorker) -> int:
    (child,) = children(pid_of(worker))
    return child


def children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children").read_text()
    return list(map(int, found.split()))


def awaited_children(process: int) -> list[int]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := children(process):
            return found
        time.sleep(0.02)
    return []


def gone(process: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":  # whoever inherits it has yet to look
            return True
        time.sleep(0.02)
    return False
