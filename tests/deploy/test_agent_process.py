"""The agent as a process: its lines arrive, its end is told, and it is ended in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy import agent_process
from edgestill.deploy.agent_process import AgentProcess
from edgestill.deploy.errors import DeviceError

PythonThat: TypeAlias = Callable[[str], str]
RESTORING = "sys.stdin.read(); time.sleep(0.3); open({path!r}, 'w').write('restored')"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that does not end by itself is killed soon."""
    monkeypatch.setattr(agent_process, "GRACE_S", 0.2)


def run(python: str, request: str = "") -> AgentProcess:
    return AgentProcess([python, "agent", "bench", "-"], request)


def test_lines_come_as_they_are_said_and_the_request_arrives(python_that: PythonThat) -> None:
    echo = python_that("print(sys.argv[2:], flush=True); print(sys.stdin.readline().upper())")

    with run(echo, "hello\n") as agent:
        lines = list(agent.lines(60))

        assert list(agent.lines(60)) == []  # it has ended, and that stays so

    assert lines == [b"['bench', '-']\n", b"HELLO\n", b"\n"]


def test_the_last_words_are_the_exit_code_and_the_end_of_stderr(python_that: PythonThat) -> None:
    failing = python_that("sys.stderr.write('one\\nboom\\n'); sys.exit(7)")

    with run(failing, "x" * 1_000_000 + "\n") as agent:  # more than a pipe holds, read by nobody
        assert list(agent.lines(60)) == []
        assert agent.last_words() == "exited with 7: boom"


def test_last_words_cannot_command_the_terminal(python_that: PythonThat) -> None:
    with run(python_that("sys.exit('\\x1b[2Jgone \\x9b \\u202e')")) as agent:
        assert list(agent.lines(60)) == []
        assert agent.last_words() == "exited with 1: ?[2Jgone ? ?"


@pytest.mark.parametrize("death", ["os.kill(os.getpid(), 9)", "sys.exit(128 + 9)"])
def test_a_death_by_signal_is_told_also_through_a_shell(
    python_that: PythonThat, death: str
) -> None:
    with run(python_that(death)) as agent:
        assert list(agent.lines(60)) == []
        assert agent.last_words() == "was killed by signal 9 and said nothing"


def test_much_talk_on_stderr_blocks_nothing(python_that: PythonThat) -> None:
    chatty = python_that("sys.stderr.write('x' * 5_000_000); print('done')")

    with run(chatty) as agent:
        assert list(agent.lines(60)) == [b"done\n"]


@pytest.mark.usefixtures("hasty")
def test_a_silent_agent_is_stopped(python_that: PythonThat) -> None:
    with (
        run(python_that("time.sleep(600)")) as agent,
        pytest.raises(DeviceError, match=r"said nothing for 0\.2 s"),
    ):
        list(agent.lines(0.2))


@pytest.mark.usefixtures("hasty")
def test_an_endless_line_is_refused(
    python_that: PythonThat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_process, "LONGEST_LINE", 1000)
    endless = python_that("while True: sys.stdout.write('x' * 500)")

    with run(endless) as agent, pytest.raises(DeviceError, match="a line of more than"):
        list(agent.lines(60))


def test_a_program_that_does_not_start_is_named() -> None:
    with pytest.raises(DeviceError, match="cannot start the agent with /absent/python"):
        run("/absent/python")


def test_signs_of_life_follow_the_request(
    python_that: PythonThat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_process, "LEASE_S", 0.01)
    listening = python_that("print([sys.stdin.readline() for _ in range(4)])")

    with run(listening, "hello\n") as agent:
        assert list(agent.lines(60)) == [b"['hello\\n', '\\n', '\\n', '\\n']\n"]


def test_no_sign_of_life_goes_into_what_is_not_an_agent(
    python_that: PythonThat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_process, "LEASE_S", 0.01)
    counting = python_that("print(len(sys.stdin.read()))")

    with AgentProcess([counting], leased=False) as receiver:
        for _ in range(30):  # more than is taken without waiting
            receiver.send(b"x" * 100_000)
        time.sleep(0.2)
        receiver.finish()
        assert list(receiver.lines(60)) == [b"3000000\n"]


def test_the_agent_is_told_that_its_result_has_arrived(
    python_that: PythonThat, tmp_path: Path
) -> None:
    path = tmp_path / "told"
    listening = python_that(f"print(flush=True); open({str(path)!r}, 'w').write(sys.stdin.read())")

    with run(listening, "hello\n") as agent:
        agent.line(60)
        agent.acknowledge()

    assert path.read_text() == "hello\ndone\n"


def test_leaving_the_block_lets_the_agent_restore_the_board(
    python_that: PythonThat, tmp_path: Path
) -> None:
    path = tmp_path / "board"

    with pytest.raises(KeyboardInterrupt), run(python_that(RESTORING.format(path=str(path)))):
        raise KeyboardInterrupt

    assert path.read_text() == "restored"


def test_an_agent_full_of_words_can_still_restore_the_board(
    python_that: PythonThat, tmp_path: Path
) -> None:
    path = tmp_path / "board"
    talkative = python_that(
        "[print('x' * 1000) for _ in range(10_000)];" + RESTORING.format(path=str(path))
    )

    with run(talkative) as agent:
        agent.line(60)

    assert path.read_text() == "restored"


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("request_bytes", [0, 1_000_000])
def test_an_agent_that_does_not_end_is_killed(python_that: PythonThat, request_bytes: int) -> None:
    stubborn = python_that("print(os.getpid(), flush=True); time.sleep(600)")

    with run(stubborn, "x" * request_bytes) as agent:
        pid = int(agent.line(60))

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


ASKER = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # some runners have it ignored
    "from edgestill.deploy import agent_process\n"
    "agent_process.GRACE_S = 600\n"
    "with agent_process.AgentProcess([sys.argv[1]]) as agent:\n"
    "    line = agent.line(60).decode().strip()\n"
    "    try: print(line, flush=True); time.sleep(600)\n"
    "    finally: print('leaving', flush=True)\n"
)


def test_ctrl_c_in_a_terminal_leaves_the_agent_time_to_restore_the_board(
    python_that: PythonThat, tmp_path: Path
) -> None:
    path = tmp_path / "board"
    agent = python_that("print(os.getpid(), flush=True);" + RESTORING.format(path=str(path)))

    with asker(agent) as asking:
        assert asking.stdout is not None
        asking.stdout.readline()
        os.killpg(asking.pid, signal.SIGINT)  # as a terminal does: to all in the foreground
        assert asking.wait(timeout=60) != 0

    assert path.read_text() == "restored"


def test_a_second_ctrl_c_kills_at_once(python_that: PythonThat) -> None:
    agent = python_that("print(os.getpid(), flush=True); time.sleep(600)")

    with asker(agent) as asking:
        assert asking.stdout is not None
        pid = int(asking.stdout.readline())
        os.killpg(asking.pid, signal.SIGINT)
        assert asking.stdout.readline() == b"leaving\n"
        time.sleep(1)  # into the wait, which would last 600 s
        os.killpg(asking.pid, signal.SIGINT)
        asking.wait(timeout=60)

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_broken_way_to_the_agent_is_told_with_its_reason(python_that: PythonThat) -> None:
    breaking = python_that("print('{\"half\"', end='', flush=True); sys.exit('line cut')")

    def explain(code: int, said: str) -> str | None:
        return f"ended with {code}, {said.strip()}"

    with (
        AgentProcess([breaking], explain=explain) as agent,
        pytest.raises(DeviceError, match="ended with 1, line cut"),
    ):
        agent.line(60)


@contextmanager
def asker(agent: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process, in a terminal's session of its own, that runs the agent and waits."""
    with subprocess.Popen(
        [sys.executable, "-c", ASKER, agent],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
