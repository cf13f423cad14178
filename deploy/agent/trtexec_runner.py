"""trtexec run to its end, and what went wrong where it did not end well."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, Sequence

from .errors import AgentError
from .timing import TICK_NS
from .trtexec_flags import Version
from .trtexec_output import Query, Summary, parse_summary, parse_times
from .trtexec_process import TrtexecProcess

STARTED = ("Starting inference",)
OVER = ("Warmup completed", "Timing trace has", "=== Trace details ===")
END_LIMIT_S = 120  # of writing its files, after the timing


class Runner:
    """The program at `path`; one run at a time."""

    def __init__(self, path: str, clock_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self.path = path
        self._clock_ns = clock_ns
        self._process: TrtexecProcess | None = None

    @contextmanager
    def started(
        self, flags: Sequence[str], clock_ns: Callable[[], int] | None = None
    ) -> Iterator[TrtexecProcess]:
        """A run that is killed when the block is left. Raises AgentError: it cannot be started."""
        try:
            process = TrtexecProcess([self.path, *flags], clock_ns or self._clock_ns)
        except OSError as error:
            raise AgentError("device", f"cannot start {self.path}: {error.strerror}") from None
        self._process = process
        try:
            with process:
                yield process
        finally:
            self._process = None

    def version(self, limit_s: float) -> Version:
        """Of which TensorRT it is. Raises AgentError: it does not say."""
        with self.started(["--help"]) as process:
            code = process.code(self._clock_ns() + int(limit_s * 1e9))
            summary, last = parse_summary(process.text), _last_line(process.text)
        if summary.version is None:
            how = "it hung" if code is None else last
            raise AgentError("device", f"{self.path} does not say of which TensorRT it is: {how}")
        return summary.version

    def said(self, flags: Sequence[str], limit_s: float) -> Summary:
        """What it says, however it ends."""
        with self.started(flags) as process:
            process.code(self._clock_ns() + int(limit_s * 1e9))
            return parse_summary(process.text)

    def run(self, flags: Sequence[str], limit_s: float) -> Summary:
        """What it says of a run that ends well. Raises AgentError: it fails, or takes longer."""
        with self.started(flags) as process:
            return ended_well(process, self._clock_ns() + int(limit_s * 1e9), limit_s)

    def close(self) -> None:
        """Kill what runs."""
        if self._process is not None:
            self._process.close()
            self._process = None


def timing_over(
    process: TrtexecProcess,
    clock_ns: Callable[[], int],
    limit_ns: int,
    tick: Callable[[float], None],
) -> int | None:
    """The instant at which it says that its timing is over; None: it had not by `limit_ns`.

    Raises:
        AgentError: it ended without.
    """
    start_ns = clock_ns()
    next_tick = start_ns + TICK_NS
    while True:
        at_ns = process.until(OVER, min(next_tick, limit_ns))
        if at_ns is not None:
            return at_ns
        if process.ended:
            raise ended_early(process, clock_ns)
        now = clock_ns()
        if now >= limit_ns:
            return None
        if now >= next_tick:
            tick((now - start_ns) / 1e9)
            next_tick = now + TICK_NS


def ended_early(process: TrtexecProcess, clock_ns: Callable[[], int]) -> AgentError:
    """What to raise for a process whose output ended before it had timed anything."""
    try:
        ended_well(process, clock_ns() + int(END_LIMIT_S * 1e9), END_LIMIT_S)
    except AgentError as error:
        return error
    return AgentError("device", "trtexec ended well, but without timing anything")


def ended_well(process: TrtexecProcess, deadline_ns: int, limit_s: float = END_LIMIT_S) -> Summary:
    """What it said. Raises AgentError: it failed, or has not ended by then."""
    code = process.code(deadline_ns)
    if code is None:
        raise AgentError("device", f"trtexec did not end within {limit_s:g} s")
    summary = parse_summary(process.text)
    if code != 0 or summary.passed is not True:
        raise AgentError("device", _failure(process.text, code, summary))
    return summary


def queries_in(path: Path, summary: Summary) -> list[Query]:
    """What --exportTimes wrote.

    Raises:
        AgentError: nothing, or what cannot be used; the message has the figures of its text, which
            are percentiles and no samples.
    """
    try:
        return parse_times(path.read_text(errors="replace"))
    except FileNotFoundError:
        reason = "trtexec wrote no file of times"
    except OSError as error:
        reason = f"trtexec's file of times cannot be read: {error.strerror}"
    except ValueError as error:
        reason = f"trtexec's file of times cannot be used: {error}"
    raise AgentError("device", f"{reason}; its text says: {_figures(summary)}")


def _failure(text: str, code: int, summary: Summary) -> str:
    if code < 0:
        how = f"was ended by signal {-code}"
    elif summary.passed is None:
        how = f"ended with {code} before it was done"
    else:
        how = f"failed with {code}"
    return f"trtexec {how}: {'; '.join(summary.errors or [_last_line(text)])}"


def _last_line(text: str) -> str:
    said = text.strip().splitlines()
    return said[-1].strip()[:300] if said else "it said nothing"


def _figures(summary: Summary) -> str:
    latency = summary.rows_ms.get("latency", {})
    found = [f"{name} {latency[name]:g} ms" for name in ("median", "p90", "p99") if name in latency]
    if summary.throughput_per_s is not None:
        found.append(f"{summary.throughput_per_s:g} queries a second")
    return "latency " + ", ".join(found) if found else "nothing that can be read"
