"""The user's own OpenSSH client: how it is called, and what its errors mean.

Configuration, keys, agent, known_hosts and ProxyJump are the user's. What is set here, before the
configuration is read: host keys must be known, nothing is asked where nobody can answer, a dead
line is noticed within half a minute, and nothing is forwarded.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .agent_process import one_line
from .errors import DeviceError
from .target import Target

CONNECT_S = 15
OPTIONS = {
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": str(CONNECT_S),
    "ServerAliveInterval": "10",
    "ServerAliveCountMax": "3",
    "RequestTTY": "no",
    "RemoteCommand": "none",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "LogLevel": "INFO",  # quieter, and it would not say why it failed
}
LOST = 255  # ssh's own exit code; a command's is passed on, and ours never ends with it
LONGEST_SOCKET_FOLDER = 50  # of 104 to 108 bytes that a socket's path may have; ssh adds to it


class Connection:
    """One authenticated connection, shared by all commands (OpenSSH's ControlMaster).

    options: words for ssh that go before all others.
    """

    def __init__(self, target: Target, options: Sequence[str] = ()) -> None:
        assert target.host is not None
        self._target = target
        self._options = options

    def open(self) -> None:
        """Connects, asking for a passphrase where stdin is a terminal.

        Raises:
            DeviceError: it failed; why, and what to do.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="edgestill-", dir=_socket_folder())
        asking = sys.stdin is not None and sys.stdin.isatty()
        # A connection that stays for ten minutes after its last command: no longer than that if
        # this process is killed and cannot close it.
        shared = {"ControlMaster": "auto", "ControlPersist": "600"}
        try:
            code, said = self._run(
                self._words(shared | {"BatchMode": "no" if asking else "yes"}, "exit 0"),
                # Past the address's own limit, only a question to the user takes longer.
                timeout_s=None if asking else 4 * CONNECT_S,
            )
            if code:
                raise DeviceError(
                    failure(self._target, said)
                    if code == LOST
                    else f"{self._target.name} runs no commands: `exit 0` ended with {code}"
                    f"{_quoted(said)}"
                )
        except BaseException:
            self.close()
            raise

    def command(self, words: str) -> list[str]:
        """The command line that runs `words` by the login shell of the device."""
        # Connects anew if the shared connection is gone, but asks nothing: it is in no foreground.
        return self._words({"ControlMaster": "no", "BatchMode": "yes"}, words)

    def explain(self, code: int, said: str) -> str | None:
        """What to tell if a command ended with `code` since the line was lost; else None."""
        if code != LOST:
            return None
        return (
            f"the connection to {self._target.name} was lost{_quoted(said)}; what was measured is "
            "kept there: give the same command again and it goes on"
        )

    def close(self) -> None:
        """Ends the connection and every command on it; to be called once."""
        try:
            # Fails where there is no connection (any more), which is what is wanted.
            self._run(self._words({}, "", "-O", "exit"), timeout_s=10)
        finally:
            self._folder.cleanup()

    def _words(self, settings: dict[str, str], command: str, *more: str) -> list[str]:
        target = self._target
        settings = OPTIONS | settings | {"ControlPath": f"{self._folder.name}/line"}
        words = ["ssh", *self._options]
        for key, value in settings.items():
            words += ["-o", f"{key}={value}"]
        if target.port is not None:
            words += ["-p", str(target.port)]
        if target.user is not None:
            words += ["-l", target.user]
        return [*words, *more, "--", str(target.host), *([command] if command else [])]

    def _run(self, words: list[str], timeout_s: float | None) -> tuple[int, str]:
        # Into a file: the shared connection inherits stderr and would keep a pipe open.
        with tempfile.TemporaryFile() as stderr:
            try:
                code = subprocess.run(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    timeout=timeout_s,
                ).returncode
            except FileNotFoundError:
                raise DeviceError(
                    "no ssh on the PATH; install OpenSSH's client: apt install openssh-client"
                ) from None
            except subprocess.TimeoutExpired:
                return LOST, f"no answer within {timeout_s:g} s"
            stderr.seek(0)
            return code, stderr.read().decode("utf-8", "replace")


def failure(target: Target, said: str) -> str:
    """Why ssh could not connect, in one line with what to do, from what it said on stderr."""
    port = [] if target.port is None else ["-p", str(target.port)]
    user = "" if target.user is None else f"{target.user}@"
    by_hand = " ".join([*port, f"{user}{target.host}"])
    for pattern, cause in _CAUSES:
        if re.search(pattern, said, re.MULTILINE):
            return cause.format(name=target.name, by_hand=by_hand) + _quoted(said, pattern)
    return f"no connection to {target.name}; try it by hand: ssh {by_hand}{_quoted(said)}"


# the first that is found, in what ssh says: what it means and what to do
_CAUSES = (
    (
        r"[Hh]ost key for .* has changed|^Offending .* key in",
        "the host key of {name} has changed: it was installed anew, or another machine answers; "
        "if you know that it is the first, remove the old key (ssh-keygen -R) and connect by hand: "
        "ssh {by_hand}",
    ),
    (
        r"host key is known for|Host key verification failed",
        "the host key of {name} is not known; connect once by hand, compare it and say yes: "
        "ssh {by_hand}",
    ),
    (
        r"Permission denied \(|Too many authentication failures|No supported authentication",
        "{name} takes none of your keys; give it one: ssh-copy-id {by_hand} (or, if it has one, "
        "unlock it: ssh-add)",
    ),
    (
        r"Could not resolve hostname",
        "no machine of the name in {name}; expected a host name or an alias of your ssh config",
    ),
    (
        r"Connection refused",
        "{name} refuses connections; is its SSH server running, and is this the port?",
    ),
    (
        r"timed out|No route to host|Network is unreachable|no answer within",
        "{name} does not answer; is it switched on, and in this network?",
    ),
    (
        r"[Bb]ad (configuration|owner|.*argument)|terminating, \d+ bad|[Cc]an't open user config",
        "ssh cannot use its configuration",
    ),
)


def _quoted(said: str, pattern: str = "") -> str:
    """ssh's own words for it: the line with the pattern, or the last one."""
    lines = [line.removeprefix("ssh: ") for line in said.splitlines() if line.strip()]
    found = [line for line in lines if pattern and re.search(pattern, line)]
    words = one_line((found or lines[-1:] or [""])[0])
    return f" (ssh: {words})" if words else ""


def _socket_folder() -> str:
    """A folder whose path is short and plain enough to hold a socket named by an ssh option."""
    usual = tempfile.gettempdir()
    plain = re.fullmatch(r"[A-Za-z0-9_./-]+", usual) and len(usual) < LONGEST_SOCKET_FOLDER
    return usual if plain and Path(usual).is_absolute() else "/tmp"
