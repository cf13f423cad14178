"""The agent as a process: its lines arrive, its end is told, and it never outlives its use."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy import transport
from edgestill.deploy.errors import DeviceError
from edgestill.deploy.transport import AgentProcess, Local

PythonThat: TypeAlias = Callable[[str], str]


def run(python: str, request: str = "") -> AgentProcess:
    with Local(python) as local:
        return local.start(["bench", "-"], request)


def test_lines_come_as_they_are_said_and_the_request_arrives(python_that: PythonThat) -> None:
    echo = python_that("print(sys.argv[2:], flush=True); print(sys.stdin.readline().upper())")

    with run(echo, "hello\n") as agent:
        lines = list(agent.lines(60))

    assert lines == [b"['bench', '-']\n", b"HELLO\n", b"\n"]


def test_the_last_words_are_the_exit_code_and_the_end_of_stderr(python_that: PythonThat) -> None:
    failing = python_that("sys.stderr.write('one\\nboom\\n'); sys.exit(7)")

    with run(failing, "x" * 1_000_000 + "\n") as agent:  # more than a pipe holds, read by nobody
        assert list(agent.lines(60)) == []
        assert agent.last_words() == "exited with 7: boom"


def test_a_death_by_signal_is_told(python_that: PythonThat) -> None:
    dying = python_that("os.kill(os.getpid(), 9)")

    with run(dying) as agent:
        assert list(agent.lines(60)) == []
        assert agent.last_words() == "was killed by signal 9 and said nothing"


def test_much_talk_on_stderr_blocks_nothing(python_that: PythonThat) -> None:
    chatty = python_that("sys.stderr.write('x' * 5_000_000); print('done')")

    with run(chatty) as agent:
        assert list(agent.lines(60)) == [b"done\n"]


def test_a_silent_agent_is_stopped(python_that: PythonThat) -> None:
    with (
        run(python_that("time.sleep(600)")) as agent,
        pytest.raises(DeviceError, match=r"said nothing for 0\.2 s"),
    ):
        list(agent.lines(0.2))


def test_an_endless_line_is_refused(
    python_that: PythonThat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LONGEST_LINE", 1000)
    endless = python_that("while True: sys.stdout.write('x' * 500)")

    with run(endless) as agent, pytest.raises(DeviceError, match="a line of more than"):
        list(agent.lines(60))


def test_leaving_the_block_kills_the_agent(python_that: PythonThat) -> None:
    with run(python_that("print(os.getpid(), flush=True); time.sleep(600)")) as agent:
        pid = int(next(agent.lines(60)))

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_python_that_does_not_start_is_named() -> None:
    with pytest.raises(DeviceError, match="cannot start the agent with /absent/python"):
        run("/absent/python")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the agent by /proc")
def test_an_agent_ends_when_the_process_that_wanted_it_is_killed(
    tiny_model: Path, tmp_path: Path
) -> None:
    # SIGKILL leaves that process no chance to stop the agent, nor to remove its temporary folder.
    code = (
        "import os, sys, tempfile; from pathlib import Path\n"
        "from edgestill.deploy.session import profile\n"
        "tempfile.tempdir = sys.argv[2]\n"
        "def told(progress):\n"
        "    if progress['phase'] == 'timing': print('timing', flush=True)\n"
        "print(os.getpid(), flush=True)\n"
        "profile(Path(sys.argv[1]), threads=1, seconds=600, warmup_seconds=0, on_progress=told)\n"
    )
    wanting = AgentProcess([sys.executable, "-c", code, str(tiny_model), str(tmp_path)], "")
    with wanting:
        lines = wanting.lines(60)
        parent = int(next(lines))
        assert next(lines) == b"timing\n"
        agents = children(parent)

        os.kill(parent, signal.SIGKILL)

        deadline = time.monotonic() + 30
        while any(map(alive, agents)) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert len(agents) == 1
    assert not any(map(alive, agents))


def children(parent: int) -> list[int]:
    stats = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    fields = [(int(s.split()[0]), int(s.rpartition(")")[2].split()[1])) for s in stats]
    return [pid for pid, its_parent in fields if its_parent == parent]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # a zombie has ended; where there is no init, nobody collects it
