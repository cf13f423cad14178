"""trtexec while it runs: its lines as they come, each with the instant at which it was read."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections import deque
from types import TracebackType
from typing import Callable, Sequence

from .programs import environment

FIRST_LINES, LAST_LINES = 2_000, 8_000  # of a long output; what matters stands at its two ends
LONGEST_LINE = 2_000
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
CHUNK = 65_536


class TrtexecProcess:
    """One run. Leaving the block kills it where it has not ended.

    On Linux it also dies with the thread that started it: the main one, as long as the agent lives.
    """

    def __init__(self, command: Sequence[str], clock_ns: Callable[[], int]) -> None:
        """Start it. Raises OSError: it cannot be started."""
        self._clock_ns = clock_ns
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._unread: deque[tuple[str, int]] = deque()
        self._rest = b""
        self.ended = False
        """It closed its output, or was killed."""
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # warnings and errors are part of the story
            env=environment(),
            preexec_fn=_end_with_parent(),
        )

    def until(self, marks: Sequence[str], deadline_ns: int) -> int | None:
        """The instant at which a line with one of `marks` came; None: it ended, or time is up."""
        while True:
            while self._unread:
                line, at_ns = self._unread.popleft()
                self._keep(line)
                if any(mark in line for mark in marks):
                    return at_ns
            if self.ended or not self._read(deadline_ns):
                return None

    def code(self, deadline_ns: int) -> int | None:
        """Its exit status, once it has ended; None: it did not in time."""
        self.until((), deadline_ns)
        if not self.ended:
            return None
        try:
            return self._process.wait(max(0.0, (deadline_ns - self._clock_ns()) / 1e9))
        except subprocess.TimeoutExpired:
            return None

    @property
    def text(self) -> str:
        """What it has said so far; of very much, the beginning and the end."""
        return "\n".join([*self._first, *self._last])

    def close(self) -> None:
        """Kill it, if it is there."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self.ended = True
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> TrtexecProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, deadline_ns: int) -> bool:
        """Wait for more; False once the time is up."""
        assert self._process.stdout is not None
        wait_s = (deadline_ns - self._clock_ns()) / 1e9
        if wait_s <= 0:
            return False
        if not select.select([self._process.stdout], [], [], wait_s)[0]:
            return True  # the loop looks at the clock again
        raw = os.read(self._process.stdout.fileno(), CHUNK)
        now_ns = self._clock_ns()
        if not raw:
            self.ended = True
            raw = b"\n" if self._rest else b""
        *lines, self._rest = (self._rest + raw).split(b"\n")
        self._rest = self._rest[:LONGEST_LINE]  # a line without an end must not fill the memory
        self._unread.extend((line.decode("utf-8", "replace"), now_ns) for line in lines)
        return True

    def _keep(self, line: str) -> None:
        (self._first if len(self._first) < FIRST_LINES else self._last).append(line[:LONGEST_LINE])


def _end_with_parent() -> Callable[[], None] | None:
    """What a child has to call so that it does not outlive its parent; None where nothing can.

    A build may hold the GPU for hours after an agent that was killed. Between fork and exec a child
    must not wait for a lock that another thread held: so the library is loaded and the function
    found here, and the child makes two system calls, and only the rare third one.
    """
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def end_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it died before the call, of which no signal comes
            os._exit(1)

    return end_with_parent
