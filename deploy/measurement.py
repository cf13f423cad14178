"""What one measurement says; a figure that was not measured is None, never 0."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .wire import Result


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One model on one device, as `edgestill profile` gives it."""

    target: str
    engine: str
    engine_version: str
    provider: str
    model_sha256: str
    batch: int
    threads: int | None
    """None: as many as the engine takes by itself."""
    latency_ms: dict[str, float]
    """p50, p90, p95, p99, mean, min, max of one inference (one batch); deploy/agent/stats.py."""
    samples_ms: tuple[float, ...]
    """Every timed run, in running order."""
    runs: int
    window_s: float
    load_ms: float
    """Opening the model; the runtime's own import is not in it."""
    first_ms: float
    """The first inference after loading."""
    warmup_runs: int
    warmup_s: float
    settled: bool
    """Whether the time per run had settled when the timed window opened."""
    throughput_per_s: float
    """Images per second over the window, one batch after the other."""
    spread: float
    """Standard deviation over mean; 0.01 for one percent."""
    drift: float
    """How much slower the window's second half was, by medians; 0.1 for 10 %."""
    energy_mj: float | None
    """Of one inference: all that the meter counted in the window, over its runs."""
    energy_above_idle_mj: float | None
    """The same less the idle baseline, which can be lost in noise and then fall below nought."""
    power_mw: float | None
    idle_power_mw: float | None
    energy_source: str
    """What was metered; or why nothing could be."""
    notes: tuple[str, ...]
    """What a reader must know before believing the numbers."""
    conditions: dict[str, Any]
    """Load average, clock and temperatures `before` and `after`."""
    board: dict[str, Any]
    """What the device is; `fingerprint` stands for hardware and clock settings."""

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON takes it."""
        return {**asdict(self), "samples_ms": list(self.samples_ms), "notes": list(self.notes)}


def measurement_from(
    result: Result, *, target: str, batch: int, threads: int | None
) -> Measurement:
    """The measurement that a checked `result` line holds."""
    return Measurement(
        target=target,
        engine=result.engine.name,
        engine_version=result.engine.version,
        provider=result.engine.provider,
        model_sha256=result.model.sha256,
        batch=batch,
        threads=threads,
        latency_ms=result.latency_ms.model_dump(),
        samples_ms=tuple(nanoseconds / 1e6 for nanoseconds in result.samples_ns),
        runs=result.runs,
        window_s=result.window_s,
        load_ms=result.load_ms,
        first_ms=result.first_ms,
        warmup_runs=result.warmup.runs,
        warmup_s=result.warmup.seconds,
        settled=result.warmup.settled,
        throughput_per_s=result.throughput_per_s,
        spread=result.spread,
        drift=result.drift,
        energy_mj=result.energy.energy_mj,
        energy_above_idle_mj=result.energy.above_idle_mj,
        power_mw=result.energy.power_mw,
        idle_power_mw=result.energy.idle_power_mw,
        energy_source=result.energy.source,
        notes=tuple(result.notes),
        conditions=result.conditions.model_dump(),
        board=result.board.model_dump(),
    )
