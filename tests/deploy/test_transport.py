"""The way to a device on this machine: the real agent runs and never outlives who wanted it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgestill.deploy.target import parse_target
from edgestill.deploy.transport import Local, transport_to
from edgestill.deploy.transport_ssh import Ssh

from .sshd import alive, children_of, soon


def test_the_target_says_which_way() -> None:
    assert isinstance(transport_to(parse_target("local")), Local)
    assert isinstance(transport_to(parse_target("ssh://board")), Ssh)


def test_the_agent_runs_on_this_machine() -> None:
    with Local() as local, local.start(["probe"]) as agent:
        lines = list(agent.lines(60))
        ended = agent.last_words()

    assert json.loads(lines[-1])["event"] == "board"
    assert ended == "exited with 0 and said nothing"


def test_a_model_is_seen_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with Local() as local:
        assert local.place(Path("m.onnx")) == str(tmp_path / "m.onnx")


def test_the_agent_keeps_its_files_in_the_users_cache_or_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    assert Local().state_dir == str(tmp_path / "cache/edgestill")
    assert Local(keep_in=Path("here")).state_dir == str(tmp_path / "here")
    assert list(tmp_path.iterdir()) == []  # asking makes nothing


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the agent by /proc")
def test_an_agent_ends_when_the_process_that_wanted_it_is_killed(tmp_path: Path) -> None:
    # SIGKILL leaves that process no chance to stop the agent, nor to remove its temporary folder.
    code = (
        "import sys, tempfile, time\n"
        "from edgestill.deploy.transport import Local\n"
        "tempfile.tempdir = sys.argv[1]\n"
        "with Local() as local, local.start(['bench', '-']) as agent:\n"
        "    print('started', flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE
    ) as wanting:
        assert wanting.stdout is not None
        said = wanting.stdout.readline()
        agents = children_of(wanting.pid)

        os.kill(wanting.pid, signal.SIGKILL)

        assert said == b"started\n"
        assert len(agents) == 1

        assert soon(lambda: not alive(agents[0]))
