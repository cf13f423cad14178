"""The user's OpenSSH: how it is called, and one line with a remedy for each way it fails."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgestill.deploy.errors import DeviceError
from edgestill.deploy.ssh import Connection, failure
from edgestill.deploy.target import parse_target

from .sshd import USER, Sshd, free_port, make_key, soon, sshd

__all__ = ["sshd"]  # a fixture

BOARD = parse_target("ssh://me@board:2222")


def refusal(url: str, options: Sequence[str]) -> str:
    """What is said when no connection comes about; one line, exit code 3."""
    with pytest.raises(DeviceError) as refused:
        Connection(parse_target(url), options).open()
    assert refused.value.exit_code == 3
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture
def nowhere(tmp_path: Path) -> list[str]:
    """Options for ssh with an empty configuration."""
    config = tmp_path / "config"
    config.touch()
    return ["-F", str(config)]


def test_one_connection_serves_all_commands_and_is_gone_after_close(sshd: Sshd) -> None:
    connection = Connection(sshd.target(), sshd.options)

    connection.open()
    for _ in range(3):
        assert subprocess.run(connection.command("exit 7")).returncode == 7
    accepted = (sshd.folder / "log").read_text().count("Accepted publickey")
    connection.close()

    assert accepted == 1
    assert soon(lambda: not sshd.sessions())


def test_an_alias_and_a_jump_of_the_users_configuration_are_followed(sshd: Sshd) -> None:
    config = sshd.folder / "client_config"
    config.write_text(config.read_text() + "Host behind\n  ProxyJump board\n  HostName 127.0.0.1\n")
    target = parse_target(f"ssh://{USER}@behind:{sshd.port}")
    connection = Connection(target, sshd.options)

    connection.open()
    accepted = (sshd.folder / "log").read_text().count("Accepted publickey")
    connection.close()

    assert accepted == 2  # at the jump and behind it


def test_host_and_command_come_last_and_never_become_options(sshd: Sshd) -> None:
    connection = Connection(sshd.target(), sshd.options)

    connection.open()
    words = connection.command("exec true")
    connection.close()

    assert words[:3] == ["ssh", *sshd.options]
    assert {"ServerAliveInterval=10", "ServerAliveCountMax=3", "BatchMode=yes"} <= set(words)
    assert words[-7:] == ["-p", str(sshd.port), "-l", USER, "--", "127.0.0.1", "exec true"]


@pytest.mark.parametrize("folder", ["with space", "100%h", "x" * 90])
def test_an_odd_or_long_temporary_folder_is_no_obstacle(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    odd = tmp_path / folder
    odd.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(odd))
    connection = Connection(sshd.target(), sshd.options)

    connection.open()
    subprocess.run(connection.command("exit 0"), check=True)
    connection.close()

    assert (sshd.folder / "log").read_text().count("Accepted publickey") == 1


def test_an_unknown_host_key_is_not_taken_and_the_remedy_is_named(sshd: Sshd) -> None:
    (sshd.folder / "known_hosts").write_text("")

    said = refusal(sshd.url, sshd.options)

    assert f"is not known; connect once by hand, compare it and say yes: ssh -p {sshd.port}" in said
    assert (sshd.folder / "known_hosts").read_text() == ""


def test_a_configuration_that_takes_any_host_key_is_overruled(sshd: Sshd) -> None:
    (sshd.folder / "known_hosts").write_text("")
    config = sshd.folder / "client_config"
    config.write_text("StrictHostKeyChecking no\n" + config.read_text())

    assert "is not known" in refusal(sshd.url, sshd.options)


def test_a_changed_host_key_is_refused_with_the_line_that_holds_the_old_one(sshd: Sshd) -> None:
    known = sshd.folder / "known_hosts"
    known.write_text(f"{known.read_text().split()[0]} {make_key(sshd.folder / 'other')}\n")

    said = refusal(sshd.url, sshd.options)

    assert "has changed: it was installed anew, or another machine answers" in said
    assert f"{known}:1" in said


def test_a_key_that_is_not_accepted_is_told_with_the_remedy(sshd: Sshd) -> None:
    (sshd.folder / "authorized_keys").write_text("")

    said = refusal(sshd.url, sshd.options)

    assert f"takes none of your keys; give it one: ssh-copy-id -p {sshd.port} {USER}@" in said
    assert "Permission denied (publickey)" in said


def test_a_port_where_nobody_listens_is_told(nowhere: list[str]) -> None:
    said = refusal(f"ssh://127.0.0.1:{free_port()}", nowhere)

    assert "refuses connections; is its SSH server running, and is this the port?" in said


def test_a_name_that_is_nowhere_is_told(nowhere: list[str]) -> None:
    assert "no machine of the name" in refusal("ssh://no-such-board.invalid", nowhere)


def test_a_device_that_accepts_and_says_nothing_is_told_in_time(
    sshd: Sshd, nowhere: list[str]
) -> None:
    sshd.process.send_signal(signal.SIGSTOP)  # the system still accepts for it
    try:
        said = refusal(sshd.url, ["-o", "ConnectTimeout=1", *nowhere])
    finally:
        sshd.process.send_signal(signal.SIGCONT)

    assert "does not answer; is it switched on" in said


def test_a_configuration_that_ssh_refuses_is_told(nowhere: list[str]) -> None:
    Path(nowhere[1]).write_text("Nonsense yes\n")

    assert "ssh cannot use its configuration" in refusal("ssh://board", nowhere)


def test_a_device_that_runs_no_commands_is_told(sshd: Sshd) -> None:
    sshd.login("echo This account is not available. >&2; exit 1")

    said = refusal(sshd.url, sshd.options)

    assert "runs no commands: `exit 0` ended with 1 (ssh: This account is not available.)" in said


def test_without_ssh_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "apt install openssh-client" in refusal("ssh://board", [])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ssh: connect to host board port 22: Connection timed out\r\n", "does not answer"),
        ("ssh: connect to host board port 22: No route to host\r\n", "does not answer"),
        ("ssh: Could not resolve hostname board: Name or service not known", "no machine of the"),
        ("Received disconnect from 10.0.0.9: 2: Too many authentication failures", "none of your"),
        ("Bad owner or permissions on /home/me/.ssh/config\r\n", "its configuration"),
        ("kex_exchange_identification: read: Connection reset by peer", "try it by hand: ssh -p"),
        ("", "no connection to ssh://me@board:2222; try it by hand: ssh -p 2222 me@board"),
    ],
)
def test_other_failures_are_told_by_what_ssh_says(said: str, told: str) -> None:
    message = failure(BOARD, said)

    assert told in message
    assert one_of(said) in message


def test_what_ssh_repeats_of_the_other_side_cannot_command_the_terminal() -> None:
    message = failure(BOARD, "banner\n\x1b[2J\x1b]0;owned\x07 refused\r\n")

    assert "(ssh: ?[2J?]0;owned? refused)" in message


def test_only_a_lost_line_is_called_so() -> None:
    connection = Connection(BOARD)

    assert connection.explain(137, "Killed") is None
    assert "was lost (ssh: Broken pipe); what was measured is kept there" in str(
        connection.explain(255, "client_loop: send disconnect\nBroken pipe\r\n")
    )


def one_of(said: str) -> str:
    return said.strip().removeprefix("ssh: ")
