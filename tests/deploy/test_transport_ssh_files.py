"""Files go to a device behind a real SSH server once, whole, and under plain names."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgestill.deploy import transport_ssh
from edgestill.deploy.agent_process import AgentProcess
from edgestill.deploy.errors import RequestError
from edgestill.deploy.transport_ssh import Ssh

from .sshd import Sshd, refusal, soon, sshd

__all__ = ["sshd"]  # a fixture


@pytest.fixture(autouse=True)
def _small_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_ssh, "agent_bundle", lambda: b"agent")


@pytest.fixture
def small_disk(sshd: Sshd) -> Iterator[int]:
    """The device's state folder lies on a file system of this many bytes."""
    size = 4 * 2**20
    sshd.state_dir.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(sshd.state_dir)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield size
    subprocess.run(["umount", str(sshd.state_dir)], check=True)


def test_a_model_is_there_under_its_hash_with_the_same_bytes(sshd: Sshd, tmp_path: Path) -> None:
    content = os.urandom(3 * 2**20 + 1)
    (tmp_path / "m.onnx").write_bytes(content)

    with sshd.reach() as device:
        path = Path(device.place(tmp_path / "m.onnx"))

    sha256 = hashlib.sha256(content).hexdigest()
    assert path == sshd.state_dir / "files" / sha256 / "model.onnx"
    assert path.read_bytes() == content


def test_nothing_is_sent_twice(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = count_sent(monkeypatch)
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    first.write_bytes(b"x" * 100_000)
    second.write_bytes(b"x" * 100_000)

    with sshd.reach() as device:
        path = device.place(first)
    after_first = sum(sent)
    with sshd.reach() as device:
        assert device.place(second) == path

    assert after_first == len(b"agent") + 100_000
    assert sum(sent) == after_first


def test_a_file_damaged_on_the_device_is_sent_again(sshd: Sshd, tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"weights")

    with sshd.reach() as device:
        Path(device.place(model)).write_bytes(b"WEIGHTS")
        path = Path(device.place(model))

    assert path.read_bytes() == b"weights"


@pytest.mark.parametrize(
    "name",
    [
        "with space.onnx",
        "-rf",
        "'; touch hacked; '.onnx",
        '"$(touch hacked)`touch hacked`".onnx',
        "new\nline.onnx",
        "Gewichte-größer-日本.onnx",
        "..\\..\\m.onnx",
        ".onnx",
        "a.$(touch hacked)",
    ],
)
def test_a_file_of_any_name_arrives_under_a_plain_one(
    sshd: Sshd, tmp_path: Path, name: str
) -> None:
    model = tmp_path / name
    model.write_bytes(b"weights")

    with sshd.reach() as device:
        path = Path(device.place(model))

    assert path.read_bytes() == b"weights"
    assert path.name in ("model", "model.onnx")
    assert not list(sshd.folder.rglob("hacked"))


def test_an_empty_file_and_an_absent_one(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    with sshd.reach() as device:
        assert Path(device.place(tmp_path / "empty")).read_bytes() == b""
        with pytest.raises(RequestError, match=r"cannot read .*absent"):
            device.place(tmp_path / "absent")


def test_an_interrupted_upload_leaves_nothing(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(os.urandom(3 * 2**20))

    with sshd.reach() as device:
        before = sshd.files()
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            interrupt_sending(patch, after=2)
            device.place(model)

        assert soon(lambda: sshd.files() == before)
        assert Path(device.place(model)).stat().st_size == 3 * 2**20


def test_a_connection_cut_during_an_upload_leaves_nothing(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(os.urandom(8 * 2**20))
    send = AgentProcess.send

    def cut(process: AgentProcess, data: bytes) -> None:
        send(process, data)
        sshd.signal(signal.SIGKILL)

    def place(device: Ssh) -> None:
        monkeypatch.setattr(AgentProcess, "send", cut)
        device.place(model)

    assert "was lost" in refusal(sshd.reach(), place)
    assert soon(lambda: len(sshd.files()) == 1)  # the agent


def test_a_file_that_changes_while_it_is_sent_is_not_kept(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"x" * 3 * 2**20)
    ask = Ssh._ask

    def shrink(device: Ssh, *order: object, **more: object) -> object:
        os.truncate(model, 2**20)
        return ask(device, *order, **more)  # type: ignore[arg-type]

    def place(device: Ssh) -> None:
        monkeypatch.setattr(Ssh, "_ask", shrink)
        device.place(model)

    assert "arrived on ssh://" in refusal(sshd.reach(), place)
    assert len(sshd.files()) == 1


def test_a_full_disk_is_told_before_anything_is_sent(
    sshd: Sshd, small_disk: int, tmp_path: Path
) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"x" * 2 * small_disk)

    said = refusal(sshd.reach(), lambda device: device.place(model))

    assert f"no space left for {model} in {sshd.state_dir} on ssh://" in said
    assert "needs 9.4 MB, has 4." in said
    assert len(sshd.files()) == 1  # the agent


def test_a_home_that_cannot_be_written_is_told(sshd: Sshd) -> None:
    sshd.home.joinpath(".cache").write_text("a file where the folder should be")

    said = refusal(sshd.reach())

    assert f"cannot keep the agent in {sshd.state_dir} on ssh://" in said
    assert said.endswith(": Not a directory")


def test_a_file_larger_than_may_be_written_is_told(sshd: Sshd, tmp_path: Path) -> None:
    sshd.login('ulimit -f 2048; exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"')  # 1 or 2 MiB
    model = tmp_path / "m.onnx"
    model.write_bytes(os.urandom(3 * 2**20))

    said = refusal(sshd.reach(), lambda device: device.place(model))

    assert said.endswith(": File too large")
    assert len(sshd.files()) == 1


def count_sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what is sent to the device from now on."""
    sent: list[int] = []
    send = AgentProcess.send

    def counting(process: AgentProcess, data: bytes) -> None:
        sent.append(len(data))
        send(process, data)

    monkeypatch.setattr(AgentProcess, "send", counting)
    return sent


def interrupt_sending(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Ctrl-C comes when so many pieces have been sent."""
    sent = count_sent(monkeypatch)
    send = AgentProcess.send

    def interrupted(process: AgentProcess, data: bytes) -> None:
        if len(sent) == after:
            time.sleep(0.2)  # until the device has them
            raise KeyboardInterrupt
        send(process, data)

    monkeypatch.setattr(AgentProcess, "send", interrupted)
