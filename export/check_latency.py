"""The lines of a check about time: beside a baseline on this machine, and on a machine by name."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ..models.errors import BadInput
from .check_reference import by_names
from .check_report import Fail, Line, Skip
from .check_subject import Subject
from .int8_speed import MACHINES
from .machine_fingerprint import machine_fingerprint
from .one_call import one_call
from .paired_latency import FEWEST_ROUNDS, Estimate, Paired, paired_latency
from .ports import fits, ports
from .runtime import open_session
from .timed_turns import TooSlow, Turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .contract import Latency

    Feeds = Mapping[str, NDArray[Any]]

CANNOT_TELL = "cannot tell on this machine: "
_MEASURED: WeakKeyDictionary[Subject, Paired] = WeakKeyDictionary()
"""Both lines are about the same rounds."""


def latency(subject: Subject) -> Line:
    """The model takes no longer than its baseline, both timed in turns in this process.

    `undecided` if the interval has the limit inside, or if this machine does not run the file as
    its target does.
    """
    asked = _asked(subject)
    expected = f"at most {asked.max_ratio:g} times as long as {Path(asked.baseline).name}"
    try:
        found = _measured(subject, asked)
    except CannotTell as reason:
        return _undecided("latency", str(reason), expected)
    if found.ratio is None or found.control is None or found.p50_ms is None:
        return _undecided("latency", _too_few(found), expected)
    baseline_ms, candidate_ms = found.p50_ms
    return Line(
        name="latency",
        verdict=found.ratio.against(asked.max_ratio),
        found=_told("ratio ", found.ratio, asked.max_ratio, found),
        expected=expected,
        why=_basis(asked, found),
        figures={
            **_ends("ratio", found.ratio),
            **_ends("control", found.control),
            "max_ratio": asked.max_ratio,
            "baseline_ms": baseline_ms,
            "candidate_ms": candidate_ms,
            "rounds": found.rounds,
            "seconds": found.seconds,
        },
    )


def latency_max_ms(subject: Subject) -> Line:
    """The model takes no longer than the contract's time, on the machine that the time is for."""
    asked = _asked(subject)
    if asked.max_ms is None or asked.machine is None:
        raise Skip("the contract sets no max_ms")
    here = machine_fingerprint()
    if here != asked.machine:
        raise Skip(f"max_ms is for {asked.machine}; this is {here}")
    expected = f"at most {asked.max_ms:g} ms, {_threads(asked.threads)}"
    try:
        found = _measured(subject, asked)
    except CannotTell as reason:
        return _undecided("latency.max_ms", str(reason), expected)
    if found.candidate_ms is None:
        return _undecided("latency.max_ms", _too_few(found), expected)
    return Line(
        name="latency.max_ms",
        verdict=found.candidate_ms.against(asked.max_ms),
        found=_told("", found.candidate_ms, asked.max_ms, found, unit=" ms"),
        expected=expected,
        why=f"on {here}",
        figures={
            **_ends("ms", found.candidate_ms),
            "max_ms": asked.max_ms,
            "rounds": found.rounds,
            "seconds": found.seconds,
        },
    )


class CannotTell(Exception):
    """Why nothing could be timed that would say something."""


def look_over_baseline(asked: Latency | None) -> None:
    """`BadInput` if the contract's baseline cannot be opened: the caller's mistake, no line's."""
    if asked is not None:
        ports(open_session(Path(asked.baseline)))


def _asked(subject: Subject) -> Latency:
    if subject.contract.latency is None:
        raise Skip("the contract has no [check.latency]")
    return subject.contract.latency


def _measured(subject: Subject, asked: Latency) -> Paired:
    """The rounds, timed once for both lines."""
    if subject in _MEASURED:
        return _MEASURED[subject]
    if why := _not_here(subject.target):
        raise CannotTell(why)
    own, theirs = _feeds(subject, Path(asked.baseline))
    turns = Turns(
        baseline=Path(asked.baseline),
        candidate=subject.path,
        baseline_feeds=theirs,
        candidate_feeds=own,
        threads=asked.threads,
        target=subject.target,
        seconds=asked.seconds,
    )
    try:
        _MEASURED[subject] = paired_latency(
            turns.round,
            max_ratio=asked.max_ratio,
            max_ms=asked.max_ms if asked.machine == machine_fingerprint() else None,
            seconds=asked.seconds,
            confidence=asked.confidence,
        )
    except TooSlow as reason:
        raise CannotTell(str(reason)) from reason
    return _MEASURED[subject]


def _not_here(target: str | None) -> str:
    """Why a time on this machine says nothing about `target`; "" if it does."""
    if target == "tensorrt":
        return (
            "the file is for TensorRT, and this is ONNX Runtime; `edgestill profile` times it"
            " on a device"
        )
    machine = platform.machine()
    if target is not None and machine not in MACHINES[target]:
        return f"the file is for {target}, and this is {machine}"
    return ""


def _feeds(subject: Subject, baseline: Path) -> tuple[Feeds, Feeds]:
    """The inputs of one call, for the model and for its baseline: the same numbers."""
    model, theirs = subject.ports, ports(open_session(baseline))
    samples = subject.samples
    try:
        given = by_names(samples, {port.name for port in theirs.inputs})
        fits(theirs, given)
    except BadInput as error:
        raise Fail(f"the baseline does not take the same inputs: {error}") from error
    rows = {size for size in (model.batch, theirs.batch) if size != "free"} or {1}
    if len(rows) > 1:
        raise Fail(
            "the baseline does not take the same inputs: its batch axis is"
            f" {theirs.batch or 'none'}, the model's {model.batch or 'none'}"
        )
    (size,) = rows
    return one_call(model, samples, size), one_call(theirs, given, size)


def _undecided(name: str, reason: str, expected: str) -> Line:
    return Line(name=name, verdict="undecided", found=CANNOT_TELL + reason, expected=expected)


def _too_few(found: Paired) -> str:
    return (
        f"{found.rounds} rounds in {found.seconds:.3g} s, and {FEWEST_ROUNDS} are needed;"
        " give it more seconds"
    )


def _told(what: str, figure: Estimate, limit: float, found: Paired, unit: str = "") -> str:
    undecided = figure.against(limit) == "undecided"
    return (
        f"{CANNOT_TELL * undecided}{what}{figure}{unit} after {found.seconds:.2g} s"
        f" and {found.rounds} rounds"
    )


def _basis(asked: Latency, found: Paired) -> str:
    """What the ratio is of, and what makes its interval wide."""
    if found.p50_ms is None:
        return ""
    clock = "processor time, " if asked.threads == 1 else ""
    text = (
        f"{clock}{_threads(asked.threads)}; by the clock {found.p50_ms[1]:.3g} ms against"
        f" {found.p50_ms[0]:.3g} ms"
    )
    if found.disturbed:
        text += f"; the baseline against itself is {found.control}, so the interval is wider"
    return text


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def _ends(name: str, figure: Estimate) -> dict[str, float]:
    """ratio, low and high; those of another figure under its name."""
    prefix = "" if name == "ratio" else f"{name}_"
    return {name: figure.value, f"{prefix}low": figure.low, f"{prefix}high": figure.high}
