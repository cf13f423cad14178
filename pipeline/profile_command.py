"""`edgestill profile`: files timed in turns where they run, with energy and all doubts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import BadInput
from .console import shown

if TYPE_CHECKING:
    from ..deploy.measurement import Profile
    from ..deploy.session import Case
    from .profile_results import Results

ROUNDS = 7
"""Of several cases, unless told otherwise: enough for an interval of their ratio."""


def profile_command(
    models: Sequence[Path],
    *,
    on: str = "local",
    engine: str = "onnxruntime",
    provider: str | None = None,
    batch: str = "1",
    precision: str = "as-file",
    power_mode: str | None = None,
    lock_clocks: bool = False,
    strict: bool = False,
    threads: int | None = None,
    seconds: float = 2.0,
    runs: int = 200,
    rounds: int | None = None,
    layers: bool = False,
    out: Path | None = None,
    csv: Path | None = None,
    as_json: bool = False,
) -> None:
    """Measure and tell. What was measured before something failed is told as well.

    `batch`, `precision` and `power_mode` may list several values: "1,8".
    """
    from .profile_cases import cases_of

    precisions, batches = split("--precision", precision), _batches(batch)
    modes: list[str | None] = [None]
    if power_mode is not None:
        modes = list(split("--power-mode", power_mode))
    cases = cases_of(
        models,
        engine=engine,
        provider=provider,
        precisions=precisions,
        batches=batches,
        threads=threads,
    )
    taken: list[Profile] = []
    try:
        with shown(quiet=as_json):
            _measure(
                taken,
                cases,
                modes,
                on=on,
                rounds=rounds or (ROUNDS if len(cases) > 1 else 1),
                seconds=seconds,
                min_runs=runs,
                layers=layers,
                lock_clocks=lock_clocks,
                strict=strict,
            )
    finally:
        if taken:
            results = _results(taken, cases, precisions=len(precisions), batches=len(batches))
            _tell(results, out, csv, as_json)


def split(option: str, text: str) -> tuple[str, ...]:
    """The values of a list like "15W,25W", each once.

    Raises:
        BadInput: one is empty or stands twice.
    """
    values = tuple(value.strip() for value in text.split(","))
    if not all(values) or len(set(values)) < len(values):
        raise BadInput(f"{option} {text}: expected values between commas, each once")
    return values


def _batches(text: str) -> tuple[int, ...]:
    values = split("--batch", text)
    if not all(value.isascii() and value.isdecimal() and int(value) > 0 for value in values):
        raise BadInput(f"--batch {text}: expected whole numbers from 1, as 1,8")
    return tuple(map(int, values))


def _measure(
    taken: list[Profile],
    cases: Sequence[Case],
    modes: Sequence[str | None],
    *,
    on: str,
    rounds: int,
    seconds: float,
    min_runs: int,
    layers: bool,
    lock_clocks: bool,
    strict: bool,
) -> None:
    """Add a profile for each power mode to `taken`, over one connection."""
    from ..deploy.session import open_device
    from .measuring import told

    with open_device(on) as device:
        for mode in modes:
            taken.append(
                device.profile(
                    cases,
                    rounds=rounds,
                    seconds=seconds,
                    min_runs=min_runs,
                    layers=layers,
                    power_mode=mode,
                    lock_clocks=lock_clocks,
                    strict=strict,
                    on_progress=told(f"profile {mode}" if mode else "profile"),
                )
            )


def _results(
    taken: Sequence[Profile], cases: Sequence[Case], *, precisions: int, batches: int
) -> Results:
    from .known_accuracy import known_accuracy
    from .profile_results import Results

    return Results(
        profiles=tuple(taken),
        models=tuple(case.model for case in cases),
        accuracy=tuple(known_accuracy(case.model) for case in cases),
        precisions=precisions,
        batches=batches,
    )


def _tell(results: Results, out: Path | None, csv: Path | None, as_json: bool) -> None:
    from .profile_files import results_json, write_csv, write_results
    from .profile_table import profile_table

    if out is not None:
        write_results(results, out)
        print(f"wrote {out}", file=sys.stderr)
    if csv is not None:
        write_csv(results, csv)
    if as_json:
        print(json.dumps(results_json(results), allow_nan=False))
    else:
        profile_table(results)
