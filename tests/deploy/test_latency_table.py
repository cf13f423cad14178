"""Latency tables: what is written is read again, and nothing else is read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgestill.deploy.latency_table import (
    Entry,
    LatencyTable,
    TableError,
    differences,
    read_table,
    refuse_other_files,
    with_entries,
    write_table,
)

FIT = {
    "ms": {"overhead": 0.006},
    "energy_mj": None,
    "networks": 12,
    "median_error": 0.05,
    "error": 0.2,
    "level": 0.9,
}


def entry(p50_ms: float = 0.25, **block: Any) -> Entry:
    shape = {"in_channels": 8, "out_channels": 8, "size": 32, "stride": 1, "count": 8}
    return Entry.model_validate(
        {
            "blocks": [{"kind": "conv3x3", **shape, **block}],
            "model_sha256": "ab" * 32,
            "macs": 4718592,
            "params": 4672,
            "p50_ms": p50_ms,
            "p90_ms": 1.25 * p50_ms,
            "rounds_p50_ms": [p50_ms, 1.125 * p50_ms],
            "yardstick_ms": [(0.05, 0.051), (0.055, 0.055)],
            "device_p50_ms": None,
            "runs": 2000,
            "energy_mj": None,
            "energy_bound_mj": None,
            "flags": [
                {"kind": "busy", "text": "other work was running", "remedy": None, "grave": False}
            ],
        }
    )


def table(*entries: Entry, **changes: Any) -> LatencyTable:
    facts: dict[str, Any] = {
        "device": "Orin NX (aarch64), 8 cores",
        "fingerprint": "0123456789abcdef",
        "target": "ssh://orin",
        "engine": "tensorrt",
        "engine_version": "10.3.0",
        "provider": "TensorRT",
        "precision": "int8",
        "dialect": "tensorrt",
        "power_mode": "15W",
        "clocks": [
            {"name": "gpu", "current_mhz": 612.0, "min_mhz": 306, "max_mhz": 612.0, "locked": False}
        ],
        "threads": None,
        "batch": 1,
        "yardstick_sha256": "cd" * 32,
        "software": {"cuda": "12.6"},
        "energy_source": "INA3221",
        "created": "2026-01-02T03:04:05+00:00",
        "entries": [each.model_dump() for each in entries],
    }
    return LatencyTable.model_validate({**facts, **changes})


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "orin.json"
    written = table(entry(), entry(count=1))

    write_table(written, path)

    assert read_table(path) == written
    told = json.loads(path.read_text())
    assert next(iter(told)) == "edgestill_latency_table"
    assert (told["edgestill_latency_table"], told["fit"]) == (3, None)
    assert told["entries"][0]["blocks"] == [
        {"kind": "conv3x3", "in_channels": 8, "out_channels": 8, "size": 32, "stride": 1,
         "count": 8}
    ]  # fmt: skip


def test_a_fit_stands_in_the_file_with_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "orin.json"

    write_table(table(entry(), fit=FIT), path)

    assert json.loads(path.read_text())["fit"] == FIT
    assert read_table(path) == table(entry(), fit=FIT)


def test_a_write_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "orin.json"
    write_table(table(entry()), path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_table(table(), path)

    assert read_table(path) == table(entry())
    assert list(tmp_path.iterdir()) == [path]


def test_an_entry_takes_the_place_of_an_older_one_of_its_block() -> None:
    older = table(entry(0.25), entry(0.5, count=1))

    newer = with_entries(older, [entry(0.125), entry(1.0, kind="conv1x1")])

    found = [(each.blocks[0].kind, each.blocks[0].count, each.p50_ms) for each in newer.entries]
    assert found == [("conv1x1", 8, 1.0), ("conv3x3", 1, 0.5), ("conv3x3", 8, 0.125)]
    assert len(older.entries) == 2


def test_a_chain_stands_beside_its_blocks() -> None:
    one, other = entry(), entry(count=1)
    chain = one.model_copy(update={"blocks": [*one.blocks, *other.blocks]})

    whole = with_entries(table(one), [chain, other])

    assert len(whole.entries) == 3
    assert (len(whole.singles), whole.chains) == (2, [chain])


def test_only_tables_may_be_written_over_and_none_of_a_newer_format(tmp_path: Path) -> None:
    path = tmp_path / "orin.json"
    content = table(entry()).model_dump()

    for number in (1, 2, 3):
        path.write_text(json.dumps({**content, "edgestill_latency_table": number}))
        refuse_other_files(path)
    for other in ({**content, "edgestill_latency_table": 4}, {"mine": 1}, [1]):
        path.write_text(json.dumps(other))
        with pytest.raises(TableError):
            refuse_other_files(path)


def test_settings_that_differ_are_named() -> None:
    one = table(entry())

    assert differences(one, table(created="2027-01-01T00:00:00+00:00", target="ssh://other")) == []
    assert differences(one, table(power_mode="25W", batch=8)) == [
        "power mode 15W, now 25W",
        "batch 1, now 8",
    ]
    assert differences(one, table(yardstick_sha256="ef" * 32)) == [
        f"yardstick {'cd' * 8}, now {'ef' * 8}"
    ]
    assert differences(one, table(fingerprint="f" * 16)) == [
        f"fingerprint of board and clocks 0123456789abcdef, now {'f' * 16}"
    ]


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("edgestill_latency_table",), 2, "format 2, 3 can be read; calibrate with --fresh"),
        (("edgestill_latency_table",), 4, "format 4, 3 can be read; it is of a newer edgestill"),
        (("edgestill_latency_table",), "1", "at edgestill_latency_table"),
        (("fingerprint",), "no fingerprint", "at fingerprint"),
        (("fit",), {"slope": 1.0}, "at fit"),
        (("fit", "ms", "overhead"), -1e-3, "at fit.ms.overhead"),
        (("fit", "level"), 1.0, "at fit.level"),
        (("surprise",), 1, "at surprise"),
        (("batch",), 1.5, "at batch"),
        (("entries", 0, "p50_ms"), 0.0, "at entries.0.p50_ms"),
        (("entries", 0, "p50_ms"), "0.25", "at entries.0.p50_ms"),
        (("entries", 0, "rounds_p50_ms"), [], "at entries.0.rounds_p50_ms"),
        (("entries", 0, "energy_mj"), 0, "at entries.0.energy_mj"),
        (("entries", 0, "model_sha256"), "ab", "at entries.0.model_sha256"),
        (("entries", 0, "blocks"), [], "at entries.0.blocks"),
        (("entries", 0, "blocks", 0, "kind"), "convXxX", "at entries.0.blocks.0.kind"),
        (("entries", 0, "blocks", 0, "count"), 0, "at entries.0.blocks.0.count"),
        (("entries", 0, "yardstick_ms"), [(0.05, 0.05)], "1 times of a yardstick, 2 rounds"),
        (("entries", 0, "yardstick_ms", 1), (0.05, 0.0), "at entries.0.yardstick_ms.1.1"),
        (("entries", 0, "flags", 0, "grave"), "yes", "at entries.0.flags.0.grave"),
    ],
)
def test_a_field_that_cannot_be_right_is_named(
    place: tuple[str | int, ...], value: object, told: str, tmp_path: Path
) -> None:
    content = table(entry(), fit=FIT).model_dump()
    inner: Any = content
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    path = tmp_path / "orin.json"
    path.write_text(json.dumps(content))

    with pytest.raises(TableError) as refused:
        read_table(path)

    assert told in str(refused.value) and str(path) in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"edgestill_latency_table": 1', "NaN", "\xff"]
)
def test_what_is_no_table_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "orin.json"
    path.write_text(text, encoding="latin-1")

    with pytest.raises(TableError) as refused:
        read_table(path)

    assert "\n" not in str(refused.value)


def test_a_time_that_is_no_number_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "orin.json"
    write_table(table(entry()), path)
    path.write_text(path.read_text().replace("0.25,", "NaN,"))

    with pytest.raises(TableError, match="p50_ms"):
        read_table(path)
