"""A running agent, as its asker holds it: lines out, signs of life in, an end in order.

The agent restores the board (power mode, clocks) when its stdin is closed, or when a minute passes
without a sign of life; so it ends by itself whatever becomes of the asker or of the line between.
"""

from __future__ import annotations

import queue
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import IO, Self, TypeAlias

from .errors import DeviceError

LONGEST_LINE = 64 * 2**20  # a million samples take 10 MB
LEASE_S = 5.0  # between two signs of life
GRACE_S = 15.0  # what an agent gets to restore the board before it is killed

Explain: TypeAlias = Callable[[int, str], str | None]


class AgentProcess:
    """A running agent; stopped when the block is left, for whatever reason.

    Stopped means: its stdin is closed, it may take GRACE_S seconds to restore the board, then it is
    killed. An interrupt during that wait kills it at once.

    leased: whether it has anything to restore, and is sent an empty line every LEASE_S seconds.
    explain: told the exit code and stderr once the output has ended; a message that it gives is
    raised as a DeviceError (a line that was lost, where the process is no more than that line).
    """

    def __init__(
        self,
        command: Sequence[str],
        request: str = "",
        *,
        leased: bool = True,
        explain: Explain | None = None,
    ) -> None:
        self._leased = leased
        self._explain = explain
        self._ending = threading.Event()
        self._heard: queue.Queue[bytes] = queue.Queue(maxsize=64)
        self._to_send: queue.Queue[bytes | None] = queue.Queue(maxsize=8)
        with ExitStack() as stack:
            self._stderr = stack.enter_context(tempfile.TemporaryFile())
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._stderr,
                    # Out of the terminal's foreground: Ctrl-C reaches this process alone, which
                    # then ends the agent in order. Sent to all of them it would cut the ssh that
                    # carries the agent, and nobody would hear whether the board was restored.
                    process_group=0,
                )
            except OSError as error:
                raise DeviceError(f"cannot start the agent with {command[0]}: {error}") from error
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._threads = [
                threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True),
                threading.Thread(target=self._write, args=(self._process.stdin,), daemon=True),
            ]
            for thread in self._threads:
                thread.start()
            stack.callback(self._end)
            if request:
                self.send(request.encode())
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def lines(self, patience_s: float) -> Iterator[bytes]:
        """Line after line of stdout, until it is closed. Raises DeviceError as `line`."""
        while line := self.line(patience_s):
            yield line

    def line(self, patience_s: float) -> bytes:
        """The next line of stdout; empty once it is closed.

        Raises:
            DeviceError: nothing came for `patience_s` seconds, a line was endless, or the way to
                the agent broke.
        """
        try:
            line = self._heard.get(timeout=patience_s)
        except queue.Empty:
            raise DeviceError(
                f"the agent said nothing for {patience_s:g} s and was stopped"
            ) from None
        if len(line) > LONGEST_LINE:
            raise DeviceError("the agent sent a line of more than 64 MiB and was stopped")
        if not line:
            self._heard.put(line)  # for who asks again
        if not line.endswith(b"\n"):  # the output has ended, perhaps in the middle of a line
            self._raise_if_broken()
        return line

    def send(self, data: bytes) -> None:
        """Puts `data` on its stdin, after what was put there before; waits while much is unread.

        What is sent to an agent that has ended is dropped: reading its lines says how it ended.
        """
        self._to_send.put(data)

    def finish(self) -> None:
        """Closes its stdin, after what was sent before."""
        self._to_send.put(None)

    def acknowledge(self) -> None:
        """Tells the agent that its result has arrived and need not be kept for another call."""
        self.send(b"done\n")

    def last_words(self) -> str:
        """How the agent ended, in one line: its exit code and the end of what it said on stderr."""
        code = self._code()
        if code is None:
            return "closed its output and went on running"
        # A shell between here and there (ssh) tells of a signal as 128 and its number; 130 is also
        # the agent's own word for being interrupted.
        signal = -code if code < 0 else code - 128 if 130 < code < 193 else None
        ended = f"exited with {code}" if signal is None else f"was killed by signal {signal}"
        said = one_line(self._said().strip().rpartition("\n")[2])
        return f"{ended}: {said}" if said else f"{ended} and said nothing"

    def _raise_if_broken(self) -> None:
        code = self._code() if self._explain is not None else None
        if self._explain is None or code is None:
            return
        message = self._explain(code, self._said())
        if message is not None:
            raise DeviceError(message)

    def _code(self) -> int | None:
        try:
            return self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return None

    def _said(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode("utf-8", "replace")

    def _end(self) -> None:
        try:
            self._ending.set()  # what it still says is dropped, so that it never waits for a reader
            if self._leased:
                self._to_send.put_nowait(None)  # full: it has not read its request for long
                self._process.wait(timeout=GRACE_S)
        except (queue.Full, subprocess.TimeoutExpired):
            pass  # it had its time
        finally:
            self._process.kill()
            self._process.wait()
            self._to_send.put(None)  # for a writer that now finds the pipe broken, or has ended
            for thread in self._threads:
                # A process that the agent left behind may hold its stdout open; a daemon may wait.
                thread.join(timeout=1)

    def _write(self, stdin: IO[bytes]) -> None:
        """All writing is here: an agent that does not read its stdin blocks nobody else."""
        with suppress(BrokenPipeError), stdin:  # closing writes what is left
            while True:
                try:
                    data = self._to_send.get(timeout=LEASE_S if self._leased else None)
                except queue.Empty:
                    data = b"\n"
                if data is None:
                    return
                stdin.write(data)
                stdin.flush()
        while self._to_send.get() is not None:  # it reads no more: `send` must not wait for it
            pass

    def _read(self, stdout: IO[bytes]) -> None:
        with stdout:
            line = b"-"
            while line:
                line = stdout.readline(LONGEST_LINE + 1)
                while not self._ending.is_set():
                    with suppress(queue.Full):
                        self._heard.put(line, timeout=0.1)
                        break


def one_line(text: str) -> str:
    """Text of the other side, fit for a message: one line without control characters, not endless.

    >>> one_line("a\\n \\x1b[31mb")
    'a ?[31mb'
    """
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "?" for letter in line[:500])
