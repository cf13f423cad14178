"""The programs of a fake board do what the real ones are documented to do."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from .fake_board_programs import gpu_devfreq
from .fake_boards import BOARDS

FakeBoards: TypeAlias = Callable[..., Path]


def said(root: Path, program: str, *arguments: str | Path, answer: str = "") -> tuple[int, str]:
    command = [str(root / program), *map(str, arguments)]
    done = subprocess.run(command, input=answer, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_a_mode_is_set_through_sudo_and_its_clocks_with_it(fake_board: FakeBoards) -> None:
    root = fake_board("orin-nano-super")
    nvpmodel = root / "usr/sbin/nvpmodel"

    code, _ = said(root, "usr/bin/sudo", "-n", nvpmodel, "-m", "2")

    assert code == 0
    assert said(root, "usr/sbin/nvpmodel", "-q") == (0, "NV Power Mode: MAXN_SUPER\n2\n")
    gpu = root / gpu_devfreq(BOARDS["orin-nano-super"])
    assert (gpu / "max_freq").read_text() == "1020000000\n"
    assert (root / "var/log/board-calls").read_text() == "nvpmodel -m 2\n"


@pytest.mark.parametrize(("answer", "mode"), [("", "25W"), ("NO\n", "25W"), ("YES\n", "7W")])
def test_a_mode_with_fewer_clusters_asks_for_a_reboot(
    fake_board: FakeBoards, answer: str, mode: str
) -> None:
    root = fake_board("orin-nano-super")

    code, text = said(root, "usr/sbin/nvpmodel", "-m", "3", answer=answer)

    assert "REBOOT NOW" in text
    assert (code == 0) == (mode == "7W")
    assert f"NV Power Mode: {mode}\n" in said(root, "usr/sbin/nvpmodel", "-q")[1]


@pytest.mark.parametrize("name", BOARDS)
def test_what_jetson_clocks_stored_it_restores(fake_board: FakeBoards, name: str) -> None:
    root = fake_board(name)
    nodes = [path for path in root.glob("sys/**/*min_freq") if path.is_file()]
    before = {path: path.read_text() for path in nodes}

    said(root, "usr/bin/jetson_clocks", "--store", root / "stored")
    said(root, "usr/bin/jetson_clocks")
    locked = {path: path.read_text() for path in nodes}
    code, _ = said(root, "usr/bin/jetson_clocks", "--restore", root / "stored")

    assert code == 0
    assert all(locked[path] != before[path] for path in nodes)
    assert {path: path.read_text() for path in nodes} == before


def test_a_refusing_sudo_says_so(fake_board: FakeBoards) -> None:
    root = fake_board("nano", sudo="refuses")

    assert said(root, "usr/bin/sudo", "-n", "true") == (1, "sudo: a password is required\n")


@pytest.mark.parametrize("name", BOARDS)
def test_tegrastats_prints_lines_until_it_is_ended(fake_board: FakeBoards, name: str) -> None:
    root = fake_board(name)
    command = [str(root / "usr/bin/tegrastats"), "--interval", "1"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()

    assert lines == [BOARDS[name].tegrastats + "\n"] * 3
