"""A check in a process of its own, held to limits: whatever the file does, a report comes of it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..models.errors import BadInput, MissingPackage
from .check_limits import Limits, files_bytes
from .check_report import CheckReport, Line
from .check_told import Told
from .runtime import a_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .arm64 import Arm64
    from .contract import Contract

START_S = 60.0
"""For a Python that imports ONNX Runtime; 1 s where the disk is warm."""
GRACE_S = 10.0
"""Beyond a check's own time, for the worker to end it and say so."""
LEAVE_S = 2.0


def check_in_child(path: Path, *, contract: Contract, **given: Any) -> CheckReport:
    """`check_model` in a child process; the keywords are those of `CheckWorker.check`."""
    with CheckWorker() as worker:
        return worker.check(path, contract=contract, **given)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What the last check took."""

    seconds: float
    resident_bytes: int
    """Most memory that the child held at once."""


class CheckWorker:
    """Checks many files, each in a child of its own; a context manager.

    The worker imports ONNX Runtime once, so a check starts in a few ms. It is started at the first
    check and again after it was killed.
    """

    def __init__(self, *, spawn: bool = False) -> None:
        """`spawn`: a new Python for each check, as on macOS, where none is forked."""
        self._words = ["--spawn"] if spawn else []
        self._process: subprocess.Popen[bytes] | None = None
        self._kept = b""
        self.used: Usage | None = None
        """What the last check took; None if the worker itself ended."""

    def check(
        self,
        path: Path,
        *,
        contract: Contract,
        target: str | None = None,
        reference: Path | None = None,
        samples: Mapping[str, NDArray[Any]] | NDArray[Any] | None = None,
        labels: NDArray[Any] | None = None,
        threads: int = 1,
        arm64: Arm64 | None = None,
        limits: Limits | None = None,
        begun: Callable[[str], None] | None = None,
        ended: Callable[[Line], None] | None = None,
    ) -> CheckReport:
        """The report of `check_model`, also where the child crashes, hangs or takes too much.

        Then the line in progress has the verdict `error` and says what happened, and those after
        it are `skipped`. `BadInput` if what was given cannot be used, as from `check_model`.
        """
        a_file(path)
        with tempfile.TemporaryDirectory(
            prefix="edgestill-check-", ignore_cleanup_errors=True
        ) as folder:
            job, size = _job_arrays(Path(folder), samples, labels)
            latency = contract.latency
            baseline = None if latency is None else Path(latency.baseline)
            timing_s = 0.0 if latency is None else 2 * latency.seconds
            filled = (limits or Limits()).filled(
                model_bytes=files_bytes(path, reference, baseline),
                samples_bytes=size,
                more_s=(0.0 if arm64 is None else arm64.timeout_s) + timing_s,
            )
            job |= {
                "model": str(path),
                "contract": contract.model_dump(mode="json", exclude_unset=True),
                "target": target,
                "reference": None if reference is None else str(reference),
                "threads": threads,
                "arm64": None if arm64 is None else _arm64(arm64),
                "limits": asdict(filled),
            }
            told = Told(begun=begun, ended=ended)
            self._run(job, told, filled)
        return told.report(path, contract=contract, target=target, reference=reference)

    def close(self) -> None:
        """Ends the worker and the child that it may have."""
        process, self._process, self._kept = self._process, None, b""
        if process is None:
            return
        # Nobody at its stdin: it kills its child, with all that this has started, and ends.
        with suppress(OSError):
            process.stdin.close()  # type: ignore[union-attr]  # a pipe, see _start
        try:
            process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()  # type: ignore[union-attr]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, job: dict[str, Any], told: Told, limits: Limits) -> None:
        """Has the worker do one job; `told` gets what it says."""
        self.used = None
        process = self._started()
        deadline = time.monotonic() + (limits.timeout_s or 0.0) + GRACE_S
        done = False
        try:
            _send(process, json.dumps(job).encode() + b"\n")
            for event in self._events(process, deadline):
                if "over" in event:
                    told.over(event["over"], limits)
                    self.used = Usage(
                        seconds=event["over"]["seconds"],
                        resident_bytes=event["over"]["resident_bytes"],
                    )
                    done = True
                    return
                told.hear(event)
        finally:  # Ctrl-C as well
            if not done:
                self.close()
        gone = process.returncode
        told.over(
            {
                "signal": -gone if gone < 0 else None,
                "code": gone,
                "cut": "time" if time.monotonic() >= deadline else "",
                "said": "",
            },
            limits,
        )

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.close()  # killed between two checks
        if self._process is None:
            self._process = process = _start(self._words)
            deadline = time.monotonic() + START_S
            if next(self._events(process, deadline), None) is None:
                self.close()
                raise MissingPackage(
                    f"the process that checks files did not start (exit code {process.returncode});"
                    " see what this says: python -m edgestill.export.check_worker < /dev/null"
                )
        return self._process

    def _events(
        self, process: subprocess.Popen[bytes], deadline: float
    ) -> Iterator[dict[str, Any]]:
        """What the worker says, until it ends or time is up."""
        stream = process.stdout.fileno()  # type: ignore[union-attr]
        poll = select.poll()
        poll.register(stream, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            line, found, rest = self._kept.partition(b"\n")
            if found:
                self._kept = rest
                # A child that was killed in the middle of a line leaves a piece of it.
                with suppress(ValueError):
                    event = json.loads(line)
                    if isinstance(event, dict):
                        yield event
            elif poll.poll(left * 1000):
                chunk = os.read(stream, 1 << 16)
                if not chunk:
                    return
                self._kept += chunk


def _start(words: list[str]) -> subprocess.Popen[bytes]:
    # A model's metadata may hold settings for ONNX Runtime, libraries to load among them.
    environment = {k: v for k, v in os.environ.items() if k != "ORT_LOAD_CONFIG_FROM_MODEL"}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads do not fork
    # ONNX Runtime 1.32 starts a thread that reports its use to Microsoft and writes files for it.
    environment["ORT_DISABLE_TELEMETRY"] = "1"
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", f"{__package__}.check_worker", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        bufsize=0,
        start_new_session=True,  # Ctrl-C is for this process, which then ends the worker
    )


def _send(process: subprocess.Popen[bytes], text: bytes) -> None:
    with suppress(BrokenPipeError):  # its end is seen by whoever reads
        while text:
            text = text[process.stdin.write(text) or 0 :]  # type: ignore[union-attr]


def _job_arrays(
    folder: Path,
    samples: Mapping[str, NDArray[Any]] | NDArray[Any] | None,
    labels: NDArray[Any] | None,
) -> tuple[dict[str, Any], int]:
    """Writes the arrays to `folder`; where they are for the job, and their bytes.

    One array for the one input of a model stands under the name "".
    """
    import numpy as np

    names = {}
    several = samples if isinstance(samples, Mapping) else {"": samples}
    for number, (name, array) in enumerate(several.items()):
        if array is not None:
            names[name] = f"{number}.npy"
            _save(folder / names[name], array, f"samples of input {name!r}" if name else "samples")
    if labels is not None:
        _save(folder / "labels.npy", np.asarray(labels), "labels")
    size = sum(file.stat().st_size for file in folder.iterdir())
    told = {"arrays": str(folder), "samples": names}
    return told | {"labels": None if labels is None else "labels.npy"}, size


def _save(path: Path, array: NDArray[Any], what: str) -> None:
    import numpy as np

    try:
        np.save(path, array, allow_pickle=False)
    except ValueError as error:
        raise BadInput(f"{what} are {array.dtype}; expected numbers or text") from error


def _arm64(arm64: Arm64) -> dict[str, Any]:
    return {
        "machine": str(arm64.files.machine),
        "site": str(arm64.files.site),
        "cpu": arm64.cpu,
        "timeout_s": arm64.timeout_s,
    }
