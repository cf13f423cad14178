"""What a check may take of the machine: memory, time, bytes written. Set in the child that checks.

The operating system holds to them, so they hold for C++ as well as for Python.
"""

from __future__ import annotations

import os
import platform
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

GIB = 1 << 30
LEAST_MEMORY_BYTES = 4 * GIB
LEAST_TIMEOUT_S, MOST_TIMEOUT_S = 300.0, 3600.0
OPEN_FILES = 256
MOST_MODEL_BYTES = 2 << 30
"""Protobuf's own limit on one message."""
PR_SET_PDEATHSIG = 1
"""Option of Linux's prctl(2): the signal that a process gets when its parent dies."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one check may take; None: as much as its files call for."""

    memory_bytes: int | None = None
    """Private writable memory of one process (RLIMIT_DATA). macOS does not hold to it."""
    timeout_s: float | None = None
    """By the clock, from the start of the check to its report."""
    written_bytes: int | None = None
    """Size of any one file that the check writes, such as the graph as ONNX Runtime runs it."""

    def filled(self, *, model_bytes: int, samples_bytes: int, more_s: float = 0.0) -> Limits:
        """These limits with numbers in all: those not set follow from the sizes of the files.

        A model is held as protobuf, as ONNX Runtime's weights and as its packed weights, and so
        is its reference: 8 times its size is room for both. Nothing takes more than 0.9 of the
        machine's memory, so that its other processes are left alone. Time: 300 s, 0.5 s for each
        MB of a model and 1 s for each MB of samples, an hour at most, and `more_s`.

        >>> Limits(timeout_s=5.0).filled(model_bytes=10**6, samples_bytes=0).timeout_s
        5.0
        >>> Limits().filled(model_bytes=10**6, samples_bytes=2 * 10**6).timeout_s
        302.5
        """
        wanted = max(LEAST_MEMORY_BYTES, 8 * model_bytes) + 4 * samples_bytes
        memory = min(wanted, int(0.9 * physical_memory_bytes()))
        timeout = LEAST_TIMEOUT_S + 0.5e-6 * model_bytes + 1e-6 * samples_bytes
        return replace(
            self,
            memory_bytes=self.memory_bytes or memory,
            timeout_s=self.timeout_s or min(timeout, MOST_TIMEOUT_S) + more_s,
            written_bytes=self.written_bytes or max(GIB, 4 * model_bytes),
        )


def files_bytes(*paths: Path | None) -> int:
    """Bytes of these files and of their side files.

    A side file's name begins as the model's and stands in it; it is looked for, and nothing is
    parsed. Else any large file that lies beside a model would raise its limits.
    """
    found: dict[Path, int] = {}
    for path in paths:
        if path is None:
            continue
        with suppress(OSError):  # a folder that cannot be listed: the file alone counts
            found[path] = path.stat().st_size
            beside = [
                each
                for each in os.scandir(path.parent)
                if each.name.startswith(path.stem) and each.name != path.name and each.is_file()
            ]
            named = _named_in(path, {os.fsencode(each.name) for each in beside})
            for each in beside:
                if os.fsencode(each.name) in named:
                    found[Path(each)] = each.stat().st_size
    return sum(found.values())


def _named_in(path: Path, names: set[bytes]) -> set[bytes]:
    """Those of `names` that stand in the file; none in one too large to be ONNX."""
    if not names or path.stat().st_size > MOST_MODEL_BYTES:
        return set()
    longest, kept, found = max(map(len, names)), b"", set()
    with path.open("rb") as file:
        while chunk := file.read(1 << 24):
            text = kept + chunk
            found |= {name for name in names if name in text}
            kept = text[-longest:]
    return found


def physical_memory_bytes() -> int:
    """Memory of this machine; 2^62 where it cannot be asked."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 1 << 62


def hold_to(limits: Limits) -> None:
    """Sets the limits on this process and on all that it starts; there is no way back.

    RLIMIT_DATA and not RLIMIT_AS: ONNX Runtime and its threads reserve address space that they
    never use (importing it maps 177 MB and holds 58), and qemu reserves that of its guest.
    """
    import resource

    if limits.memory_bytes is None or limits.timeout_s is None or limits.written_bytes is None:
        raise ValueError("limits without numbers; call Limits.filled first")
    _limit(resource.RLIMIT_DATA, limits.memory_bytes)
    # A second lock on time, should the process that watches the clock be gone.
    _limit(resource.RLIMIT_CPU, int(limits.timeout_s * (os.cpu_count() or 1)) + 10)
    _limit(resource.RLIMIT_FSIZE, limits.written_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    # Where memory runs out all the same, Linux ends this process before any other.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def die_with(parent: int) -> None:
    """On Linux: this process is killed when its parent, process `parent`, ends."""
    if platform.system() != "Linux":
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os.kill(os.getpid(), signal.SIGKILL)


def _limit(kind: int, wanted: int) -> None:
    """Lowers one limit; what the user's own limits allow is not raised."""
    import resource

    _, most = resource.getrlimit(kind)
    size = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    with suppress(ValueError, OSError):  # macOS refuses some
        resource.setrlimit(kind, (size, size))
