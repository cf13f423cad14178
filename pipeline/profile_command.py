"""`edgestill profile`: files timed in turns where they run, with energy and all doubts."""

from __future__ import annotations

import json
import os
import sys
import tempfile
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
LARGEST_BATCH = 65_536


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
    dla_core: int | None = None,
    seconds: float = 2.0,
    warmup: float = 0.5,
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
        dla_core=dla_core,
    )
    _refuse_outputs(out, csv)
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
                warmup=warmup,
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
    found = tuple(_batch(value) for value in values)
    if len(set(found)) < len(found):
        raise BadInput(f"--batch {text}: expected values between commas, each once")
    return found


def _batch(value: str) -> int:
    digits = value.lstrip("0") if value.isascii() and value.isdecimal() else ""
    # By their count first: Python refuses to read thousands of digits.
    if not digits or len(digits) > len(str(LARGEST_BATCH)) or int(digits) > LARGEST_BATCH:
        short = value if len(value) <= 20 else f"{value[:20]}..."
        wanted = f"expected whole numbers from 1 to {LARGEST_BATCH}, as 1,8"
        raise BadInput(f"--batch {short}: {wanted}")
    return int(digits)


def _refuse_outputs(out: Path | None, csv: Path | None) -> None:
    """Nothing is left behind by it: a measurement that fails makes no files.

    Raises:
        BadInput: what is measured could not be written there.
    """
    if out is not None:
        if out.exists() and not out.is_dir():
            raise BadInput(f"--out {out} is a file; expected a folder")
        _refuse_unwritable("--out", out)
    if csv is not None:
        if csv.is_dir():
            raise BadInput(f"--csv {csv} is a folder; expected a file")
        _refuse_unwritable("--csv", csv)


def _refuse_unwritable(option: str, path: Path) -> None:
    """By really writing: to root, permissions say yes even where nothing can be written."""
    try:
        if path.is_file():
            path.open("ab").close()
        elif path.exists() and not path.is_dir():  # a pipe or a terminal: opening may wait
            if not os.access(path, os.W_OK):
                raise PermissionError(None, "Permission denied")
        else:
            there = next(each for each in (path, *path.absolute().parents) if each.exists())
            if not there.is_dir():
                raise BadInput(f"{option} {path}: not writable: {there} is a file")
            tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise BadInput(f"{option} {path}: not writable: {error.strerror}") from None


def _measure(
    taken: list[Profile],
    cases: Sequence[Case],
    modes: Sequence[str | None],
    *,
    on: str,
    rounds: int,
    seconds: float,
    warmup: float,
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
                    warmup_seconds=warmup,
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

    try:
        if as_json:
            print(json.dumps(results_json(results), allow_nan=False), flush=True)
        else:
            profile_table(results)
    finally:  # a reader that has closed the pipe costs no file
        try:
            if csv is not None:
                write_csv(results, csv)
        finally:
            if out is not None:
                write_results(results, out)
                print(f"wrote {out}", file=sys.stderr)
