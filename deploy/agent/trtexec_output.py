"""What trtexec says, as numbers: its summary on the terminal, and the files it exports.

All of it is text from another program, maybe cut off: a figure that cannot be read, or that
contradicts its neighbours, is absent; a file that is damaged is refused as a whole.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from .trtexec_flags import Version

MOST_LINES = 20_000
LONGEST_LINE = 2_000
STAMP = re.compile(r"^\[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\] \[(.)\] ?")
NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]\d+)?)"
ROWS = {
    "Latency": "latency",
    "End-to-End Host Latency": "end_to_end",
    "Enqueue Time": "enqueue",
    "H2D Latency": "h2d",
    "GPU Compute Time": "compute",
    "D2H Latency": "d2h",
}
ROW = re.compile(rf"^({'|'.join(ROWS)}): (.*)$")
FIGURE = re.compile(r"^(min|max|mean|median|percentile\((\d+)%\)) = " + NUMBER + r" ms$")
RISING = ("min", "median", "p90", "p95", "p99", "max")
SINGLE = {
    "throughput_per_s": re.compile(r"^Throughput: " + NUMBER + r" qps$"),
    "walltime_s": re.compile(r"^Total Host Walltime: " + NUMBER + r" s$"),
    "compute_s": re.compile(r"^Total GPU Compute Time: " + NUMBER + r" s$"),
    "sm_count": re.compile(r"^SMs: (\d{1,4})$"),
    "clock_ghz": re.compile(r"^(?:Application )?Compute Clock Rate: " + NUMBER + r" GHz$"),
}
DEVICE = re.compile(r"^Selected Device: (.{1,200})$")
OPTION = re.compile(r"^(Data transfers|Spin-wait|CUDA Graph|ExposeDMA): (Enabled|Disabled)$")
OPTIONS = {
    "Data transfers": "transfers",
    "Spin-wait": "spin_wait",
    "CUDA Graph": "cuda_graph",
    "ExposeDMA": "one_at_a_time",
}
WARNINGS = (
    ("unstable", "GPU compute time is unstable"),
    ("enqueue-bound", "Throughput may be bound by Enqueue Time"),
    ("h2d-bound", "Throughput may be bound by host-to-device transfers"),
    ("d2h-bound", "Throughput may be bound by device-to-host transfers"),
    ("no-cuda-graph", "not permitted under CUDA graph capture"),
    ("no-cuda-graph", "CUDA graph capture on the stream has failed"),
)
NO_DEVICE = (
    "no CUDA-capable device",
    "CUDA initialization failure",
    "Cannot find any available devices",
    "CUDA driver version is insufficient",
)
HEADER = re.compile(r"^&&&& (RUNNING|PASSED|FAILED) TensorRT\.trtexec(?: \[TensorRT v(\d{4,6})\])?")
QUERY_KEYS = (
    "startEnqMs",
    "endEnqMs",
    "startH2dMs",
    "endD2hMs",
    "startComputeMs",
    "h2dMs",
    "computeMs",
    "d2hMs",
    "latencyMs",
)


@dataclass
class Summary:
    """One run of trtexec by its own words; None or absent: not said, or not to be believed."""

    version: Version | None = None
    passed: bool | None = None
    """None: no footer, as when it was killed."""
    device: str | None = None
    no_device: bool = False
    """It found no GPU that it can use."""
    sm_count: int | None = None
    clock_ghz: float | None = None
    throughput_per_s: float | None = None
    walltime_s: float | None = None
    compute_s: float | None = None
    rows_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    """Of latency, compute, ...: min, max, mean, median, p90, p95, p99, as far as they are there."""
    options: dict[str, bool] = field(default_factory=dict)
    """What it took: transfers, spin_wait, cuda_graph, one_at_a_time."""
    warnings: list[str] = field(default_factory=list)
    """Of WARNINGS."""
    errors: list[str] = field(default_factory=list)
    """Its last [E] lines, without their time."""


@dataclass(frozen=True)
class Query:
    """One timed inference; instants are on trtexec's own clock, by the device's events."""

    start_ms: float
    start_compute_ms: float
    end_ms: float
    latency_ms: float
    """Input copy, computing and output copy: trtexec's definition."""
    h2d_ms: float
    compute_ms: float
    d2h_ms: float
    enqueue_ms: float


def parse_summary(text: str) -> Summary:
    """What the output of one run says.

    >>> parse_summary("[04/07/2025-23:59:50] [I] Throughput: 691.435 qps").throughput_per_s
    691.435
    """
    summary = Summary()
    lines = text.split("\n")
    # The header and the device are at its start, the figures at its end.
    for line in lines if len(lines) <= MOST_LINES else [*lines[:1000], *lines[1000 - MOST_LINES :]]:
        _take(summary, line[:LONGEST_LINE].rstrip("\r"))
    summary.errors = summary.errors[-3:]
    return summary


def version_of(digits: str) -> Version | None:
    """The version that a header's digits stand for: four up to TensorRT 9, six after.

    >>> version_of("8502"), version_of("100900"), version_of("12345")
    ((8, 5, 2), (10, 9, 0), None)
    """
    value = int(digits)
    if len(digits) == 4:
        return value // 1000, value // 100 % 10, value % 100
    if len(digits) == 6:
        return value // 10000, value // 100 % 100, value % 100
    return None


def parse_times(text: str) -> list[Query]:
    """The queries that --exportTimes wrote, in running order; those of the warm-up too, on 8.2.

    Raises:
        ValueError: it is cut off, a key is missing, or the numbers of a query cannot be right.
    """
    try:
        # As tuples at once: as dictionaries 100,000 queries would take 100 MB of a small board.
        content = json.loads(text, object_pairs_hook=_query, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, list) or not all(isinstance(item, Query) for item in content):
        raise ValueError("it is no list of queries")
    for earlier, later in zip(content, content[1:]):
        if later.start_ms < earlier.start_ms:
            raise ValueError("its queries are not in running order")
    return content


def parse_profile(text: str) -> list[dict[str, Any]]:
    """[{"name", "ms"}]: the mean time of each layer, as --exportProfile wrote it.

    Raises:
        ValueError: it is cut off, or an entry is not such a layer.
    """
    try:
        content = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        raise ValueError("it is no list of layers")
    if not isinstance(content[0].get("count"), int) or content[0]["count"] < 1:
        raise ValueError("it does not begin with a count of runs")
    layers = []
    for entry in content[1:]:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise ValueError("a layer has no name")
        layers.append({"name": entry["name"], "ms": _milliseconds(entry, "averageMs")})
    return layers


def _take(summary: Summary, line: str) -> None:
    if any(words in line for words in NO_DEVICE):
        summary.no_device = True
    stamp = STAMP.match(line)
    said = line[stamp.end() :] if stamp else line
    header = HEADER.match(line)
    if header is not None:
        if header.group(1) != "RUNNING":
            summary.passed = header.group(1) == "PASSED"
        if header.group(2):
            summary.version = version_of(header.group(2))
    elif stamp is not None and stamp.group(1) == "E":
        summary.errors.append(said.strip()[:300])
    elif stamp is not None and stamp.group(1) == "W":
        for kind, words in WARNINGS:
            if words in said and kind not in summary.warnings:
                summary.warnings.append(kind)
    else:
        _take_figure(summary, said.strip())


def _take_figure(summary: Summary, said: str) -> None:
    row, option, device = ROW.match(said), OPTION.match(said), DEVICE.match(said)
    if row is not None:
        figures = _figures(row.group(2))
        if figures:
            summary.rows_ms[ROWS[row.group(1)]] = figures
    elif option is not None:
        summary.options[OPTIONS[option.group(1)]] = option.group(2) == "Enabled"
    elif device is not None:
        summary.device = device.group(1).strip()
    else:
        for name, pattern in SINGLE.items():
            found = pattern.match(said)
            if found is not None:
                value = float(found.group(1))
                if math.isfinite(value):
                    setattr(summary, name, int(value) if name == "sm_count" else value)


def _figures(text: str) -> dict[str, float]:
    """min, max, ... of one row; {} where one is missing, cannot be read or contradicts another."""
    figures: dict[str, float] = {}
    parts = text.split(", ")
    for part in parts:
        found = FIGURE.match(part)
        if found is None:
            return {}
        name = f"p{int(found.group(2))}" if found.group(2) else found.group(1)
        figures[name] = float(found.group(3))
    # A row with a hole may have one figure's number under another's name.
    if tuple(figures)[:4] != ("min", "max", "mean", "median") or len(figures) != len(parts):
        return {}
    rising = [figures[name] for name in RISING if name in figures]
    if rising != sorted(rising) or not all(math.isfinite(each) for each in rising):
        return {}
    return figures if figures["min"] <= figures["mean"] <= figures["max"] else {}


def _query(pairs: list[tuple[str, Any]]) -> Query:
    given = dict(pairs)
    start_enqueue, end_enqueue, start, end, start_compute, h2d, compute, d2h, latency = (
        _milliseconds(given, key) for key in QUERY_KEYS
    )
    # Each was rounded to six digits when it was written, the sum from what was not.
    if abs(h2d + compute + d2h - latency) > 1e-4 * latency + 1e-4:
        raise ValueError(f"a query of {latency} ms has parts that do not add up to it")
    # Longer is possible: the host may pause between queueing the copy and the computing.
    if latency - (end - start) > 1e-3 * latency + 2e-5 * end + 0.01:
        raise ValueError(f"a query of {latency} ms lasts from {start} to {end} ms")
    return Query(
        start, start_compute, end, latency, h2d, compute, d2h, max(0.0, end_enqueue - start_enqueue)
    )


def _milliseconds(given: dict[str, Any], key: str) -> float:
    value = given.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{key} is missing or no number")
    if not 0 <= value < 1e9:  # NaN fails this, too
        raise ValueError(f"{key} is {value}")
    return float(value)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no time")
