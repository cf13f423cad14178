"""A latency table: blocks and whole chains of them, timed on one device under one setting, as JSON.

All entries of a table were measured with one runtime under one setting of one board; what belongs
to another setting goes into another table. Under `fit` stands what latency_fit.py made of the
entries to predict whole networks; null while blocks are missing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Self, TypeAlias

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from .errors import DeployError
from .measurement import Flag, Measurement, Profile
from .record import Record
from .wire import Flag as FlagRecord
from .wire_board import Clock

FORMAT = 3
Count: TypeAlias = Annotated[int, Field(ge=0)]
Kind: TypeAlias = Annotated[
    str,
    Field(
        pattern=r"^(conv[1-9]x[1-9](_add)?|depthwise[1-9]x[1-9]|expand1x1|max_pool|global_pool"
        r"|linear|identity)$"
    ),
]
Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class TableError(DeployError):
    """A file is no latency table, or one that cannot be used."""


class Block(Record):
    """What was timed; export/single_block.py says what each kind is."""

    kind: Kind
    in_channels: PositiveInt
    out_channels: PositiveInt
    size: PositiveInt
    """Height and width of its input in pixels; 1 for a linear layer."""
    stride: PositiveInt
    count: PositiveInt
    """How many of them stand in a row in the file: its times are theirs together."""


class Entry(Record):
    """One file and what was measured of it; times and energy are of one inference."""

    blocks: Annotated[list[Block], Field(min_length=1)]
    """In the file one after the other: a single one, which the fit is made of, or a chain of them
    that is a whole network, which the fit is judged by."""
    model_sha256: Sha256
    macs: Count
    """Of one image through the whole file."""
    params: Count
    """In the whole file."""
    p50_ms: PositiveFloat
    p90_ms: PositiveFloat
    rounds_p50_ms: Annotated[list[PositiveFloat], Field(min_length=1)]
    """Of each round: the cases of a measurement took turns, so that they can be compared."""
    yardstick_ms: list[tuple[PositiveFloat, PositiveFloat]] | None
    """What the yardstick took right before each round and right after; None without one."""
    device_p50_ms: PositiveFloat | None
    """By the runtime's own events; None where it has none."""
    runs: PositiveInt
    energy_mj: PositiveFloat | None
    """None where nothing could be metered; `energy_source` of the table says why."""
    energy_bound_mj: float | None
    """How far `energy_mj` may be off by the meter's quantisation and sampling."""
    flags: list[FlagRecord]
    """What a reader must know before believing the numbers."""

    @model_validator(mode="after")
    def the_yardstick_was_read_beside_every_round(self) -> Self:
        beside = self.yardstick_ms
        if beside is not None and len(beside) != len(self.rounds_p50_ms):
            raise ValueError(
                f"{len(beside)} times of a yardstick, {len(self.rounds_p50_ms)} rounds"
            )
        return self


class FitRecord(Record):
    """What the entries say of whole networks; latency_fit.py reads it."""

    ms: dict[str, PositiveFloat]
    """Name of a term (latency_terms.py) -> its time; a term that takes none is left out."""
    energy_mj: dict[str, PositiveFloat] | None
    """The same in energy; None where nothing could be metered."""
    networks: PositiveInt
    """How many chains, of which the fit saw none, `median_error` and `error` are of."""
    median_error: Annotated[float, Field(ge=0)]
    """0.1 is a factor of 1.1, up or down."""
    error: Annotated[float, Field(ge=0)]
    """Within which another one is to lie, in a share `level` of cases."""
    level: Annotated[float, Field(gt=0, lt=1)]


class LatencyTable(Record):
    """The entries, and the setting that they all belong to."""

    edgestill_latency_table: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT
    """The format's number."""
    device: str
    """What it is, in words."""
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """Of the hardware and its clock settings, as they were set for the measurement."""
    target: str
    """Where it was reached: local, or ssh://..."""
    engine: str
    engine_version: str
    provider: str
    precision: str
    """fp32 or int8, of the files."""
    dialect: str | None
    """Whose Q/DQ nodes the INT8 files have: ort-x86, ort-arm64 or tensorrt; None for fp32."""
    power_mode: str | None
    """None where there are none."""
    clocks: list[Clock]
    threads: PositiveInt | None
    """None: as many as the engine takes by itself."""
    batch: PositiveInt
    yardstick_sha256: Sha256 | None
    """Of the file that was timed beside every round; None: none was."""
    software: dict[str, str]
    """Versions on the device, and edgestill's own."""
    energy_source: str
    """What was metered; or why nothing could be."""
    created: str
    """Date and time of the first entry, ISO 8601, UTC."""
    entries: list[Entry]
    fit: FitRecord | None = None
    """Of these entries."""

    @property
    def singles(self) -> list[Entry]:
        """The entries of a single block."""
        return [entry for entry in self.entries if len(entry.blocks) == 1]

    @property
    def chains(self) -> list[Entry]:
        """The others: whole networks."""
        return [entry for entry in self.entries if len(entry.blocks) > 1]

    @property
    def yardstick_ms(self) -> list[tuple[float, float]]:
        """What the yardstick took before and after each round of each entry."""
        return [pair for entry in self.entries for pair in entry.yardstick_ms or ()]


COMPARED = {
    "fingerprint": "fingerprint of board and clocks",
    "power_mode": "power mode",
    "engine": "engine",
    "engine_version": "engine's version",
    "provider": "provider",
    "precision": "precision",
    "dialect": "dialect",
    "threads": "threads",
    "batch": "batch",
    "yardstick_sha256": "yardstick",
}
"""The fields that are the same for all entries of a table, and what a person calls them."""


def table_from(
    profile: Profile,
    *,
    yardstick_sha256: str | None,
    device: str,
    precision: str,
    dialect: str | None,
    software: dict[str, str],
    created: str,
) -> LatencyTable:
    """An empty table for the setting that `profile` was measured under."""
    first = profile.measurements[0]
    return LatencyTable(
        device=device,
        fingerprint=profile.board["fingerprint"],
        target=profile.target,
        engine=first.engine,
        engine_version=first.engine_version,
        provider=first.provider,
        precision=precision,
        dialect=dialect,
        power_mode=first.power_mode,
        clocks=[Clock.model_validate(clock) for clock in first.conditions["after"]["clocks"]],
        threads=first.threads,
        batch=first.batch,
        yardstick_sha256=yardstick_sha256,
        software=software,
        energy_source=first.energy_source,
        created=created,
        entries=[],
    )


def entry_from(
    measured: Measurement, blocks: Sequence[Block], *, macs: int, params: int, flags: Sequence[Flag]
) -> Entry:
    """The entry that a measurement of the blocks' file makes; `flags`: those that concern it."""
    device_ms = measured.device_ms
    beside = [each.yardstick_ms for each in measured.slices if each.yardstick_ms is not None]
    return Entry(
        blocks=list(blocks),
        model_sha256=measured.model_sha256,
        macs=macs,
        params=params,
        p50_ms=measured.latency_ms["p50"],
        p90_ms=measured.latency_ms["p90"],
        rounds_p50_ms=[each.p50_ms for each in measured.slices],
        yardstick_ms=beside or None,
        device_p50_ms=device_ms["p50"] if device_ms else None,
        runs=measured.runs,
        energy_mj=measured.energy_mj,
        energy_bound_mj=measured.energy_bound_mj,
        flags=[FlagRecord(**asdict(flag)) for flag in flags],
    )


def with_entries(table: LatencyTable, entries: Iterable[Entry]) -> LatencyTable:
    """The table with these as well, each in the place of an older one of its blocks; sorted, and
    without a fit."""
    found = {_key(entry): entry for entry in (*table.entries, *entries)}
    return table.model_copy(update={"entries": [found[key] for key in sorted(found)], "fit": None})


def _key(entry: Entry) -> tuple[tuple[str | int, ...], ...]:
    return tuple(tuple(block.model_dump().values()) for block in entry.blocks)


def differences(table: LatencyTable, other: LatencyTable) -> list[str]:
    """Each way in which their settings differ: "threads 1, now 2"."""
    return [
        f"{called} {_short(getattr(table, name))}, now {_short(getattr(other, name))}"
        for name, called in COMPARED.items()
        if getattr(table, name) != getattr(other, name)
    ]


def _short(value: object) -> object:
    """Of a hash its beginning."""
    return value[:16] if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) else value


def read_table(path: Path) -> LatencyTable:
    """The table in a file.

    Raises:
        TableError: it is none, of another format, or one of its fields cannot be right.
    """
    try:
        return LatencyTable.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        if (found := _other_format(path)) is not None:
            newer = "it is of a newer edgestill" if found > FORMAT else "calibrate with --fresh"
            reason = f"it has format {found}, {FORMAT} can be read; {newer}"
        else:
            reason = f"{first['msg']}{f' at {place}' if place else ''}"
        raise TableError(f"{path} cannot be used as a latency table: {reason}") from None


def refuse_other_files(path: Path) -> None:
    """Raises TableError where a file is neither a table nor one of an older format."""
    if (_other_format(path) or FORMAT) >= FORMAT:
        read_table(path)


def _other_format(path: Path) -> int | None:
    """The format of a table that cannot be read; None of any other file."""
    try:
        found = json.loads(path.read_bytes())["edgestill_latency_table"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return None
    return found if type(found) is int and found != FORMAT else None


def write_table(table: LatencyTable, path: Path) -> None:
    """Write the file, complete or not at all; what was there before stands until then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        work.write_text(table.model_dump_json(indent=1) + "\n", encoding="utf-8")
        os.replace(work, path)
    finally:
        work.unlink(missing_ok=True)
