"""A real SSH server on this machine for the tests, with keys, known hosts and a home of its own."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgestill.deploy.errors import DeviceError
from edgestill.deploy.target import Target, parse_target
from edgestill.deploy.transport_ssh import Ssh

USER = pwd.getpwuid(os.getuid()).pw_name
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv HOME={folder}/home XDG_CACHE_HOME=
ForceCommand {folder}/shell
"""
CLIENT = """\
IdentityFile {folder}/client_key
IdentitiesOnly yes
UserKnownHostsFile {folder}/known_hosts
GlobalKnownHostsFile /dev/null
UpdateHostKeys no
Host board
    HostName 127.0.0.1
    Port {port}
    User {user}
"""
# the head of a login shell that obeys the first contact and does something else with the rest
AFTER_CONTACT = 'case "$SSH_ORIGINAL_COMMAND" in "exit 0") exit 0;; esac\n'


@dataclass(frozen=True)
class Sshd:
    """The server, and the client's configuration that reaches it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def home(self) -> Path:
        """HOME of the commands that it runs."""
        return self.folder / "home"

    @property
    def state_dir(self) -> Path:
        """Where the agent keeps its files on this device."""
        return self.home / ".cache/edgestill"

    @property
    def url(self) -> str:
        return f"ssh://{USER}@127.0.0.1:{self.port}"

    @property
    def options(self) -> list[str]:
        """For ssh: the client's key and known hosts, and nothing of the developer's own."""
        return ["-F", str(self.folder / "client_config")]

    def target(self, more: str = "") -> Target:
        return parse_target(self.url + more)

    def reach(self, more: str = "", options: Sequence[str] = ()) -> Ssh:
        """The way to it; `more` follows the port, `options` go before all others."""
        return Ssh(self.target(more), [*options, *self.options])

    @property
    def this_python(self) -> str:
        """For `reach`: the Python that runs the tests, which has numpy and ONNX Runtime."""
        path = self.folder / "python"  # its own path may have characters that no target takes
        path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        path.chmod(0o755)
        return f"?python={path}"

    def login(self, script: str) -> None:
        """From now on the server runs this shell script for every command.

        The command itself is in $SSH_ORIGINAL_COMMAND.
        """
        path = self.folder / "login"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        path.replace(self.folder / "shell")

    def answer(self, script: str) -> None:
        """From now on the server poses as a device that runs our commands: what it answers to the
        first contact is right, then it says the marker and what this shell script prints."""
        self.login(
            f'{AFTER_CONTACT}marker=${{SSH_ORIGINAL_COMMAND% *}}\necho "${{marker##* }}"\n{script}'
        )

    def files(self) -> dict[str, int]:
        """What is kept on the device: {path below the store: bytes}."""
        store = self.state_dir / "files"
        paths = [path for path in store.rglob("*") if path.is_file()]
        return {path.relative_to(store).as_posix(): path.stat().st_size for path in paths}

    def sessions(self) -> list[int]:
        """The server's processes for connections, parents first."""
        found: list[int] = []
        parents = [self.process.pid]
        while parents:
            children = [pid for parent in parents for pid in children_of(parent)]
            parents = [pid for pid in children if _name(pid).startswith("sshd")]
            found += parents
        return found

    def signal(self, number: signal.Signals) -> None:
        """Sends it to all processes for connections, not to the server itself."""
        for pid in self.sessions():
            with suppress(ProcessLookupError):
                os.kill(pid, number)


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    """The server, which lets this user in with a key made for the test."""
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("needs sshd and ssh: apt install openssh-server openssh-client")
    if not Path("/proc/self/stat").exists():
        pytest.skip("finds the server's processes by /proc")
    with tempfile.TemporaryDirectory(prefix="edgestill-sshd-") as name:
        folder = Path(name)
        port = free_port()
        _prepare(folder, port)
        server = Sshd(folder, port, _started(SSHD, folder, port))
        server.login('exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"')
        try:
            yield server
        finally:
            server.signal(signal.SIGCONT)
            server.signal(signal.SIGKILL)
            server.process.kill()
            server.process.wait()


def refusal(transport: Ssh, act: Callable[[Ssh], object] = lambda transport: None) -> str:
    """What is said where the way cannot be opened, or something cannot be done there: one line."""
    with pytest.raises(DeviceError) as refused, transport:
        act(transport)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 3
    return str(refused.value)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_key(path: Path) -> str:
    """Makes a key pair at `path`; the public half."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True
    )
    return path.with_name(f"{path.name}.pub").read_text().strip()


def children_of(parent: int) -> list[int]:
    """The processes that this one has started."""
    stats = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            stats.append(path.read_text())
    fields = [(int(s.split()[0]), int(s.rpartition(")")[2].split()[1])) for s in stats]
    return [pid for pid, its_parent in fields if its_parent == parent]


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie has ended, and where there is no init nobody takes it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def soon(true: Callable[[], bool], limit_s: float = 30) -> bool:
    """Whether it becomes true within the limit."""
    deadline = time.monotonic() + limit_s
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def _prepare(folder: Path, port: int) -> None:
    (folder / "home").mkdir()
    (folder / "authorized_keys").write_text(make_key(folder / "client_key") + "\n")
    key = " ".join(make_key(folder / "host_key").split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n")
    (folder / "server_config").write_text(SERVER.format(folder=folder, port=port))
    (folder / "client_config").write_text(CLIENT.format(folder=folder, port=port, user=USER))


def _started(sshd: str, folder: Path, port: int) -> subprocess.Popen[bytes]:
    if os.getuid() == 0:
        # Where sshd's service makes it; without it no sshd starts as root.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sshd, "-D", "-e", "-f", str(folder / "server_config")],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    if not soon(lambda: process.poll() is not None or _listens(port)) or process.poll() is not None:
        process.kill()
        process.wait()
        pytest.skip(f"sshd does not run here: {log.read_text().strip()}")
    return process


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
