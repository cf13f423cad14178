"""Devices as they are behind SSH: any Python, any login shell, noise, and none to be trusted."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from edgestill.deploy import transport_ssh
from edgestill.deploy.errors import DeviceError

from .sshd import AFTER_CONTACT, Sshd, refusal, soon, sshd

__all__ = ["sshd"]  # a fixture

PYENV = Path.home() / ".pyenv/versions"


def test_a_python_that_is_not_there_is_told(sshd: Sshd) -> None:
    said = refusal(sshd.reach("?python=/nonexistent/python3"))

    assert soon(lambda: not sshd.sessions())
    assert said.startswith("no Python at /nonexistent/python3 on 127.0.0.1; the agent needs 3.8 ")
    assert "ssh://[user@]host[:port][?python=/path/to/python]" in said


def test_a_device_without_any_python_is_told(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_ssh, "PYTHONS", ("python3", "python3.8"))
    sshd.login('PATH=/nonexistent exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"')

    assert refusal(sshd.reach()).startswith("no Python on 127.0.0.1; the agent needs 3.8 or newer")


def test_an_old_python_is_told_with_its_version_and_place(sshd: Sshd) -> None:
    old = next(PYENV.glob("3.6.*/bin/python3.6"), None) or says_3_6(sshd)

    said = refusal(sshd.reach(f"?python={old}"))

    assert said.startswith("Python 3.6.")
    assert " on 127.0.0.1; the agent needs 3.8 or newer: apt install python3.8, or name" in said


def test_the_first_python_that_fits_is_taken(sshd: Sshd) -> None:
    tools = sshd.folder / "tools"
    tools.mkdir()
    (tools / "python3").symlink_to(says_3_6(sshd))
    (tools / "python3.9").symlink_to(sys.executable)
    sshd.login(f'PATH={tools} exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"')

    with sshd.reach() as device, device.start(["probe"]) as agent:
        assert json.loads(agent.line(60))["event"] == "board"


def test_the_oldest_python_supported_takes_files_and_runs_the_agent(
    sshd: Sshd, tmp_path: Path
) -> None:
    oldest = next(PYENV.glob("3.8.*/bin/python3.8"), None)
    if oldest is None:
        pytest.skip("no Python 3.8 here")
    (tmp_path / "m.onnx").write_bytes(b"weights")

    with sshd.reach(f"?python={oldest}") as device:
        assert Path(device.place(tmp_path / "m.onnx")).read_bytes() == b"weights"
        with device.start(["probe"]) as agent:
            assert json.loads(agent.line(60))["event"] == "board"


def test_modules_lying_in_the_home_are_not_taken_for_pythons_own(sshd: Sshd) -> None:
    (sshd.home / "json.py").write_text("raise SystemExit('not json')")
    sshd.login('cd "$HOME"; exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"')

    with sshd.reach() as device:
        assert device.state_dir == str(sshd.state_dir)


def test_a_home_with_an_odd_name_is_no_obstacle(sshd: Sshd, tmp_path: Path) -> None:
    home = sshd.folder / 'it\'s "$(odd)" größer'
    home.mkdir()
    sshd.login(f'HOME={shlex.quote(str(home))} exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"')
    (tmp_path / "m.onnx").write_bytes(b"weights")

    with sshd.reach() as device:
        assert device.state_dir == str(home / ".cache/edgestill")
        assert Path(device.place(tmp_path / "m.onnx")).read_bytes() == b"weights"
        with device.start(["probe"]) as agent:
            assert json.loads(agent.line(60))["event"] == "board"


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "zsh", "fish", "tcsh", "ksh"])
def test_any_login_shell_will_do(sshd: Sshd, shell: str) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"no {shell} here")
    sshd.login(f'exec {path} -c "$SSH_ORIGINAL_COMMAND"')

    with sshd.reach() as device, device.start(["probe"]) as agent:
        assert json.loads(agent.line(60))["event"] == "board"


def test_what_start_up_files_print_is_ignored(sshd: Sshd, tmp_path: Path) -> None:
    sshd.login(
        'echo Welcome; echo motd >&2; seq 1000; printf \'{"state": "stored"} and no end of line\'\n'
        'exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"'
    )
    (tmp_path / "m.onnx").write_bytes(b"weights")

    with sshd.reach() as device:
        assert Path(device.place(tmp_path / "m.onnx")).read_bytes() == b"weights"
        with device.start(["probe"]) as agent:
            assert json.loads(agent.line(60))["event"] == "board"


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("echo hello", "ran no command of ours: its shell exited with 0 and said nothing"),
        ("echo 'sh: not found' >&2; exit 127", "its shell exited with 127: sh: not found"),
        ("seq 10000000", "talks without end before it runs a command"),
        ("cat /dev/urandom", "talks without end|a line of more than 64 MiB"),
        ("cat /dev/zero", "a line of more than 64 MiB"),
    ],
)
def test_a_device_that_talks_instead_of_obeying_is_told(sshd: Sshd, does: str, told: str) -> None:
    sshd.login(AFTER_CONTACT + does)

    with pytest.raises(DeviceError, match=told), sshd.reach():
        pass


@pytest.mark.parametrize(
    "reply",
    [
        "garbage",
        "{}",
        '{"state": "have"}',
        '{"state": "gone", "state_dir": "/"}',
        '{"state": "have", "state_dir": "relative", "path": "/x"}',
        '{"state": "have", "state_dir": "/", "path": ""}',
        '{"state": "full", "state_dir": "/", "needs": "much"}',
        "\x1b[2J",
    ],
)
def test_a_reply_that_cannot_be_used_is_told(sshd: Sshd, reply: str) -> None:
    sshd.answer(f"cat <<'END'\n{reply}\nEND")

    said = refusal(sshd.reach())

    assert "answered with a line that cannot be used" in said
    assert "\x1b" not in said


def test_a_device_that_wants_the_file_and_stores_nothing_is_told(sshd: Sshd) -> None:
    want = '{"state": "want", "state_dir": "/", "path": "/x"}'
    sshd.answer(f"echo '{want}'; echo lost it >&2; exit 5")

    assert "took no file: it exited with 5: lost it" in refusal(sshd.reach())


def says_3_6(sshd: Sshd) -> Path:
    """A program that answers as Python 3.6.9 does."""
    path = sshd.folder / "python3.6"
    path.write_text(
        '#!/bin/sh\ncase "$2" in *version.split*) echo 3.6.9 /usr/bin/python3;; *) exit 1;; esac\n'
    )
    path.chmod(0o755)
    return path
