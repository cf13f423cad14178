"""Measurements from what an agent sent, once it is what was asked for and its figures add up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .agent.slices import figures
from .agent.stats import median_ns
from .errors import DeviceError
from .measurement import Flag, Measurement, Profile, Slice
from .record import printable
from .wire import CaseResult, Result, Taken


def profile_from(
    result: Result,
    taken: Sequence[Taken],
    *,
    asked: dict[str, Any],
    hashes: Sequence[str],
    target: str,
    yardstick: str | None = None,
) -> Profile:
    """The profile that a result and the slices before it hold.

    `asked` is the request as it was sent, `hashes` the sha256 of its models, `yardstick` that of
    its yardstick.

    Raises:
        DeviceError: another file or request was measured, a slice is missing, or a figure does not
            follow from the samples.
    """
    if result.request != asked or len(result.cases) != len(hashes):
        raise DeviceError("the agent measured something else than it was asked to")
    for case, sha256 in zip(result.cases, hashes, strict=True):
        if case.model.sha256 != sha256:
            raise DeviceError(f"the agent measured another file for {case.label!r}: sha256 differs")
    if (result.yardstick and result.yardstick.sha256) != yardstick:
        raise DeviceError("the agent timed another file as a yardstick: sha256 differs")
    if any((each.yardstick_ns is None) != (yardstick is None) for each in taken):
        raise DeviceError("the agent timed the yardstick beside some windows only")
    for case, wanted in zip(result.cases, asked["cases"], strict=True):
        if (case.label, case.engine.name) != (printable(wanted["label"]), wanted["engine"]):
            raise DeviceError(f"the agent answered {case.label!r} for {wanted['label']!r}")
    mode = result.conditions.after.power_mode
    if asked["power_mode"] is not None and (
        mode is None or asked["power_mode"].lower() not in (mode.name.lower(), str(mode.id))
    ):
        raise DeviceError(f"the agent did not measure in the power mode {asked['power_mode']}")
    turns = sorted((each.case, each.round) for each in taken)
    expected = [(case, turn) for case in range(len(hashes)) for turn in range(asked["rounds"])]
    if turns != expected:
        raise DeviceError(
            f"the agent sent {len(turns)} windows; expected {len(expected)}, one each"
        )
    measured = []
    for number, case in enumerate(result.cases):
        mine = sorted((each for each in taken if each.case == number), key=lambda each: each.round)
        _add_up(case, mine, asked["cases"][number]["batch"])
        if case.runs < asked["min_runs"]:
            raise DeviceError(f"the agent timed {case.runs} of {asked['min_runs']} runs")
        measured.append(_measurement(result, case, mine, asked["cases"][number], target))
    return Profile(
        target=target,
        measurements=tuple(measured),
        board=result.board.model_dump(),
        power=result.power.model_dump() if result.power else None,
        settings=result.settings,
        earlier_slices=result.earlier_slices,
    )


def _add_up(case: CaseResult, slices: Sequence[Taken], batch: int) -> None:
    """Compute every figure again from the samples and readings, with the agent's own functions."""
    told = case.model_dump()
    for name, value in figures([each.model_dump() for each in slices], batch).items():
        if not _same(value, told[name]):
            raise DeviceError(
                f"{case.label!r}: {name} is {told[name]}, its samples give {value}:"
                " the agent's figures do not add up"
            )


def _same(here: Any, there: Any) -> bool:
    """Equal but for the last digits, which another machine's arithmetic may round otherwise."""
    if isinstance(here, dict) and isinstance(there, dict):
        return here.keys() == there.keys() and all(_same(here[k], there[k]) for k in here)
    if isinstance(here, float) and isinstance(there, (int, float)):
        return math.isclose(here, there, rel_tol=1e-9, abs_tol=1e-6)
    return bool(here == there)


def _measurement(
    result: Result, case: CaseResult, slices: Sequence[Taken], asked: dict[str, Any], target: str
) -> Measurement:
    energy = case.energy
    after = result.conditions.after.model_dump()
    mode = after["power_mode"]
    device = [sample for each in slices for sample in each.device_ns or ()]
    return Measurement(
        target=target,
        label=case.label,
        engine=case.engine.name,
        engine_version=case.engine.version,
        provider=case.engine.provider,
        engine_facts=case.engine.facts,
        precision=asked["precision"],
        dla_core=asked["dla_core"],
        model_sha256=case.model.sha256,
        model_bytes=case.model.bytes,
        batch=asked["batch"],
        threads=asked["threads"],
        power_mode=mode["name"] if mode else None,
        clocks_locked=clocks_locked(after["clocks"]),
        latency_ms=case.latency_ms.model_dump(),
        device_ms=case.device_ms.model_dump() if case.device_ms else None,
        samples_ms=tuple(sample / 1e6 for each in slices for sample in each.samples_ns),
        device_samples_ms=tuple(sample / 1e6 for sample in device) if case.device_ms else None,
        slices=tuple(_slice(each) for each in slices),
        runs=case.runs,
        window_s=case.window_s,
        load_ms=case.load_ms,
        first_ms=case.first_ms,
        warmup_runs=case.warmup.runs,
        warmup_s=case.warmup.seconds,
        settled=case.warmup.settled,
        throughput_per_s=case.throughput_per_s,
        spread=case.spread,
        drift=case.drift,
        layers=tuple(layer.model_dump() for layer in case.layers) if case.layers else None,
        energy_mj=energy.energy_mj if energy else None,
        energy_above_idle_mj=energy.above_idle_mj if energy else None,
        energy_bound_mj=energy.bound_mj if energy else None,
        energy_rails_mj=energy.rails_mj if energy else None,
        energy_samples=energy.samples if energy else None,
        power_mw=energy.power_mw if energy else None,
        idle_power_mw=result.energy.idle_power_mw,
        energy_source=result.energy.source,
        energy_rule=result.energy.rule,
        flags=tuple(Flag(**flag.model_dump()) for flag in result.flags),
        conditions=result.conditions.model_dump(),
    )


def clocks_locked(clocks: Sequence[dict[str, Any]]) -> bool | None:
    """Whether every clock that tells is pinned; None where none tells."""
    told = [clock["locked"] for clock in clocks if clock["locked"] is not None]
    return all(told) if told else None


def _slice(taken: Taken) -> Slice:
    device = taken.device_ns
    return Slice(
        round=taken.round,
        start_s=taken.start_s,
        stop_s=taken.stop_s,
        runs=len(taken.samples_ns),
        p50_ms=median_ns(sorted(taken.samples_ns)) / 1e6,
        device_p50_ms=median_ns(sorted(device)) / 1e6 if device else None,
        energy_mj=taken.energy.used_mj / len(taken.samples_ns) if taken.energy else None,
        yardstick_ms=_pair_ms(taken.yardstick_ns) if taken.yardstick_ns else None,
        earlier=taken.earlier,
    )


def _pair_ms(nanoseconds: Sequence[int]) -> tuple[float, float]:
    before, after = nanoseconds
    return before / 1e6, after / 1e6
