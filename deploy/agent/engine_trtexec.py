"""NVIDIA's trtexec as an engine: it builds, it runs, and its own event times are the samples.

A sample is trtexec's latency: input copy, computing and output copy of one query, by the device's
events; the device time is the computing alone. Gaps between queries and the host's part in them are
in neither, only in the throughput, which is runs over the window.

Every verb is a process of its own, which loads the engine anew. So the first inference's time holds
the start of a process, and each window is warmed up within its own process. Windows:
    open    when the warm-up has lasted its time since trtexec said that inference starts, in the
            middle of a query: what energy is counted of it is of less than one query
    close   when trtexec says that its warm-up and timing are over; its last query is complete
    hold    the queries that began within, by trtexec's clock laid back from the close
Queries run one at a time (--exposeDMA), so that they fit into the window. Their instants are 32-bit
floats of milliseconds since the start: steps of 2 us after half a minute.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

from .engine import Engine
from .engine_cache import EngineCache, key_of, sha256
from .errors import AgentError
from .files import Files
from .inputs import fixed_sizes
from .onnx_file import read_onnx
from .power_mode import power_mode
from .programs import Programs
from .protocol import Case, Request
from .timing import BLOCK_RUNS, Tick, WarmUp, Window
from .trtexec_flags import CHOSEN, Asked, build_flags, dotted, profile_flags, run_flags
from .trtexec_output import Query, Summary, parse_profile
from .trtexec_runner import (
    END_LIMIT_S,
    OVER,
    STARTED,
    Runner,
    ended_early,
    ended_well,
    queries_in,
    timing_over,
)
from .trtexec_window import inside, sample_ns, settling

# To build; to load a large engine from a slow card; to say a version.
BUILD_LIMIT_S, START_LIMIT_S, SHORT_LIMIT_S = 7200, 300, 60
MOST_RUNS = 100_000  # in one window: their file has 30 MB
SPARE_S = 0.05  # a window opens late by what this machine takes to read a line


class Trtexec(Engine):
    """One engine file and the program that runs it."""

    name = "trtexec"

    def __init__(self, case: Case, request: Request, root: Path) -> None:
        """Ask trtexec for its version and device. Raises AgentError: there is none, or no GPU."""
        super().__init__()
        self._case, self._request, self._root = case, request, root
        path = Programs(root).find("trtexec")
        if path is None:
            raise AgentError(
                "missing",
                "no trtexec in /usr/src/tensorrt/bin or the usual folders; install it with:"
                " sudo apt-get install libnvinfer-bin",
            )
        self._runner = Runner(path)
        self._folder: Path | None = None
        self._asked: Asked | None = None
        self._engine = ""
        self._warm: WarmUp | None = None
        self._warm_up_ms = 200  # trtexec's own
        self._version = self._runner.version(SHORT_LIMIT_S)
        self.version = dotted(self._version)
        # It fails, for there is no such engine, but says on what GPU: part of the cache's key.
        device = self._runner.said(["--loadEngine=/nonexistent"], SHORT_LIMIT_S)
        if device.no_device:
            raise AgentError(
                "device", f"trtexec {self.version} is here, but no CUDA device that it can use"
            )
        gpu = device.device or "GPU"
        self.provider = gpu if case.dla_core is None else f"DLA {case.dla_core} of {gpu}"
        self.facts.update(
            version=self.version,
            sm_count=device.sm_count,
            clock_mhz=None if device.clock_ghz is None else device.clock_ghz * 1000,
            transfers="included",
            spin_wait=CHOSEN["spin_wait"],
            cuda_graph=CHOSEN["cuda_graph"],
            queries="one at a time",
            input="random, trtexec's own",
            warnings=[],
        )

    def load(self) -> None:
        """Build the engine, or take the one that was built here before under the same conditions.

        Raises:
            AgentError: the model cannot be read or built as asked.
        """
        case = self._case
        self._folder = Path(tempfile.mkdtemp(prefix="edgestill-trtexec-"))
        onnx = read_onnx(Path(case.model))
        sizes = {name: fixed_sizes(name, axes, case.batch) for name, axes in onnx.inputs.items()}
        self._asked = asked = Asked(self._version, case, onnx, sizes)
        kept = self._request.state_dir
        cache = EngineCache(Path(kept) / "engines" if kept else self._folder)
        mode = power_mode(Files(self._root), Programs(self._root))
        # Timings of one power mode choose badly in another.
        setting = key_of({"mode": mode, "sms": self.facts["sm_count"], "gpu": self.provider})
        timings = str(cache.folder / f"timing-{self.version}-{setting}.cache") if kept else None
        parts = {
            "builder": "trtexec",
            "version": self.version,
            "model": sha256(Path(case.model)),
            "flags": build_flags(replace(asked, case=replace(case, model="")), "", None),
            "device": self.provider,
            "sm_count": self.facts["sm_count"],
            "power_mode": mode,
        }
        found = cache.find(parts)
        self.facts["cached"] = found is not None
        if cache.damaged is not None:
            self.facts["cache"] = f"built anew: {cache.damaged}"
        if found is None:
            flags = build_flags(asked, str(room := cache.room(parts)), timings)
            try:
                found = cache.keep(parts, room, self._built(flags, room))
            except OSError as error:
                raise AgentError("device", f"cannot keep the engine: {error.strerror}") from None
            finally:
                if room.exists():
                    room.unlink()
        self.facts.update(found.facts)
        self._engine = str(found.path)

    def feed(self) -> None:
        """Nothing: trtexec makes its input itself."""

    def run(self) -> None:
        """One inference in a process of its own, which starts and loads the engine."""
        self._queries(1, 0.0, time.perf_counter_ns, lambda seconds: None, START_LIMIT_S)

    def warm_up(self, clock_ns: Callable[[], int], seconds: float, tick: Tick) -> WarmUp:
        """A run in which the time per query is seen to settle, or a second one ten times as long.

        Later calls run nothing: each window warms up in its own process.
        """
        if self._warm is not None:
            return self._warm
        self._warm_up_ms = max(200, math.ceil(seconds * 1000))
        runs, start = 0, clock_ns()
        for length in (seconds, 9 * seconds):
            queries = self._queries(
                2 * BLOCK_RUNS,
                length,
                clock_ns,
                lambda gone: tick(0, gone),
                START_LIMIT_S + 20 * seconds,
            )
            runs += len(queries)
            settled, typical_ns = settling(queries, length)
            if settled or not seconds:
                break
        self._warm = WarmUp(runs, (clock_ns() - start) / 1e9, settled, typical_ns)
        return self._warm

    def window(
        self,
        clock_ns: Callable[[], int],
        *,
        seconds: float,
        min_runs: int,
        max_seconds: float,
        begin: Callable[[int], None],
        tick: Tick,
    ) -> Window:
        """One run of trtexec; `tick` gets no runs, which trtexec does not count aloud.

        Raises:
            AgentError: it failed, took longer than max_seconds, or wrote no times.
        """
        typical_s = (self._warm.typical_ns or 1e6) / 1e9 if self._warm else 1e-3
        spare = 2 + math.ceil(SPARE_S / typical_s)
        length = min(seconds, max_seconds, MOST_RUNS * typical_s)
        times = self._file("times.json")
        flags = self._run_flags(min(min_runs + spare, MOST_RUNS), length, self._warm_up_ms, times)
        with self._runner.started(flags, clock_ns) as process:
            started_ns = process.until(STARTED, clock_ns() + START_LIMIT_S * 10**9)
            if started_ns is None and process.ended:
                raise ended_early(process, clock_ns)
            if started_ns is None:
                raise AgentError("device", f"trtexec was not ready within {START_LIMIT_S} s")
            opening_ns = started_ns + self._warm_up_ms * 10**6
            if process.until(OVER, opening_ns) is not None:
                raise AgentError("device", "trtexec was done before its warm-up was over")
            if process.ended:
                raise ended_early(process, clock_ns)
            start_ns = clock_ns()
            begin(start_ns)
            # A second more: 8.2 takes whole ones.
            limit_ns = start_ns + int((max_seconds + spare * typical_s + 1) * 1e9)
            stop_ns = timing_over(process, clock_ns, limit_ns, lambda gone: tick(0, gone))
            if stop_ns is None:
                raise AgentError(
                    "device",
                    f"{self._case.label or self._case.model}: {min_runs} runs did not fit into"
                    f" {max_seconds:g} s: the device slowed down while it was measured",
                )
            summary = ended_well(process, clock_ns() + END_LIMIT_S * 10**9)
        queries = queries_in(Path(times), summary)
        timed = [query for query in queries if query.start_compute_ms >= self._warm_up_ms]
        kept = inside(timed, stop_ns - start_ns)
        samples = [sample_ns(query) for query in kept]
        device = [round(query.compute_ms * 1e6) for query in kept]
        if not samples or min(samples) <= 0:
            raise AgentError("device", "trtexec timed no query within the window")
        self._note(summary)
        return Window(samples, device if min(device) > 0 else None, start_ns, stop_ns)

    def layers(self) -> list[dict[str, Any]] | None:
        """[{"name", "ms"}] by trtexec's own profile, without a CUDA graph; None: not readable."""
        profile = self._file("profile.json")
        assert self._asked is not None
        flags = profile_flags(self._asked, self._engine, runs=20, profile=profile)
        self._runner.run(flags, self._request.max_seconds + START_LIMIT_S)
        try:
            return parse_profile(Path(profile).read_text(errors="replace"))
        except (OSError, ValueError) as error:
            self.facts["layers"] = f"trtexec's profile cannot be used: {error}"
            return None

    def close(self) -> None:
        """End what runs, and remove what a measurement without a state folder wrote."""
        self._runner.close()
        if self._folder is not None:
            shutil.rmtree(str(self._folder), ignore_errors=True)
            self._folder = None

    def _built(self, flags: list[str], room: Path) -> dict[str, Any]:
        """What to remember of a build that left its engine in `room`."""
        start = time.perf_counter()
        self._runner.run(flags, BUILD_LIMIT_S)
        if not room.is_file():
            raise AgentError("device", f"trtexec built {self._case.model}, but saved no engine")
        build_s = time.perf_counter() - start
        return {"build_s": build_s, "command": " ".join([self._runner.path, *flags])}

    def _queries(
        self,
        runs: int,
        seconds: float,
        clock_ns: Callable[[], int],
        tick: Callable[[float], None],
        limit_s: float,
    ) -> list[Query]:
        """The queries of a run in which no energy is counted."""
        times = self._file("times.json")
        with self._runner.started(self._run_flags(runs, seconds, 0, times), clock_ns) as process:
            limit_ns = clock_ns() + int(limit_s * 1e9)
            if timing_over(process, clock_ns, limit_ns, tick) is None:
                raise AgentError("device", f"trtexec did not run the model within {limit_s:g} s")
            summary = ended_well(process, clock_ns() + END_LIMIT_S * 10**9)
        self._note(summary)
        return queries_in(Path(times), summary)

    def _run_flags(self, runs: int, seconds: float, warm_up_ms: int, times: str) -> list[str]:
        assert self._asked is not None
        return run_flags(
            self._asked,
            self._engine,
            runs=runs,
            seconds=seconds,
            warm_up_ms=warm_up_ms,
            times=times,
        )

    def _note(self, summary: Summary) -> None:
        """What a reader should know of a run. Raises AgentError: it was not timed as asked."""
        for option, wanted in CHOSEN.items():
            if option != "cuda_graph" and summary.options.get(option, wanted) != wanted:
                raise AgentError("device", f"trtexec {self.version} says {option} is {not wanted}")
        seen = self.facts["warnings"]
        seen.extend(kind for kind in summary.warnings if kind not in seen)
        taken = summary.options.get("cuda_graph", True) and "no-cuda-graph" not in seen
        self.facts["cuda_graph"] = taken

    def _file(self, name: str) -> str:
        """Where trtexec is to write; what an earlier run wrote there is gone."""
        if self._folder is None:
            raise AgentError("device", "the engine is not loaded")
        path = self._folder / name
        path.unlink(missing_ok=True)
        return str(path)
