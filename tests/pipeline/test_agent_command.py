"""The agent as a file: it runs, it says how it is used, and it replaces nobody's file."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgestill.deploy.agent.protocol import parse_request
from edgestill.deploy.bundle import agent_bundle
from edgestill.models.errors import BadInput
from edgestill.pipeline.agent_command import agent_command


def test_the_file_answers_as_the_text_beside_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent_command(tmp_path / "my agent.pyz")
    said = capsys.readouterr().out
    probe, bench = (shlex.split(line) for line in re.findall(r"^  python3 (.*)$", said, re.M))

    done = subprocess.run(
        [sys.executable, *probe], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert said.startswith(f"wrote {tmp_path / 'my agent.pyz'} (")
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "board"
    assert bench[:2] == ["my agent.pyz", "bench"]
    assert parse_request(bench[2]).cases[0].model == "model.onnx"


def test_the_text_names_what_a_result_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent_command(tmp_path / "a.pyz")

    said = capsys.readouterr().out

    sources = b"".join(
        zipfile.ZipFile(tmp_path / "a.pyz").read(name)
        for name in zipfile.ZipFile(tmp_path / "a.pyz").namelist()
    ).decode()
    for key in ("cases", "latency_ms", "throughput_per_s", "energy", "energy_mj", "flags"):
        assert key in said
        assert f'"{key}":' in sources


def test_an_earlier_agent_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "agent.pyz"
    agent_command(path)
    with zipfile.ZipFile(path, "a") as bundle:
        bundle.writestr("edgestill_agent/old.py", "")

    agent_command(path)

    assert path.read_bytes() == agent_bundle()
    assert os.access(path, os.X_OK)


def test_a_file_that_is_no_agent_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "thesis.pyz"
    for content in (b"", b"chapter 1", zipped(tmp_path / "other.zip")):
        path.write_bytes(content)

        with pytest.raises(BadInput, match=r"thesis\.pyz exists and is no agent"):
            agent_command(path)

        assert path.read_bytes() == content


def test_a_pipe_and_a_link_to_nothing_are_left_as_they_are(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")

    for name in ("pipe", "link"):
        with pytest.raises(BadInput, match="is no agent"):
            agent_command(tmp_path / name)

    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()


def test_a_folder_is_named_with_what_could_be_written_in_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is a folder; give a file in it: .*edgestill-agent\.pyz"):
        agent_command(tmp_path)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent: no such folder"):
        agent_command(tmp_path / "absent" / "agent.pyz")

    assert list(tmp_path.iterdir()) == []


def zipped(path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("readme.txt", "someone's own")
    return path.read_bytes()
