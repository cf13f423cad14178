"""Kills, full disks, two runs at once: real processes, real files, and nothing is lost."""

from __future__ import annotations

import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edgestill.pipeline.flow import FLOW
from edgestill.pipeline.manifest import verify

from ..warm_command import WarmCommand

REPRODUCIBLE = ("teacher", "search", "shortlist", "distill", "quantize", "export")
STAGES = [stage.name for stage in FLOW]
KILLS = 20
Edgestill = Callable[..., Any]


def contents(workdir: Path, stages: tuple[str, ...] = REPRODUCIBLE) -> dict[str, str]:
    """Content hash of every artifact whose bytes must not depend on what happened on the way."""
    return {stage: verify(workdir / "runs/smoke" / stage).content for stage in stages}


@pytest.mark.timeout(600)
@pytest.mark.long
def test_twenty_kills_at_random_moments_lose_nothing(
    finished: Path, warm: WarmCommand, tmp_path: Path
) -> None:
    chance = random.Random(20)
    assert warm.run("run", "smoke", "--workdir", tmp_path / "usual", cwd=tmp_path).returncode == 0
    usual = tmp_path / "usual/runs/smoke"
    workdirs: list[Path] = []
    hit = []
    for number in range(KILLS):
        stage = STAGES[number % len(STAGES)]  # the moments fall into every stage in turn
        if stage == STAGES[0]:
            workdirs.append(tmp_path / f"work-{number}")
        usual_s = verify(usual / stage).seconds
        moment = Moment(workdirs[-1], stage, chance.uniform(0, 0.9 * usual_s))
        status = run_until(warm, moment, "run", "smoke", "--workdir", workdirs[-1])
        assert status in (0, -signal.SIGKILL)
        hit += [stage] * (status == -signal.SIGKILL)
    for workdir in workdirs:
        assert warm.run("run", "smoke", "--workdir", workdir, cwd=tmp_path).returncode == 0

    whole = contents(finished)
    assert len(hit) > KILLS / 2, f"most runs were over before their kill: {hit}"
    assert all(contents(workdir) == whole for workdir in workdirs)


@pytest.mark.parametrize(
    "sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_an_interrupted_run_says_so_and_goes_on_later(
    finished: Path, edgestill: Edgestill, tmp_path: Path, sent: signal.Signals
) -> None:
    until = ("--until", "distill")
    with started(tmp_path, *until) as process:
        wait_for(process, "teacher epoch 1/")
        process.send_signal(sent)
        said = process.stderr.read()  # type: ignore[union-attr]

    again = edgestill("run", "smoke", "--workdir", "work", *until, cwd=tmp_path)

    assert process.returncode == 130
    assert said.strip().endswith("edgestill: interrupted; run the same command again to go on")
    assert "Traceback" not in said
    assert "goes on where it was interrupted" in again.stderr
    made = ("teacher", "search", "shortlist", "distill")
    assert contents(tmp_path / "work", made) == contents(finished, made)


def test_a_second_run_names_the_first_waits_and_reuses_its_work_or_is_refused(
    tmp_path: Path,
) -> None:
    until = ("--until", "distill")
    with started(tmp_path, *until) as first:
        wait_for(first, "teacher epoch 1/")
        with started(tmp_path, *until) as second, started(tmp_path, "--no-wait") as third:
            told = wait_for(second, "in use by process")
            refused = third.communicate()[1]
            still_running = first.poll() is None
            said = second.communicate()[1]
        first.communicate()

    assert still_running
    assert f"in use by process {first.pid} on" in told
    assert (first.returncode, second.returncode) == (0, 0)
    assert re.findall(r"^(\w+) +run ", said, re.M) == []
    assert third.returncode == 2
    assert f"in use by process {first.pid}" in refused


@pytest.mark.long
def test_a_file_size_limit_is_told_in_one_line_and_a_later_run_goes_on(
    finished: Path, edgestill: Edgestill, tmp_path: Path
) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    until = ("--until", "export")
    with started(tmp_path, *until, before=small_files) as process:
        said = process.communicate()[1]
    again = edgestill("run", "smoke", "--workdir", "work", *until, cwd=tmp_path)

    assert process.returncode == 2
    assert "a file may not grow any further here" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert again.returncode == 0
    assert contents(tmp_path / "work") == contents(finished)


def test_a_full_disk_is_told_in_one_line_and_a_later_run_goes_on(
    finished: Path, edgestill: Edgestill, tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk", "size=300k") as disk:
        words = ("run", "smoke", "--until", "export", "--workdir", disk / "work")
        full = edgestill(*words, cwd=tmp_path)
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        again = edgestill(*words, cwd=tmp_path)

        assert full.returncode == 2
        assert "the disk is full" in full.stderr.splitlines()[-1]
        assert "Traceback" not in full.stderr
        assert again.returncode == 0
        assert contents(disk / "work") == contents(finished)


def test_a_read_only_work_directory_is_refused_in_one_line(
    edgestill: Edgestill, tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk", "ro") as disk:
        done = edgestill("run", "smoke", "--workdir", disk / "work", cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith("edgestill: work directory ")
    assert "cannot be written (Read-only file system)" in done.stderr
    assert done.stderr.count("\n") == 1


class Moment(NamedTuple):
    """So long after a stage began its work."""

    workdir: Path
    stage: str
    after_s: float

    def stage_began(self) -> bool:
        return any(self.workdir.glob(f"store/{self.stage}/*.work"))


def run_until(warm: WarmCommand, moment: Moment, *words: str | Path) -> int:
    """The command's exit code; -9 if it was killed at that moment."""
    warm.begin(*words, cwd=moment.workdir.parent)
    over = False
    while not over and not moment.stage_began():
        over = warm.ended_within(0.002)
    if not over and not warm.ended_within(moment.after_s):
        warm.kill()
    return warm.end().returncode


def started(
    folder: Path, *words: str, before: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    """A smoke run in `folder`/work, going on while the test does."""
    command = [str(Path(sys.executable).with_name("edgestill")), "run", "smoke"]
    return subprocess.Popen(
        [*command, "--workdir", "work", *words],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: _prepared(before),
    )


def _prepared(before: Callable[[], None] | None) -> None:
    # Whoever starts the tests in the background hands down an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if before is not None:
        before()


def wait_for(process: subprocess.Popen[str], text: str, timeout_s: float = 60) -> str:
    """The line of stderr that holds `text`."""
    assert process.stderr
    limit = time.monotonic() + timeout_s
    while time.monotonic() < limit:
        line = process.stderr.readline()
        if text in line:
            return line
        assert line or process.poll() is None, f"ended without saying {text!r}"
    raise AssertionError(f"did not say {text!r} in {timeout_s} s")


class mounted:
    """A tmpfs at `folder` for the block; the test skips where mounting is not allowed."""

    def __init__(self, folder: Path, options: str) -> None:
        self.folder, self.options = folder, options

    def __enter__(self) -> Path:
        self.folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", self.options, "tmpfs", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
        return self.folder

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)
