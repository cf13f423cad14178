"""`edgestill calibrate`: blocks and networks timed on a device, into a latency table."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import BadInput, GateFailed
from .console import shown
from .events import emit

if TYPE_CHECKING:
    from ..deploy.latency_table import LatencyTable
    from ..deploy.session import Device
    from ..export.single_block import Timed
    from .calibrating import Asked

PRECISIONS = ("fp32", "int8")


def calibrate_command(
    on: str = "local",
    *,
    engine: str = "onnxruntime",
    precision: str = "fp32",
    power_mode: str | None = None,
    lock_clocks: bool = False,
    threads: int | None = None,
    batch: int = 1,
    seconds: float = 0.5,
    rounds: int = 5,
    out: Path | None = None,
    grid: str = "small",
    fresh: bool = False,
    as_json: bool = False,
) -> None:
    """Time what the table lacks, write it after every few blocks, and tell what it holds.

    What was measured before something failed stands in the file; the same call goes on with the
    rest.

    Raises:
        BadInput: an option cannot be used, or the file was measured under another setting.
        GateFailed: clocks, power mode or heat moved while it was measured.
    """
    from ..deploy.session import open_device
    from .calibrating import Asked, dialect_for
    from .calibration_table import calibration_table

    _refuse(engine, precision, threads, grid)
    path = out or Path(_file_name(on, engine, precision, power_mode))
    _refuse_unwritable(path)
    start = time.monotonic()
    with shown(quiet=as_json), open_device(on) as device, tempfile.TemporaryDirectory() as folder:
        asked = Asked(
            engine=engine,
            precision=precision,
            dialect=dialect_for(device, engine) if precision == "int8" else None,
            batch=batch,
            threads=threads,
            seconds=seconds,
            rounds=rounds,
            power_mode=power_mode,
            lock_clocks=lock_clocks,
        )
        table, new, reused = calibrate(device, path, grid, asked, Path(folder), fresh=fresh)
    if as_json:
        told = {"table": str(path), "entries": len(table.entries)}
        print(json.dumps({**told, "measured": new, "reused": reused}))
    else:
        calibration_table(table)
        entries, seconds_gone = len(table.entries), time.monotonic() - start
        print(f"{entries} entries: {new} measured in {seconds_gone:.0f} s, {reused} reused")
        print(f"table: {path}")


def calibrate(
    device: Device, path: Path, grid_name: str, asked: Asked, folder: Path, *, fresh: bool
) -> tuple[LatencyTable, int, int]:
    """The table in `path`, now complete, and how many blocks were measured now and before."""
    from ..deploy.latency_table import (
        read_table,
        refuse_other_files,
        with_entries,
        write_table,
    )
    from .calibrating import measured, setting_now
    from .calibration_blocks import batches
    from .calibration_chains import timed

    groups = timed(grid_name)
    wanted = sum(map(len, groups))
    if fresh and path.exists():
        refuse_other_files(path)  # what is no latency table is not written over
    table = read_table(path) if path.exists() and not fresh else None
    if table is not None:
        _refuse_another(path, table, setting_now(device, asked, folder))
        groups = [_missing(group, table, asked.dialect) for group in groups]
    reused = wanted - sum(map(len, groups))
    done = reused
    _progress(done, wanted)
    try:
        for blocks in batches(groups):
            setting, entries = measured(device, blocks, asked, folder)
            if table is not None and (differs := _differences(table, setting)):
                raise GateFailed(f"the board changed between two measurements: {differs}")
            table = with_entries(table or setting, entries)
            write_table(table, path)
            done += len(blocks)
            _progress(done, wanted)
        assert table is not None  # no grid is empty
        table = _with_fit(table, path)
    except BaseException:  # however it ends, Ctrl-C as well
        if done:
            emit("note", text=f"{done} of {wanted} blocks are kept in {path}")
        raise
    return table, done - reused, reused


def _with_fit(table: LatencyTable, path: Path) -> LatencyTable:
    """The table with a fit, written where it had none; a note where too little was measured."""
    from ..deploy.latency_fit import with_fit
    from ..deploy.latency_table import TableError, write_table

    try:
        found = with_fit(table)
    except TableError as error:
        emit("note", text=str(error))
        return table
    if found is not table:
        write_table(found, path)
    return found


def _missing(group: Iterable[Timed], table: LatencyTable, dialect: str | None) -> tuple[Timed, ...]:
    """The files without an entry, or with one of a file that would be written otherwise today."""
    from .calibration_blocks import sha256_of

    known = {entry.model_sha256 for entry in table.entries}
    return tuple(timed for timed in group if sha256_of(timed, dialect) not in known)


def _differences(table: LatencyTable, now: LatencyTable) -> str:
    from ..deploy.latency_table import differences

    return "; ".join(differences(table, now))


def _refuse_another(path: Path, table: LatencyTable, now: LatencyTable) -> None:
    if differs := _differences(table, now):
        raise BadInput(
            f"{path} was measured under another setting: {differs}; write another table with"
            " --out OTHER, or start this one over with --fresh"
        )


def _refuse(engine: str, precision: str, threads: int | None, grid: str) -> None:
    from .calibration_blocks import GRIDS
    from .profile_cases import ENGINES

    choices = {"engine": (engine, ENGINES), "precision": (precision, PRECISIONS)}
    choices["grid"] = (grid, tuple(GRIDS))
    for option, (given, known) in choices.items():
        if given not in known:
            raise BadInput(f"--{option} {given}: expected one of {', '.join(known)}")
    if engine != "onnxruntime" and threads is not None:
        raise BadInput(f"--threads has no meaning for {engine}: it runs on the GPU")


def _refuse_unwritable(path: Path) -> None:
    """Before minutes of measuring."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK) or path.is_dir():
        raise BadInput(f"--out {path} cannot be written; give a file in a folder of yours")


def _file_name(on: str, engine: str, precision: str, power_mode: str | None) -> str:
    """latency-orin@15W-tensorrt-int8.json"""
    from ..deploy.target import parse_target

    place = parse_target(on).host or "local"
    name = f"latency-{place}{f'@{power_mode}' if power_mode else ''}-{engine}-{precision}.json"
    return re.sub(r"[^A-Za-z0-9@._-]", "_", name)


def _progress(done: int, wanted: int) -> None:
    emit("progress", label="calibrate", done=done, total=wanted, unit="blocks")
