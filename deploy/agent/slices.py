"""One timed window as a line, and what all windows of a case come to."""

from __future__ import annotations

from typing import Any, Sequence

from .stats import drift, spread, summary_ms
from .timing import Window


def slice_of(
    case: int,
    turn: int,
    window: Window,
    origin_ns: int,
    energy: dict[str, Any] | None,
    yardstick_ns: list[int] | None = None,
) -> dict[str, Any]:
    """The content of a `slice` line: window `turn` of case number `case`.

    Times are seconds since `origin_ns`; `energy` is what the meter counted in the window,
    `yardstick_ns` what a run of the yardstick took right before it and right after.
    """
    return {
        "case": case,
        "round": turn,
        "start_s": (window.start_ns - origin_ns) / 1e9,
        "stop_s": (window.stop_ns - origin_ns) / 1e9,
        "samples_ns": window.samples_ns,
        "device_ns": window.device_ns,
        "energy": energy,
        "yardstick_ns": yardstick_ns,
    }


def figures(slices: Sequence[dict[str, Any]], batch: int) -> dict[str, Any]:
    """Latency, throughput and energy of one case over all its slices, in running order.

    Energy is null unless every slice has it: a mean over some windows would be of other runs than
    the latency. Its `bound_mj` is that of the total, `energy_mj`, not of `above_idle_mj`: the idle
    power is a reading of its own, with an error that is not in the bound.
    """
    samples = [sample for each in slices for sample in each["samples_ns"]]
    device = [sample for each in slices for sample in each["device_ns"] or ()]
    seconds = sum(each["stop_s"] - each["start_s"] for each in slices)
    return {
        "runs": len(samples),
        "window_s": seconds,
        "latency_ms": summary_ms(samples),
        "device_ms": summary_ms(device) if len(device) == len(samples) else None,
        "spread": spread(samples),
        "drift": drift(samples),
        "throughput_per_s": batch * len(samples) / seconds,
        "energy": _energy([each["energy"] for each in slices], len(samples), seconds),
    }


def _energy(
    read: Sequence[dict[str, Any] | None], runs: int, seconds: float
) -> dict[str, Any] | None:
    known = [each for each in read if each is not None]
    if len(known) < len(read):
        return None
    used_mj = sum(each["used_mj"] for each in known)
    idle_mj = [each["idle_mj"] for each in known if each["idle_mj"] is not None]
    above_mj = (used_mj - sum(idle_mj)) / runs if len(idle_mj) == len(known) else None
    # A rail that was not there all the time would be the energy of other runs.
    rails = [name for name in known[0]["rails_mj"] if all(name in e["rails_mj"] for e in known)]
    return {
        "energy_mj": used_mj / runs,
        "above_idle_mj": above_mj,
        "bound_mj": sum(each["bound_mj"] for each in known) / runs,
        "power_mw": used_mj / seconds,
        "samples": sum(each["samples"] for each in known),
        "rails_mj": {name: sum(each["rails_mj"][name] for each in known) / runs for name in rails},
    }
