"""The process in which files are checked: `python -m edgestill.export.check_worker`.

It imports ONNX and ONNX Runtime once. For each job, a line of JSON on stdin, it forks a child that
holds to the job's limits and checks the file; what the child says line by line goes on to stdout as
JSON, and at its end, however it comes, so does `{"over": ...}`. `check_child.py` is the other side.
On macOS, where a forked process may not use all libraries, the child is a new Python instead.
"""

from __future__ import annotations

import json
import os
import platform
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from .check_limits import Limits, die_with, hold_to

FORKS = platform.system() == "Linux"
MOST_SAID_BYTES = 64 << 20
"""A report takes some kB; a child that says more is ended."""
ONCE = "--once"
SPAWN = "--spawn"
EVENTS = "EDGESTILL_CHECK_EVENTS"
MODULE = f"{__package__}.check_worker"


def main(words: list[str]) -> None:
    """Jobs from stdin until it closes; with --once, one job whose events go to a descriptor."""
    if ONCE in words:
        _check(json.loads(sys.stdin.buffer.read()), int(os.environ[EVENTS]))
    spawn = SPAWN in words or not FORKS
    said = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not stand between the answers
    if not spawn:
        import onnx  # noqa: F401  # once, for all the children
        import onnxruntime  # noqa: F401

        from . import check  # noqa: F401
    with suppress(BrokenPipeError):  # nobody reads any more
        _write(said, json.dumps({"ready": os.getpid()}) + "\n")
        for text in _lines(0):
            _write(said, "\n" + json.dumps({"over": _supervise(text, said, spawn)}) + "\n")


def _supervise(text: bytes, said: int, spawn: bool) -> dict[str, Any]:
    """Runs one job in a child, passes on what it says, and tells how it ended."""
    job = json.loads(text)
    limits = Limits(**job["limits"])
    begun = time.monotonic()
    # Within the other side's folder, which goes even if this process is killed.
    folder = Path(tempfile.mkdtemp(dir=job["arrays"]))
    try:
        read, write = os.pipe()
        with (folder / "chatter").open("w+b") as chatter, (folder / "job").open("w+b") as given:
            given.write(text)
            given.seek(0)
            watcher = os.getpid()
            child = os.fork()
            if not child:
                try:
                    os.close(said)
                    die_with(watcher)
                    _settle(limits, folder, (given.fileno(), chatter.fileno(), chatter.fileno()))
                    _begin(job, write, spawn)
                finally:  # an error above stands in the chatter
                    traceback.print_exc(limit=0)
                    os._exit(70)
            os.close(write)
            cut = _pass_on(read, said, begun + (limits.timeout_s or 0.0))
            os.close(read)
            # The group: an emulator that the child started goes with it.
            _kill_group(child)
            _, status, used = os.wait4(child, 0)
            chatter.seek(max(0, chatter.seek(0, os.SEEK_END) - 4096))
            last = chatter.read().decode(errors="replace").strip().splitlines()[-1:]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        "code": os.waitstatus_to_exitcode(status),
        "cut": cut,
        "said": "".join(last),
        "seconds": round(time.monotonic() - begun, 3),
        # ru_maxrss is in kB on Linux and in bytes on macOS.
        "resident_bytes": used.ru_maxrss * (1024 if platform.system() == "Linux" else 1),
    }


def _pass_on(read: int, said: int, deadline: float) -> str:
    """Everything from `read` to `said` until it closes: "". Else why the child is to be ended."""
    poll = select.poll()
    poll.register(read, select.POLLIN)
    poll.register(0, 0)  # hang-up alone: nobody waits for the answer any more
    total = 0
    while (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(left * 1000):
            if descriptor == 0:
                return "alone"
            chunk = os.read(read, 1 << 16)
            if not chunk:
                return ""
            total += len(chunk)
            if total > MOST_SAID_BYTES:
                return "talk"
            try:
                _write(said, chunk)
            except BrokenPipeError:  # as above; the child is to go before this process does
                return "alone"
    return "time"


def _settle(limits: Limits, folder: Path, standard: tuple[int, int, int]) -> None:
    """Makes the forked child a session of its own, silent, with a folder to write to, in limits."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    for descriptor, file in enumerate(standard):
        os.dup2(file, descriptor)
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None
    hold_to(limits)


def _begin(job: dict[str, Any], events: int, spawn: bool) -> NoReturn:
    """The check, in this process or in a new Python in its place."""
    if spawn:
        os.set_inheritable(events, True)
        os.environ[EVENTS] = str(events)
        os.execv(sys.executable, [sys.executable, "-m", MODULE, ONCE])
    _check(job, events)


def _check(job: dict[str, Any], events: int) -> NoReturn:
    """Checks one file and writes what it finds to `events`; ends the process."""
    from ..models.errors import EdgestillError

    def tell(**event: Any) -> None:
        try:
            _write(events, _encoded(event) + "\n")
        except BrokenPipeError:
            os._exit(0)

    code = 0
    try:
        tell(report=_report(job, tell).to_json())
    except EdgestillError as error:
        tell(raised={"kind": type(error).__name__, "says": str(error), "code": error.exit_code})
    # Nobody sees this process's traceback; the other side names the error and the line it hit.
    except Exception as error:
        says = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        tell(broke=says)
        code = 70
    os._exit(code)  # without the clean-up of libraries, which may hang or crash in turn


def _report(job: dict[str, Any], tell: Callable[..., None]) -> Any:
    import numpy as np

    from .check import check_model
    from .contract import Contract

    folder = Path(job["arrays"])
    arrays = {
        name: np.load(folder / file, mmap_mode="c", allow_pickle=False)
        for name, file in job["samples"].items()
    }
    labels = None if job["labels"] is None else np.load(folder / job["labels"], allow_pickle=False)
    return check_model(
        Path(job["model"]),
        contract=Contract.model_validate_json(json.dumps(job["contract"])),
        target=job["target"],
        reference=None if job["reference"] is None else Path(job["reference"]),
        samples=arrays.get("", arrays) if arrays else None,
        labels=labels,
        threads=job["threads"],
        arm64=_arm64(job["arm64"]),
        planned=lambda names: tell(planned=list(names)),
        begun=lambda name: tell(begun=name),
        ended=lambda line: tell(ended=asdict(line)),
    )


def _arm64(told: dict[str, Any] | None) -> Any:
    if told is None:
        return None
    from .arm64 import Arm64
    from .arm64_root import Arm64Root

    files = Arm64Root(machine=Path(told["machine"]), site=Path(told["site"]))
    return Arm64(files=files, cpu=told["cpu"], timeout_s=told["timeout_s"])


def _kill_group(child: int) -> None:
    for kill in (os.killpg, os.kill):  # the group is there once the child has made it
        try:
            kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _lines(descriptor: int) -> Any:
    """Lines of bytes as they come; ends when the other side closes."""
    kept = b""
    while chunk := os.read(descriptor, 1 << 16):
        *whole, kept = (kept + chunk).split(b"\n")
        yield from whole


def _write(descriptor: int, text: str | bytes) -> None:
    """All of it; `BrokenPipeError` if nobody reads any more."""
    left = text.encode() if isinstance(text, str) else text
    while left:
        left = left[os.write(descriptor, left) :]


def _encoded(event: dict[str, Any]) -> str:
    """As JSON, with numpy's numbers as numbers; `TypeError` for what JSON has no value for."""
    import numpy as np

    def plain(value: Any) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        raise TypeError(f"a report with {type(value).__name__} in it: {value!r}")

    return json.dumps(event, default=plain)


if __name__ == "__main__":
    main(sys.argv[1:])
