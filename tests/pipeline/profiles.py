"""Profiles as a device would give them, with figures that follow from their samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgestill.deploy.agent.stats import summary_ms
from edgestill.deploy.measurement import Flag, Measurement, Profile, Slice

RUNS = 60
BOARD: dict[str, Any] = {
    "fingerprint": "0123456789abcdef",
    "machine": "x86_64",
    "device": "Test board",
    "cpu": {"model": "Test CPU", "cores_online": 2},
}
CONDITIONS: dict[str, Any] = {
    "before": {"thermal": [{"name": "cpu", "celsius": 41.0}]},
    "after": {"thermal": [{"name": "cpu", "celsius": 47.5}, {"name": "soc", "celsius": 44.0}]},
}


def measurement(
    label: str,
    rounds_ms: Sequence[float] | npt.NDArray[np.float64] = (1.0,),
    *,
    rounds_mj: Sequence[float] | None = None,
    flags: Sequence[Flag] = (),
    **changes: Any,
) -> Measurement:
    """A case whose round r took rounds_ms[r] (its p50) and rounds_mj[r] an inference.

    Its windows lie 2 s apart and are 1 s long. Samples are spread by 1 %, with one of 1.5 times.
    """
    noise = np.random.default_rng(0).normal(1, 0.01, RUNS - 1)
    own = [middle * np.append(noise / np.median(noise), 1.0) for middle in rounds_ms]
    samples = [np.append(each[:-1], 1.5 * each[0]) for each in own]
    taken = tuple(
        Slice(
            round=turn,
            start_s=2.0 * turn,
            stop_s=2.0 * turn + 1,
            runs=RUNS,
            p50_ms=float(rounds_ms[turn]),
            device_p50_ms=None,
            energy_mj=None if rounds_mj is None else rounds_mj[turn],
            yardstick_ms=None,
            earlier=False,
        )
        for turn in range(len(rounds_ms))
    )
    every = np.concatenate(samples)
    energy = None if rounds_mj is None else float(np.mean(rounds_mj))
    facts: dict[str, Any] = {
        "target": "local",
        "label": label,
        "engine": "onnxruntime",
        "engine_version": "1.32.0",
        "provider": "CPUExecutionProvider",
        "engine_facts": {},
        "precision": "as-file",
        "dla_core": None,
        "model_sha256": "ab" * 32,
        "model_bytes": 1000,
        "batch": 1,
        "threads": 1,
        "power_mode": None,
        "clocks_locked": None,
        "latency_ms": summary_ms([round(1e6 * each) for each in every]),
        "device_ms": None,
        "samples_ms": tuple(every.tolist()),
        "device_samples_ms": None,
        "slices": taken,
        "runs": len(every),
        "window_s": float(len(rounds_ms)),
        "load_ms": 5.0,
        "first_ms": 2.0,
        "warmup_runs": 50,
        "warmup_s": 0.5,
        "settled": True,
        "throughput_per_s": 1000 / float(every.mean()),
        "spread": 0.01,
        "drift": 0.0,
        "layers": None,
        "energy_mj": energy,
        "energy_above_idle_mj": None if energy is None else energy / 2,
        "energy_bound_mj": None if energy is None else energy / 50,
        "energy_rails_mj": None if energy is None else {"VDD_IN": energy},
        "energy_samples": None if energy is None else 40,
        "power_mw": None if energy is None else 1000 * energy / float(every.mean()),
        "idle_power_mw": None if energy is None else 4200.0,
        "energy_source": "no meter here" if energy is None else "INA3221 in sysfs",
        "energy_rule": None if energy is None else "VDD_IN",
        "flags": tuple(flags),
        "conditions": CONDITIONS,
    }
    return Measurement(**{**facts, **changes})


def profile(
    *measurements: Measurement, power: bool = False, board: Mapping[str, Any] = BOARD
) -> Profile:
    """The profile of these cases; `power`: with a trace over their windows."""
    trace = None
    if power:
        seconds = np.arange(-1, max(each.slices[-1].stop_s for each in measurements), 0.1)
        trace = {"t_s": seconds.tolist(), "mw": (5000 + 2000 * (seconds > 0)).tolist()}
    return Profile(
        target=measurements[0].target,
        measurements=measurements,
        board=dict(board),
        power=trace,
        settings={"power_mode": None, "clocks_locked": False},
        earlier_slices=0,
    )
