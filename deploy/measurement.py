"""What one measurement says; a figure that was not measured is None, never 0."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A reason to doubt the figures; deploy/agent/trust.py."""

    kind: str
    text: str
    remedy: str | None
    grave: bool
    """A strict measurement is refused for it."""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """One timed window of one case. The cases of a measurement take turns, one slice a round."""

    round: int
    start_s: float
    stop_s: float
    """Since the measurement began; the windows of `Profile.power` on the same axis."""
    runs: int
    p50_ms: float
    device_p50_ms: float | None
    energy_mj: float | None
    """Of one inference."""
    yardstick_ms: tuple[float, float] | None
    """What a run of the yardstick took right before the window and right after; None without."""
    earlier: bool
    """Measured by an earlier call that was cut off; its times are on that call's axis."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One model under one setting on one device, as `edgestill profile` gives it."""

    target: str
    label: str
    engine: str
    engine_version: str
    provider: str
    """Where it really ran."""
    engine_facts: dict[str, Any]
    precision: str
    dla_core: int | None
    model_sha256: str
    model_bytes: int
    batch: int
    threads: int | None
    """None: as many as the engine takes by itself."""
    power_mode: str | None
    """The board's at the end; None where there are none."""
    clocks_locked: bool | None
    """Whether the clocks were pinned during the measurement; None where it cannot be read."""
    latency_ms: dict[str, float]
    """p50, p90, p95, p99, mean, min, max of one inference (one batch), host time."""
    device_ms: dict[str, float] | None
    """The same of the device time, by the runtime's own events."""
    samples_ms: tuple[float, ...]
    """Every timed run, in running order."""
    device_samples_ms: tuple[float, ...] | None
    slices: tuple[Slice, ...]
    runs: int
    window_s: float
    load_ms: float
    """Opening the model (with the build of an engine); the runtime's own import is not in it."""
    first_ms: float
    """The first inference after loading."""
    warmup_runs: int
    warmup_s: float
    settled: bool
    """Whether the time per run had settled when the timed window opened."""
    throughput_per_s: float
    """Images per second over the windows, one batch after the other."""
    spread: float
    """Standard deviation over mean; 0.01 for one percent."""
    drift: float
    """How much slower the second half of the runs was, by medians; 0.1 for 10 %."""
    layers: tuple[dict[str, Any], ...] | None
    """[{"name", "ms", ...}] from a pass of its own; None where none was asked for or given."""
    energy_mj: float | None
    """Of one inference: all that the meter counted in the windows, over their runs."""
    energy_above_idle_mj: float | None
    """The same less the idle baseline, which can be lost in noise and then fall below nought."""
    energy_bound_mj: float | None
    """How far `energy_mj` may be off by the meter's quantisation and sampling."""
    energy_rails_mj: dict[str, float] | None
    energy_samples: int | None
    """Readings of the meter inside the windows."""
    power_mw: float | None
    idle_power_mw: float | None
    energy_source: str
    """What was metered; or why nothing could be."""
    energy_rule: str | None
    """How the total was chosen among the rails."""
    flags: tuple[Flag, ...]
    """What a reader must know before believing the numbers."""
    conditions: dict[str, Any]
    """Load, clocks, temperatures, power mode and throttle counters `before` and `after`."""

    @property
    def celsius(self) -> float | None:
        """The hottest sensor at the end."""
        return max((zone["celsius"] for zone in self.conditions["after"]["thermal"]), default=None)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON takes it."""
        found: dict[str, Any] = _plain(asdict(self))
        return found


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What one call measured: its cases took turns under one board setting."""

    target: str
    measurements: tuple[Measurement, ...]
    """In the order in which the cases were given."""
    board: dict[str, Any]
    """What the device is; `fingerprint` stands for hardware and clock settings."""
    power: dict[str, list[float]] | None
    """{"t_s", "mw"}: the total power while it lasted; None for meters that count energy."""
    settings: dict[str, Any]
    """What was set on the board for it, {"power_mode", "clocks_locked"}, and set back after it."""
    earlier_slices: int
    """How many slices an earlier call, cut off, had measured."""


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
