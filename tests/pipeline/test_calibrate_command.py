"""`edgestill calibrate` on this machine: real blocks in a real ONNX Runtime, a grid of few."""

from __future__ import annotations

import json
import platform
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from edgestill.deploy.errors import DeviceError, TargetError
from edgestill.deploy.latency_fit import entry_ms, speed_of, with_fit
from edgestill.deploy.latency_table import Entry, LatencyTable, TableError, read_table, write_table
from edgestill.deploy.measurement import Flag, Profile
from edgestill.deploy.session import Case, Device
from edgestill.export.single_block import Block, Timed
from edgestill.models.errors import BadInput, GateFailed
from edgestill.pipeline import calibrating, calibration_blocks, calibration_chains
from edgestill.pipeline.calibrate_command import _file_name, calibrate_command
from edgestill.pipeline.calibration_blocks import EMPTY, batches, sha256_of
from edgestill.pipeline.calibration_chains import YARDSTICK, chains, timed

QUICK: dict[str, Any] = {"seconds": 0.01, "rounds": 2}
DIALECTS = {"x86_64": "ort-x86", "aarch64": "ort-arm64"}
STEM = Block(kind="conv3x3", in_channels=3, out_channels=16, size=8)
Change: TypeAlias = Callable[[int, Profile], Profile]
Interfere: TypeAlias = Callable[[Change], None]


@pytest.fixture(scope="module")
def tiny_grid() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(calibration_blocks.GRIDS, "small", {32: (4,)})
        for name, few in (("STEMS", (8,)), ("HEADS", (16,)), ("CLASSES", (10,))):
            patch.setattr(calibration_blocks, name, few)
        patch.setattr(calibrating, "WARMUP_S", 0.01)
        patch.setattr(calibrating, "MIN_RUNS", 10)
        patch.setattr(calibration_chains, "STAGES", {"basic": {8: (1,)}})
        yield


@pytest.fixture(scope="module")
def finished(tiny_grid: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete table; look, do not touch."""
    path = tmp_path_factory.mktemp("finished") / "table.json"
    calibrate_command(out=path, **QUICK)
    return path


@pytest.fixture
def table_file(finished: Path, tmp_path: Path) -> Path:
    """A copy of the complete table."""
    return Path(shutil.copy(finished, tmp_path / "table.json"))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The labels of each measurement that is asked for, in order."""
    asked: list[list[str]] = []
    measure = Device.profile

    def noted(self: Device, cases: list[Case], **settings: Any) -> Profile:
        asked.append([case.label for case in cases])
        return measure(self, cases, **settings)

    monkeypatch.setattr(Device, "profile", noted)
    return asked


@pytest.fixture
def interfere(monkeypatch: pytest.MonkeyPatch) -> Interfere:
    """Hands each profile, with its number, through a function: no board here moves by itself."""
    measure = Device.profile
    changes: list[Change] = []
    profiles: list[Profile] = []

    def changed(self: Device, cases: list[Case], **settings: Any) -> Profile:
        profiles.append(measure(self, cases, **settings))
        return changes[0](len(profiles), profiles[-1])

    def start(change: Change) -> None:
        changes[:] = [change]
        profiles.clear()

    monkeypatch.setattr(Device, "profile", changed)
    return start


def flagged(profile: Profile, *flags: Flag) -> Profile:
    return replace(
        profile,
        measurements=tuple(
            replace(each, flags=(*flags, *each.flags)) for each in profile.measurements
        ),
    )


def groups() -> list[tuple[Timed, ...]]:
    """All that is timed, in order."""
    return timed("small")


def names_of(files: Iterable[Timed]) -> list[str]:
    return sorted(" > ".join(block.name for block in each.blocks) for each in files)


def wanted() -> list[str]:
    return names_of(each for group in groups() for each in group)


def names(table: LatencyTable) -> list[str]:
    return sorted(map(name_of, table.entries))


def name_of(entry: Entry) -> str:
    return " > ".join(Block(**block.model_dump()).name for block in entry.blocks)


def test_every_block_of_the_grid_and_every_chain_becomes_an_entry(finished: Path) -> None:
    table = read_table(finished)

    assert names(table) == wanted()
    assert len(table.chains) == len(chains()) == 2
    assert table.yardstick_sha256 == sha256_of(YARDSTICK, None)
    assert (table.engine, table.provider) == ("onnxruntime", "CPUExecutionProvider")
    assert (table.precision, table.dialect, table.threads, table.batch) == ("fp32", None, 1, 1)
    assert {"python", "edgestill"} <= set(table.software)
    known = {names_of([each])[0]: each for group in groups() for each in group}
    for entry in table.entries:
        block = known[name_of(entry)]
        assert entry.model_sha256 == sha256_of(block, None)
        assert (entry.macs, entry.params) == (block.macs, block.params)
        assert entry.yardstick_ms is not None
        assert len(entry.rounds_p50_ms) == len(entry.yardstick_ms) == QUICK["rounds"]
        assert entry.runs >= calibrating.MIN_RUNS
        assert min(entry.rounds_p50_ms) <= entry.p50_ms <= max(entry.rounds_p50_ms)


def test_a_complete_table_is_reused_after_a_look_at_the_device(
    table_file: Path, measured: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    before = table_file.read_bytes()

    calibrate_command(out=table_file, as_json=True, **QUICK)

    many = len(wanted())
    told = {"table": str(table_file), "entries": many, "measured": 0, "reused": many}
    assert json.loads(capsys.readouterr().out) == told
    assert measured == [[EMPTY.name]]
    assert table_file.read_bytes() == before


def test_a_complete_table_has_a_fit_of_its_entries(finished: Path) -> None:
    table = read_table(finished)

    assert table.fit is not None
    assert with_fit(table.model_copy(update={"fit": None})).fit == table.fit


def test_a_complete_table_without_a_fit_gets_one_and_nothing_is_measured(
    table_file: Path, measured: list[list[str]]
) -> None:
    before = read_table(table_file)
    write_table(before.model_copy(update={"fit": None}), table_file)

    calibrate_command(out=table_file, **QUICK)

    assert measured == [[EMPTY.name]]
    assert read_table(table_file) == before


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), DeviceError("the board is gone")])
def test_what_was_measured_before_an_end_is_kept_and_the_next_call_measures_the_rest(
    ending: BaseException,
    tiny_grid: None,
    interfere: Interfere,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "table.json"
    first, *others = batches(groups())

    def end_at_the_second(number: int, profile: Profile) -> Profile:
        if number == 2:
            raise ending
        return profile

    interfere(end_at_the_second)
    with pytest.raises(type(ending)):
        calibrate_command(out=path, **QUICK)
    kept = read_table(path)
    assert names(kept) == names_of(first)
    assert kept.fit is None
    assert f"{len(first)} of {len(wanted())} blocks are kept in {path}" in capsys.readouterr().err

    asked: list[int] = []

    def count(_number: int, profile: Profile) -> Profile:
        asked.append(len(profile.measurements))
        return profile

    interfere(count)
    calibrate_command(out=path, as_json=True, **QUICK)

    rest = sum(map(len, others))
    assert asked == [1, *map(len, others)]
    told = json.loads(capsys.readouterr().out)
    assert (told["measured"], told["reused"]) == (rest, len(first))
    complete = read_table(path)
    assert names(complete) == wanted()
    assert complete.fit is not None
    assert [entry for entry in complete.entries if entry in kept.entries] == kept.entries


@pytest.mark.parametrize(
    ("asked", "named"), [({"batch": 2}, "batch 1, now 2"), ({"threads": 2}, "threads 1, now 2")]
)
def test_a_table_of_another_setting_is_left_alone(
    asked: dict[str, Any], named: str, table_file: Path, measured: list[list[str]]
) -> None:
    before = table_file.read_bytes()

    with pytest.raises(BadInput) as refused:
        calibrate_command(out=table_file, **QUICK, **asked)

    told = str(refused.value)
    assert named in told and "--out OTHER" in told and "--fresh" in told and "\n" not in told
    assert measured == [[EMPTY.name]]
    assert table_file.read_bytes() == before


def test_a_table_of_another_board_is_left_alone(table_file: Path) -> None:
    write_table(read_table(table_file).model_copy(update={"fingerprint": "f" * 16}), table_file)
    before = table_file.read_bytes()

    with pytest.raises(BadInput, match="fingerprint of board and clocks ffffffffffffffff, now "):
        calibrate_command(out=table_file, **QUICK)

    assert table_file.read_bytes() == before


def test_fresh_starts_over_under_the_new_setting(table_file: Path) -> None:
    older = read_table(table_file)
    calibrate_command(out=table_file, fresh=True, batch=2, **QUICK)

    table = read_table(table_file)
    assert (table.batch, names(table)) == (2, wanted())
    assert not [entry for entry in table.entries if entry in older.entries]


def test_an_entry_whose_file_would_be_another_today_is_measured_again(
    table_file: Path, measured: list[list[str]]
) -> None:
    table = read_table(table_file)
    stale = table.entries[3].model_copy(update={"model_sha256": "ab" * 32})
    entries = [*table.entries[:3], stale, *table.entries[4:]]
    write_table(table.model_copy(update={"entries": entries}), table_file)

    calibrate_command(out=table_file, **QUICK)

    assert measured == [[EMPTY.name], [name_of(stale)]]
    again = read_table(table_file)
    assert again.entries[3].model_sha256 == table.entries[3].model_sha256
    assert [*again.entries[:3], *again.entries[4:]] == [*entries[:3], *entries[4:]]


@pytest.mark.parametrize("kind", ["power-mode-moved", "clocks-moved", "throttled", "hot"])
def test_a_board_that_moves_ends_it_and_what_it_gave_meanwhile_is_not_kept(
    kind: str, table_file: Path, interfere: Interfere
) -> None:
    table = read_table(table_file)
    write_table(table.model_copy(update={"entries": table.entries[:-1]}), table_file)
    before = table_file.read_bytes()
    moved = Flag(kind=kind, text="it moved", remedy="let it rest", grave=True)

    interfere(lambda number, profile: flagged(profile, moved) if number > 1 else profile)
    with pytest.raises(GateFailed, match="it moved; let it rest") as failed:
        calibrate_command(out=table_file, **QUICK)

    assert failed.value.exit_code == 1
    assert table_file.read_bytes() == before


def test_a_board_with_other_clocks_than_a_moment_before_ends_it(
    tiny_grid: None, interfere: Interfere, tmp_path: Path
) -> None:
    path = tmp_path / "table.json"

    def other_clocks(number: int, profile: Profile) -> Profile:
        found = "f" * 16 if number == 2 else profile.board["fingerprint"]
        return replace(profile, board={**profile.board, "fingerprint": found})

    interfere(other_clocks)
    with pytest.raises(GateFailed, match="the board changed between two measurements: fingerprint"):
        calibrate_command(out=path, **QUICK)

    assert names(read_table(path)) == names_of(next(batches(groups())))


def test_other_doubts_are_recorded_where_they_belong(
    table_file: Path, interfere: Interfere, capsys: pytest.CaptureFixture[str]
) -> None:
    table = read_table(table_file)
    missing = [name_of(entry) for entry in table.entries[:2]]
    write_table(table.model_copy(update={"entries": table.entries[2:]}), table_file)
    own = Flag(kind="unstable", text=f"{missing[0]}: unstable: 66 %", remedy=None, grave=True)
    warm = Flag(kind="hot", text="cpu had 91.0 degC", remedy=None, grave=False)

    interfere(lambda _number, profile: flagged(profile, own, warm))
    calibrate_command(out=table_file, **QUICK)

    texts = {
        name_of(each): [flag.text for flag in each.flags] for each in read_table(table_file).entries
    }
    assert own.text in texts[missing[0]] and own.text not in texts[missing[1]]
    assert warm.text in texts[missing[0]] and warm.text in texts[missing[1]]
    assert f"hot: 2 of {len(texts)} entries" in capsys.readouterr().out


def test_int8_blocks_are_in_the_dialect_of_this_machine(
    tiny_grid: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(calibration_blocks, "_groups", lambda sizes: [(EMPTY,), (STEM,)])
    monkeypatch.setattr(calibration_chains, "STAGES", {})
    path = tmp_path / "table.json"

    calibrate_command(out=path, precision="int8", **QUICK)

    table = read_table(path)
    assert (table.precision, table.dialect) == ("int8", DIALECTS[platform.machine()])
    assert {name_of(each): each.model_sha256 for each in table.entries} == {
        block.name: sha256_of(block, table.dialect) for block in (EMPTY, STEM)
    }
    assert table.fit is None
    assert "no network's latency can be fitted to this table" in capsys.readouterr().err


def test_people_get_the_fastest_and_the_slowest_blocks_and_where_the_file_is(
    table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = read_table(table_file)
    counted = [entry for entry in table.singles if entry.macs]
    speed_ms = speed_of(table)
    ranked = sorted(counted, key=lambda entry: entry.macs / entry_ms(entry, speed_ms))

    calibrate_command(out=table_file, **QUICK)

    shown = capsys.readouterr().out
    assert shown.index(name_of(ranked[-1])) < shown.index(name_of(ranked[0]))
    assert "an inference of nothing takes" in shown
    told = " ".join(shown.split())
    assert "2 that it has not seen were off by" in told
    assert "its own speed changed by a factor of" in told
    assert f"0 measured in 1 s, {len(wanted())} reused" in re.sub(r"in \d+ s", "in 1 s", shown)
    assert f"table: {table_file}" in shown


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"engine": "tvm"}, "--engine tvm"),
        ({"precision": "fp16"}, "--precision fp16"),
        ({"grid": "huge"}, "--grid huge"),
        ({"engine": "tensorrt", "threads": 2}, "--threads has no meaning"),
        ({"on": "ftp://orin"}, "ftp://orin"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line_before_a_device_is_reached(
    asked: dict[str, Any], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(Device, "profile")

    with pytest.raises((BadInput, TargetError)) as refused:
        calibrate_command(**asked)

    assert named in str(refused.value) and "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fresh", [False, True])
def test_a_file_that_is_no_latency_table_is_never_written_over(
    fresh: bool, tmp_path: Path, measured: list[list[str]]
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text('{"mine": 1}')

    with pytest.raises(TableError, match="cannot be used as a latency table"):
        calibrate_command(out=path, fresh=fresh, **QUICK)

    assert path.read_text() == '{"mine": 1}'
    assert measured == []


@pytest.mark.parametrize(("engine", "beside"), [("tensorrt", True), ("trtexec", False)])
def test_trtexec_which_would_be_started_for_it_twice_a_window_has_no_yardstick(
    engine: str, beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Case | None] = []

    def noted(self: Device, cases: list[Case], **settings: Any) -> Profile:
        asked.append(settings["yardstick"])
        raise DeviceError("no such engine here")

    monkeypatch.setattr(Device, "profile", noted)
    with pytest.raises(DeviceError):
        calibrate_command(out=tmp_path / "table.json", engine=engine, **QUICK)

    assert [each is not None for each in asked] == [beside]
    assert [each.engine for each in asked if each] == [engine] * beside


def test_a_table_of_an_older_format_is_measured_anew_when_that_is_asked_for(
    table_file: Path, measured: list[list[str]]
) -> None:
    older = json.loads(table_file.read_text()) | {"edgestill_latency_table": 2}
    table_file.write_text(json.dumps(older))

    with pytest.raises(TableError, match="format 2, 3 can be read; calibrate with --fresh"):
        calibrate_command(out=table_file, **QUICK)
    assert json.loads(table_file.read_text()) == older and measured == []
    calibrate_command(out=table_file, fresh=True, **QUICK)

    assert names(read_table(table_file)) == wanted()


def test_the_file_is_named_by_device_mode_engine_and_precision() -> None:
    assert _file_name("local", "onnxruntime", "fp32", None) == "latency-local-onnxruntime-fp32.json"
    assert (
        _file_name("ssh://me@orin:2222", "tensorrt", "int8", "15W")
        == "latency-orin@15W-tensorrt-int8.json"
    )
    assert "/" not in _file_name("ssh://[fe80::1]", "tensorrt", "int8", "../15W")
