"""A device behind a real SSH server: the agent runs there, is heard, and ends with its asker."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy import transport_ssh
from edgestill.deploy.agent.protocol import Case, Request, request_line
from edgestill.deploy.errors import DeviceError
from edgestill.deploy.transport_ssh import Ssh

from .sshd import Sshd, alive, refusal, soon, sshd

__all__ = ["sshd"]  # a fixture

StandIn: TypeAlias = Callable[[str], None]
# What stands in for the agent: says its process id, then ends with its stdin, as the real one does.
WAITING = "import os, sys\nprint(os.getpid(), flush=True)\nsys.stdin.read()\n"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Lets the given Python code be sent as the agent."""
    return lambda code: monkeypatch.setattr(transport_ssh, "agent_bundle", code.encode)


def test_the_real_agent_is_pushed_and_says_what_the_device_is(sshd: Sshd) -> None:
    with sshd.reach() as device, device.start(["probe"]) as agent:
        lines = list(agent.lines(60))
        ended = agent.last_words()

    assert [json.loads(line)["event"] for line in lines] == ["board"]
    assert ended == "exited with 0 and said nothing"


def test_the_real_agent_measures_a_model_there(sshd: Sshd, tiny_model: Path) -> None:
    with sshd.reach(sshd.this_python) as device:
        asked = request_line(request(device, tiny_model, seconds=0.05))
        with device.start(["bench", "-"], asked) as agent:
            heard = (json.loads(line) for line in agent.lines(60))
            result = next(line for line in heard if line["event"] not in ("progress", "slice"))
            agent.acknowledge()
            ended = agent.last_words()

    sha256 = hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    assert result["event"] == "result"
    assert result["cases"][0]["model"]["sha256"] == sha256
    assert ended.startswith("exited with 0")


@pytest.mark.parametrize("end", ["cut", "interrupt"])
def test_the_real_agent_does_not_outlive_its_asker(sshd: Sshd, tiny_model: Path, end: str) -> None:
    with (
        pytest.raises(DeviceError if end == "cut" else KeyboardInterrupt),
        sshd.reach(sshd.this_python) as device,
        device.start(["bench", "-"], request_line(request(device, tiny_model, 3000))) as agent,
    ):
        for line in agent.lines(60):
            if json.loads(line).get("phase") == "timing":
                break
        before = agents_on(sshd)
        if end == "interrupt":
            raise KeyboardInterrupt
        sshd.signal(signal.SIGKILL)
        list(agent.lines(60))

    assert before
    assert soon(lambda: not agents_on(sshd))


def test_the_state_folder_is_absolute_and_in_the_home_of_the_device(sshd: Sshd) -> None:
    with sshd.reach() as device:
        assert device.state_dir == str(sshd.state_dir)


def test_the_request_and_the_signs_of_life_reach_the_agent(sshd: Sshd, stand_in: StandIn) -> None:
    stand_in("import sys; print(sys.argv[1:], sys.stdin.readline(), sys.stdin.read(), sep='|')")

    with sshd.reach() as device, device.start(["bench", "-", "it's $HOME"], "hello\n") as agent:
        agent.acknowledge()
        agent.finish()
        said = b"".join(agent.lines(60))

    assert said == b"['bench', '-', \"it's $HOME\"]|hello\n|done\n\n"


def test_the_agents_death_by_a_signal_is_not_taken_for_a_lost_line(
    sshd: Sshd, stand_in: StandIn
) -> None:
    stand_in("import os; os.kill(os.getpid(), 9)")

    with sshd.reach() as device, device.start([]) as agent:
        assert list(agent.lines(60)) == []
        assert agent.last_words().startswith("was killed by signal 9")


def test_an_interrupt_ends_the_agent_after_it_has_restored_the_board(
    sshd: Sshd, stand_in: StandIn, tmp_path: Path
) -> None:
    restored = tmp_path / "restored"
    stand_in(WAITING + f"import time; time.sleep(0.3); open({str(restored)!r}, 'w').close()\n")

    with (
        pytest.raises(KeyboardInterrupt),
        sshd.reach() as device,
        device.start([]) as agent,
    ):
        pid = int(agent.line(60))
        raise KeyboardInterrupt

    assert restored.exists()
    assert not alive(pid)


def test_a_cut_connection_is_told_in_time_and_ends_the_agent(sshd: Sshd, stand_in: StandIn) -> None:
    stand_in(WAITING)
    pids: list[int] = []

    def cut(device: Ssh) -> None:
        with device.start([]) as agent:
            pids.append(int(agent.line(60)))
            sshd.signal(signal.SIGKILL)
            agent.line(60)

    said = refusal(sshd.reach(), cut)

    assert "was lost" in said
    assert "give the same command again and it goes on" in said
    assert soon(lambda: not alive(pids[0]))


def test_a_line_that_went_dead_without_a_word_is_noticed(sshd: Sshd, stand_in: StandIn) -> None:
    stand_in(WAITING)
    quickly = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"]

    def freeze(device: Ssh) -> None:
        with device.start([]) as agent:
            agent.line(60)
            sshd.signal(signal.SIGSTOP)  # connected as before, but nothing answers
            agent.line(60)

    assert "was lost" in refusal(sshd.reach(options=quickly), freeze)


def test_a_connection_lost_between_two_steps_is_made_anew(sshd: Sshd) -> None:
    with sshd.reach() as device:
        sshd.signal(signal.SIGKILL)

        with device.start(["probe"]) as agent:
            assert len(list(agent.lines(60))) == 1


def test_nothing_is_left_running_afterwards(sshd: Sshd) -> None:
    with sshd.reach() as device, device.start(["probe"]) as agent:
        agent.line(60)

    assert soon(lambda: not sshd.sessions())


def request(device: Ssh, model: Path, seconds: float) -> Request:
    case = Case(model=device.place(model), threads=1)
    return Request(
        cases=(case,), seconds=seconds, warmup_seconds=0, min_runs=5, state_dir=device.state_dir
    )


def agents_on(sshd: Sshd) -> list[int]:
    """The processes that run the agent from the device's store."""
    store = str(sshd.state_dir / "files").encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if store in path.read_bytes():
                found.append(int(path.parent.name))
    return [pid for pid in found if alive(pid)]
