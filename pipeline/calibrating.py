"""Blocks measured on a device: the entries of a latency table, and the setting they belong to.

A yardstick is timed beside each of their windows, so that a processor whose speed changes with what
others do on it gives the same table. trtexec, which would be started twice more for each window,
does without: it runs on boards of one's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import GateFailed
from .board_facts import machine_of

if TYPE_CHECKING:
    from ..deploy.latency_table import Entry, LatencyTable
    from ..deploy.measurement import Flag, Measurement, Profile
    from ..deploy.session import Case, Device
    from ..export.single_block import Timed

MIN_RUNS = 50
WARMUP_S = 0.15
BRIEF_S = 0.1
BESIDE = ("onnxruntime", "tensorrt")
"""The engines that have a yardstick timed beside each window."""
MOVED = ("power-mode-moved", "clocks-moved", "throttled", "hot")
"""Flags after which, if grave, the figures belong to no setting that could be named."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How the blocks are to be measured; all but `seconds` and `rounds` makes another table."""

    engine: str
    precision: str
    """fp32 or int8, of the blocks' files."""
    dialect: str | None
    """Of INT8 files; None for fp32."""
    batch: int
    threads: int | None
    seconds: float
    """That each block is timed for, over all rounds."""
    rounds: int
    power_mode: str | None
    lock_clocks: bool


def measured(
    device: Device, files: Sequence[Timed], asked: Asked, folder: Path
) -> tuple[LatencyTable, list[Entry]]:
    """An empty table with the setting that the device measured under, and an entry for each file.

    They take turns, and are written into `folder`.

    Raises:
        GateFailed: clocks, power mode or heat moved meanwhile.
    """
    profile = _profile(device, files, asked, folder, seconds=asked.seconds, rounds=asked.rounds)
    moved = [flag for flag in profile.measurements[0].flags if flag.grave and flag.kind in MOVED]
    if moved:
        remedies = dict.fromkeys(flag.remedy for flag in moved if flag.remedy)
        to_do = "".join(f"; {remedy}" for remedy in remedies)
        raise GateFailed("; ".join(flag.text for flag in moved) + to_do)
    return _setting(profile, asked), _entries(profile, files)


def setting_now(device: Device, asked: Asked, folder: Path) -> LatencyTable:
    """An empty table with the setting that the device measures under, from a brief run of nothing.

    A probe would not tell: power mode and clocks are set for a measurement alone.
    """
    from .calibration_blocks import EMPTY

    profile = _profile(device, [EMPTY], asked, folder, seconds=BRIEF_S, rounds=1)
    return _setting(profile, asked)


def dialect_for(device: Device, engine: str) -> str:
    """The Q/DQ dialect of INT8 files for the engine on this device."""
    if engine != "onnxruntime":
        return "tensorrt"
    return "ort-arm64" if device.probe()["machine"] in ("aarch64", "arm64") else "ort-x86"


def _profile(
    device: Device,
    files: Sequence[Timed],
    asked: Asked,
    folder: Path,
    *,
    seconds: float,
    rounds: int,
) -> Profile:
    from .calibration_chains import YARDSTICK
    from .measuring import told

    return device.profile(
        [_case(timed, asked, folder) for timed in files],
        yardstick=_case(YARDSTICK, asked, folder) if asked.engine in BESIDE else None,
        seconds=seconds,
        rounds=rounds,
        min_runs=MIN_RUNS,
        warmup_seconds=WARMUP_S,
        power_mode=asked.power_mode,
        lock_clocks=asked.lock_clocks,
        on_progress=told("calibrate"),
    )


def _case(timed: Timed, asked: Asked, folder: Path) -> Case:
    from ..deploy.session import Case
    from .calibration_blocks import written
    from .profile_cases import provider_name, threads_of

    return Case(
        model=written(timed, asked.dialect, folder),
        label=timed.name,
        engine=asked.engine,
        provider=provider_name(asked.engine, None),
        batch=asked.batch,
        threads=threads_of(asked.engine, None, asked.threads),
        precision="as-file" if asked.engine == "onnxruntime" else asked.precision,
    )


def _setting(profile: Profile, asked: Asked) -> LatencyTable:
    from ..deploy.latency_table import table_from
    from .calibration_blocks import sha256_of
    from .calibration_chains import YARDSTICK

    return table_from(
        profile,
        yardstick_sha256=sha256_of(YARDSTICK, asked.dialect) if asked.engine in BESIDE else None,
        device=machine_of(profile.board),
        precision=asked.precision,
        dialect=asked.dialect,
        software=_software(profile.board),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _software(board: dict[str, Any]) -> dict[str, str]:
    named = {name: board[name] for name in ("os", "kernel", "python")} | board["software"]
    named["edgestill"] = version("edgestill")
    return {name: str(found) for name, found in sorted(named.items()) if found is not None}


def _entries(profile: Profile, files: Sequence[Timed]) -> list[Entry]:
    from ..deploy import latency_table

    labels = [each.label for each in profile.measurements]
    return [
        latency_table.entry_from(
            each,
            [latency_table.Block(**asdict(block)) for block in timed.blocks],
            macs=timed.macs,
            params=timed.params,
            flags=_own_flags(each, labels),
        )
        for each, timed in zip(profile.measurements, files, strict=True)
    ]


def _own_flags(one: Measurement, labels: Sequence[str]) -> list[Flag]:
    """Those of the whole measurement, and of the others those that begin with this one's label."""
    others = tuple(f"{label}: " for label in labels if label != one.label)
    return [flag for flag in one.flags if not flag.text.startswith(others)]
