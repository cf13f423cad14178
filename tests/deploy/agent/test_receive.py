"""The device's end of the line: a file is kept whole or not at all, and not for ever."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edgestill.deploy.agent import receive

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def told(home: Path, content: bytes, order: dict[str, Any]) -> list[Any]:
    """What a real process answers to the order, with this on its stdin; the marker first."""
    order = {"do": "receive", "sha256": SHA256, "bytes": len(CONTENT), "name": "m.onnx"} | order
    hexadecimal = json.dumps(order).encode().hex()
    done = subprocess.run(
        [sys.executable, "-I", receive.__file__, "program", "marker", hexadecimal],
        input=content,
        stdout=subprocess.PIPE,
        env={"XDG_CACHE_HOME": str(home)},
        timeout=60,
        check=True,
    )
    empty, marker, *answers = done.stdout.decode().splitlines()
    assert (empty, marker) == ("", "marker")
    return [json.loads(answer) for answer in answers]


def kept(home: Path) -> list[str]:
    files = home / "edgestill/files"
    return sorted(p.relative_to(files).as_posix() for p in files.rglob("*") if p.is_file())


def test_a_file_is_wanted_once_and_then_there(tmp_path: Path) -> None:
    first = told(tmp_path, CONTENT, {})
    second = told(tmp_path, b"", {})

    path = str(tmp_path / "edgestill/files" / SHA256 / "m.onnx")
    assert [answer["state"] for answer in first] == ["want", "stored"]
    assert [answer["state"] for answer in second] == ["have"]
    assert {answer["path"] for answer in [*first, *second]} == {path}
    assert Path(path).read_bytes() == CONTENT


@pytest.mark.parametrize("came", [b"", CONTENT[:-1], b"x" + CONTENT[1:]])
def test_a_file_that_comes_damaged_is_not_kept(tmp_path: Path, came: bytes) -> None:
    assert [answer["state"] for answer in told(tmp_path, came, {})] == ["want", "cut"]
    assert kept(tmp_path) == []


def test_a_disk_without_room_is_told_before_the_file_is_wanted(tmp_path: Path) -> None:
    size = 2**60

    (answer,) = told(tmp_path, b"", {"bytes": size})

    assert answer["state"] == "full"
    assert answer["needs"] > size > answer["has"] > 0


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True
    ).returncode:
        pytest.skip("no file system can be mounted here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(receive, "_free_bytes", lambda home: None)  # it does not say
    zeros = os.open("/dev/zero", os.O_RDONLY)
    try:
        monkeypatch.setattr("os.read", lambda source, size, read=os.read: read(zeros, size))
        receive.main(
            "marker", {"do": "receive", "sha256": SHA256, "bytes": 2 * 2**20, "name": "m.onnx"}
        )
        left = kept(tmp_path)
    finally:
        os.close(zeros)
        subprocess.run(["umount", str(tmp_path)], check=True)

    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()[2:]]
    assert [answer["state"] for answer in answers] == ["want", "full"]
    assert answers[1]["has"] is None
    assert left == []


def test_what_nobody_used_for_a_month_is_removed(tmp_path: Path) -> None:
    files = tmp_path / "edgestill/files"
    ages_days = {"a" * 64: 31, "b" * 64: 29, ".part-old": 2, ".part-new": 0}
    for name, days in ages_days.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("."):
            (files / name).write_text("part")
        else:
            (files / name).mkdir()
            (files / name / "m.onnx").write_text("weights")
        then = time.time() - days * 86400
        os.utime(files / name, (then, then))

    told(tmp_path, CONTENT, {})

    assert kept(tmp_path) == sorted([".part-new", f"{'b' * 64}/m.onnx", f"{SHA256}/m.onnx"])


def test_what_is_used_again_stays(tmp_path: Path) -> None:
    told(tmp_path, CONTENT, {})
    long_ago = time.time() - 40 * 86400
    os.utime(tmp_path / "edgestill/files" / SHA256, (long_ago, long_ago))

    answers = told(tmp_path, b"", {}) + told(tmp_path, b"", {})

    assert [answer["state"] for answer in answers] == ["have", "have"]


@pytest.mark.parametrize(
    ("cache", "folder"),
    [("/data/cache", "/data/cache"), ("", "/home/me/.cache"), ("cache", "/home/me/.cache")],
)
def test_the_state_folder_follows_the_specification(
    monkeypatch: pytest.MonkeyPatch, cache: str, folder: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", cache)

    assert receive.state_dir() == f"{folder}/edgestill"


def test_the_order_to_run_becomes_the_agent_with_its_stdin(tmp_path: Path) -> None:
    agent = tmp_path / "agent.py"
    agent.write_text("import json, sys; print(json.dumps([sys.argv[1:], sys.stdin.read()]))")

    said = told(tmp_path, b"hello", {"do": "run", "agent": str(agent), "arguments": ["a", "b c"]})

    assert said == [[["a", "b c"], "hello"]]
