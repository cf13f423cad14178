"""Models measured on a device, and what the device is: the agent is run, its word checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from .agent import protocol
from .agent.engines import worker_of
from .agent.errors import AgentError
from .agent.protocol import Request, checked, request_line
from .errors import DeviceError, Refused, RequestError
from .measurement import Profile
from .results import profile_from
from .target import parse_target
from .transport import Transport, transport_to
from .wire import Event, Failure, Probed, Progress, Result, Taken, event_from

__all__ = ["Case", "Device", "open_device", "probe", "profile"]

OnProgress: TypeAlias = Callable[[dict[str, str | float]], None]
PATIENCE_S = 300.0  # the longest silence borne: loading a model, or a single inference of it
BUILD_PATIENCE_S = 7500.0  # TensorRT builds an engine without a word, on a small board for long


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model under one setting of an engine; the fields of deploy/agent/protocol.py, Case."""

    model: Path
    label: str = ""
    engine: str = "onnxruntime"
    provider: str = ""
    batch: int = 1
    threads: int | None = None
    precision: str = "as-file"
    dla_core: int | None = None


class Device:
    """A device that is reached; from `open_device`."""

    def __init__(self, name: str, transport: Transport, patience_s: float | None = None) -> None:
        self.name = name
        self._transport = transport
        self._patience_s = patience_s

    def probe(self) -> dict[str, Any]:
        """What the device is, what it can measure, and what could not be read; wire_board.Board.

        Raises:
            DeviceError: the agent cannot be run there, or failed.
        """
        heard = _last(self._answer(["probe"], "", None, PATIENCE_S))
        if not isinstance(heard, Probed):
            raise DeviceError(f"the agent answered {heard.event!r} when asked what the device is")
        return heard.board.model_dump()

    def profile(
        self,
        cases: Sequence[Case],
        *,
        yardstick: Case | None = None,
        rounds: int = 1,
        seconds: float = 2.0,
        min_runs: int = 200,
        warmup_seconds: float = 0.5,
        max_seconds: float = 600.0,
        idle_seconds: float = 1.0,
        seed: int = 0,
        layers: bool = False,
        power_mode: str | None = None,
        lock_clocks: bool = False,
        strict: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Profile:
        """Latency, throughput and, where a meter is readable, energy of each case.

        The cases take turns over `rounds`. At least `min_runs` timed runs and `seconds` each, after
        a warm-up that settles. The `yardstick` is timed briefly before and after each window, so
        that windows of different calls can be compared. `on_progress` gets {phase: idle | load |
        warm-up | timing, done, total, unit}. Where the connection is lost, the same call goes on
        with what was measured.

        Raises:
            RequestError: a model or a setting cannot be used.
            DeviceError: the device or its runtime is missing, or the agent failed.
            Refused: `strict`, and the figures are not to be trusted.
        """
        request = Request(
            cases=[_case(case, str(case.model)) for case in cases],
            yardstick=_case(yardstick, str(yardstick.model)) if yardstick else None,
            rounds=rounds,
            warmup_seconds=warmup_seconds,
            seconds=seconds,
            min_runs=min_runs,
            max_seconds=max_seconds,
            idle_seconds=idle_seconds,
            seed=seed,
            layers=layers,
            power_mode=power_mode,
            lock_clocks=lock_clocks,
            strict=strict,
        )
        _check(request)  # what the agent would refuse is refused before anything is sent
        every = [*cases, *([yardstick] if yardstick else [])]
        hashes = [_sha256(case.model) for case in every]
        placed = {model: self._transport.place(model) for model in {c.model for c in every}}
        there = [asdict(_case(case, placed[case.model])) for case in every]
        asked = {
            **asdict(request),
            "cases": there[: len(cases)],
            "yardstick": there[-1] if yardstick else None,
            "state_dir": self._transport.state_dir,
        }
        asked["job"] = _job(asked, hashes)
        builds = any(worker_of(_case(case, "")) == "gpu" for case in every)
        taken: list[Taken] = []
        heard: Event | None = None
        for heard in self._answer(
            ["bench", "-"],
            request_line(checked(asked)),
            on_progress,
            BUILD_PATIENCE_S if builds else PATIENCE_S,
        ):
            if isinstance(heard, Taken):
                if len(taken) == len(cases) * rounds:
                    raise DeviceError("the agent sends more windows than it was asked for")
                taken.append(heard)
        if not isinstance(heard, Result):
            raise DeviceError(f"the agent answered {heard and heard.event!r} when asked to measure")
        found = profile_from(
            heard,
            taken,
            asked=asked,
            hashes=hashes[: len(cases)],
            target=self.name,
            yardstick=hashes[-1] if yardstick else None,
        )
        grave = [flag.text for flag in found.measurements[0].flags if flag.grave]
        if strict and grave:
            raise Refused(f"not to be trusted, and --strict was asked: {'; '.join(grave)}")
        return found

    def _answer(
        self,
        arguments: Sequence[str],
        request: str,
        on_progress: OnProgress | None,
        patience_s: float,
    ) -> Iterator[Event]:
        """The agent's slices and its last word, every line checked."""
        kept = ""
        with self._transport.start(arguments, request) as agent:
            for line in agent.lines(self._patience_s or patience_s):
                if not line.endswith(b"\n"):
                    break  # it died in the middle of a word
                event = event_from(line)
                if isinstance(event, Failure):
                    kinds = {"request": RequestError, "refused": Refused}
                    raise kinds.get(event.kind, DeviceError)(event.message)
                if isinstance(event, Progress):
                    if on_progress is not None:
                        on_progress(event.model_dump(include={"phase", "done", "total", "unit"}))
                    continue
                yield event
                if isinstance(event, Taken):
                    kept = "; what was measured is kept, and the same command goes on"
                else:
                    agent.acknowledge()
                    return
            ended = agent.last_words()
            told = "" if "same command" in ended else kept
            raise DeviceError(f"the agent ended without a result: it {ended}{told}")


@contextmanager
def open_device(target: str = "local", *, patience_s: float | None = None) -> Iterator[Device]:
    """The device that `target` names, reached once for several calls.

    `patience_s` is the longest silence borne; None: as long as each call needs.

    Raises:
        TargetError: no such device.
        DeviceError: it cannot be reached.
    """
    reached = parse_target(target)
    with transport_to(reached) as transport:
        yield Device(reached.name, transport, patience_s)


def profile(cases: Sequence[Case], *, target: str = "local", **settings: Any) -> Profile:
    """As Device.profile, on a device reached for this one call."""
    with open_device(target) as device:
        return device.profile(cases, **settings)


def probe(target: str = "local") -> dict[str, Any]:
    """As Device.probe, on a device reached for this one call."""
    with open_device(target) as device:
        return device.probe()


def _last(events: Iterator[Event]) -> Event:
    *_, last = events
    return last


def _case(case: Case, model: str) -> protocol.Case:
    return protocol.Case(**{**asdict(case), "model": model})


def _sha256(model: Path) -> str:
    if not model.is_file():
        raise RequestError(f"no model file {model}")
    with model.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _job(asked: dict[str, Any], hashes: Sequence[str]) -> str:
    """The same for the same models and settings, so that a second call goes on with the first."""
    canonical = json.dumps([asked, hashes], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def _check(request: Request) -> None:
    try:
        checked(asdict(request))
    except AgentError as error:
        raise RequestError(str(error)) from None
