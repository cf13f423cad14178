"""A board's programs: found below the root, run without a terminal, and never in the way."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy.agent.programs import Output, Programs

AddProgram: TypeAlias = Callable[..., Path]


@pytest.fixture
def add(tmp_path: Path) -> AddProgram:
    """Adds a shell script below the root."""

    def make(name: str, script: str, folder: str = "usr/bin") -> Path:
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return make


def test_what_it_says_and_how_it_ends_is_kept(add: AddProgram, tmp_path: Path) -> None:
    add("nvpmodel", 'echo "$1,$2"; echo trouble >&2; exit 3')

    output = Programs(tmp_path).run("nvpmodel", "-m", "1; exit 0")

    assert output == Output(3, "-m,1; exit 0\n", "trouble\n")
    assert output.last_line == "trouble"


def test_the_folder_of_root_comes_first_and_trtexec_is_where_jetpack_puts_it(
    add: AddProgram, tmp_path: Path
) -> None:
    add("nvpmodel", "", folder="usr/bin")
    first = add("nvpmodel", "", folder="usr/sbin")
    trtexec = add("trtexec", "", folder="usr/src/tensorrt/bin")

    programs = Programs(tmp_path)

    assert programs.find("nvpmodel") == str(first)
    assert programs.find("trtexec") == str(trtexec)


def test_what_is_absent_or_not_to_be_run_is_127(add: AddProgram, tmp_path: Path) -> None:
    add("tegrastats", "").chmod(0o644)
    add("trtexec", "").write_bytes(b"\x7fELF, but broken")

    programs = Programs(tmp_path)

    assert programs.find("tegrastats") is None
    assert programs.run("tegrastats") == Output(127, "", "no tegrastats on this machine")
    assert programs.run("trtexec").code == 127
    assert "cannot be started" in programs.run("trtexec").last_line
    with pytest.raises(FileNotFoundError):
        programs.start("tegrastats")


def test_it_speaks_the_language_that_parsers_expect(
    add: AddProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    add("jetson_clocks", "echo $LC_ALL")

    assert Programs(tmp_path).run("jetson_clocks").out == "C\n"


def test_a_question_gets_no_answer(add: AddProgram, tmp_path: Path) -> None:
    add("nvpmodel", 'read -r answer || answer=none; echo "$answer"')

    assert Programs(tmp_path).run("nvpmodel").out == "none\n"


def test_bytes_that_are_no_text_do_no_harm(add: AddProgram, tmp_path: Path) -> None:
    add("nvpmodel", r"printf 'a\377\000b'")

    assert Programs(tmp_path).run("nvpmodel").out == "a\ufffdb"


def test_one_that_hangs_is_ended(add: AddProgram, tmp_path: Path) -> None:
    add("nvpmodel", f"echo $$ >{tmp_path}/pid; exec sleep 600")

    output = Programs(tmp_path).run("nvpmodel", timeout_s=0.5)

    assert output == Output(124, "", "nvpmodel did not end within 0.5 s")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_one_that_may_not_be_killed_is_not_waited_for(
    add: AddProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("nvpmodel", "exec sleep 3")
    started: list[subprocess.Popen[bytes]] = []

    def refuse(process: subprocess.Popen[bytes]) -> None:
        started.append(process)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(subprocess.Popen, "kill", refuse)

    output = Programs(tmp_path).run("nvpmodel", timeout_s=0.1)

    assert output.code == 124
    assert started[0].poll() is None  # still asleep: nobody has waited
    started[0].wait()


@pytest.mark.parametrize(
    ("user", "has_sudo", "said"),
    [(1000, True, "sudo -n {root}/usr/sbin/nvpmodel -q"), (0, True, "-q"), (1000, False, "-q")],
)
def test_sudo_is_asked_only_where_it_is_needed_and_there(
    add: AddProgram,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    user: int,
    has_sudo: bool,
    said: str,
) -> None:
    add("nvpmodel", 'echo "$@"', folder="usr/sbin")
    if has_sudo:
        add("sudo", 'echo sudo "$@"')
    monkeypatch.setattr(os, "geteuid", lambda: user)

    output = Programs(tmp_path).run("nvpmodel", "-q", sudo=True)

    assert output.out == said.format(root=tmp_path) + "\n"


def test_a_started_program_can_be_read_while_it_runs(add: AddProgram, tmp_path: Path) -> None:
    add("tegrastats", "echo one; exec sleep 600")

    with Programs(tmp_path).start("tegrastats") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"one\n"
        process.kill()
