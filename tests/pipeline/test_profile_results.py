"""A measurement as table, JSON, CSV and pictures."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from edgestill.deploy.measurement import Flag, Profile
from edgestill.pipeline.profile_files import csv_of, results_json, write_results
from edgestill.pipeline.profile_plots import pictures
from edgestill.pipeline.profile_results import Results
from edgestill.pipeline.profile_table import cells, conditions, doubts, profile_table, verdicts
from edgestill.pipeline.svg import LIGHT

from .profiles import RUNS, measurement, profile

ROUNDS = 3
UNLOCKED = Flag(kind="clocks-not-locked", text="clocks float", remedy="sudo lock", grave=False)
HOT = Flag(kind="hot", text="it throttled", remedy=None, grave=True)


def single() -> Results:
    """One file on a machine without a meter."""
    taken = profile(measurement("model", [0.5]))
    return Results(profiles=(taken,), models=(Path("model.onnx"),), accuracy=(None,))


def at_mode(mode: str, factor: float) -> Profile:
    cases = [
        measurement(
            f"{name} batch {batch}",
            [ms * factor * batch] * ROUNDS,
            rounds_mj=[4 * ms * batch] * ROUNDS,
            power_mode=mode,
            batch=batch,
            device_ms={
                "p50": 0.9 * ms,
                "p90": 1,
                "p95": 1,
                "p99": 1,
                "mean": 1,
                "min": 1,
                "max": 1,
            },
            flags=(UNLOCKED, HOT) if mode == "25W" else (UNLOCKED,),
        )
        for name, ms in (("a", 2.0), ("b", 1.0))
        for batch in (1, 8)
    ]
    return profile(*cases, power=True)


@pytest.fixture
def board() -> Results:
    """Two files at two batches in two power modes, with energy."""
    return Results(
        profiles=(at_mode("15W", 1.5), at_mode("25W", 1.0)),
        models=tuple(Path(f"{name}.onnx") for name in "aabb"),
        accuracy=(0.9, 0.9, None, None),
        batches=2,
    )


def test_a_single_file_has_a_small_table() -> None:
    heads, body = cells(single())

    assert heads == ("", "batch", "p50 ms", "p90 ms", "p99 ms", "images/s", "\u00b0C")
    assert [row[:3] for row in body] == [("model", "1", "0.500")]
    assert not list(verdicts(single().comparisons()))


def test_every_mode_and_case_has_its_row(board: Results) -> None:
    heads, body = cells(board)

    assert [row[:3] for row in body] == [
        (name, mode, batch) for mode in ("15W", "25W") for name in "ab" for batch in ("1", "8")
    ]
    row = dict(zip(heads, body[1], strict=True))
    assert row["energy mJ\nan inference"] == "64 \u00b1 1.3"
    assert row["images/J"] == "125"  # 8 images of 64 mJ
    assert row["device\np50 ms"] == "1.80"
    assert row["top-1"] == "90.00 %"
    assert row["\u00b0C"] == "48"
    assert body[2][-1] == "not measured"


def test_the_conditions_are_told_once_for_each_mode(board: Results) -> None:
    first, second, energy = conditions(board)

    assert first == (
        "Test CPU (x86_64), 2 cores; 15W; onnxruntime 1.32.0, CPUExecutionProvider; 1 thread;"
        f" n = {ROUNDS * RUNS} runs a case in {ROUNDS} rounds by turns"
    )
    assert "; 25W;" in second
    assert energy == "energy: INA3221 in sysfs; total: VDD_IN"


def test_energy_that_was_not_measured_has_its_reason() -> None:
    assert list(conditions(single()))[1] == "energy not measured: no meter here"


def test_windows_of_an_earlier_call_are_told_and_counted() -> None:
    calm = measurement("a", [1.0, 1.0])
    first, second = calm.slices
    resumed = replace(calm, slices=(replace(first, earlier=True), second))
    taken = profile(resumed, measurement("b", [1.0, 1.0]))
    models = (Path("a.onnx"), Path("b.onnx"))

    results = Results(profiles=(taken,), models=models, accuracy=(None, None))

    told = "1 of 4 windows were measured by an earlier call that was cut off"
    assert told in list(conditions(results))
    rows = csv.DictReader(io.StringIO(csv_of(results)))
    assert [row["earlier_windows"] for row in rows] == ["1", "0"]


def test_a_flag_is_told_once_with_its_remedy_and_whom_it_concerns(board: Results) -> None:
    assert list(doubts(board)) == [
        ("note: clocks float; to do: sudo lock", False),
        ("not to be trusted: 25W: it throttled", True),
    ]


def test_a_flag_of_one_case_names_it() -> None:
    taken = profile(measurement("a", [1.0]), measurement("b", [1.0], flags=(HOT,)))
    models = (Path("a.onnx"), Path("b.onnx"))

    results = Results(profiles=(taken,), models=models, accuracy=(None, None))

    assert list(doubts(results)) == [("not to be trusted: b: it throttled", True)]


def test_flags_of_one_kind_share_a_line() -> None:
    spread = [
        Flag(kind="unstable", text=f"{name}: wide", remedy="wait", grave=True) for name in "ab"
    ]
    taken = profile(*(measurement(name, [1.0], flags=spread) for name in "ab"))
    models = (Path("a.onnx"), Path("b.onnx"))

    results = Results(profiles=(taken,), models=models, accuracy=(None, None))

    assert list(doubts(results)) == [
        ("not to be trusted: a: wide; b: wide; to do: wait", True),
    ]


def test_files_are_compared_within_a_mode_and_modes_with_the_first(board: Results) -> None:
    told = list(verdicts(board.comparisons()))

    assert told[0].startswith("b batch 1 against a batch 1 (15W): 2.00x faster [")
    assert told[0].endswith(f"; n = {ROUNDS} rounds")
    assert sum(" (25W): " in line for line in told) == 2
    assert told[-1].startswith("b batch 8 at 25W against b batch 8 at 15W: 1.50x faster; ")
    assert told[-1].endswith("; no interval: not interleaved")


def test_precisions_of_one_file_are_compared_with_its_first() -> None:
    taken = profile(measurement("a int8", [0.5] * 2), measurement("a fp16", [1.0] * 2))
    models = (Path("a.onnx"), Path("a.onnx"))

    results = Results(profiles=(taken,), models=models, accuracy=(None, None), precisions=2)

    (told,) = verdicts(results.comparisons())
    assert told.startswith("a fp16 against a int8: 2.00x slower")


def test_layers_are_listed_dearest_first(capsys: pytest.CaptureFixture[str]) -> None:
    layers = tuple({"name": f"conv{index}", "ms": float(index)} for index in range(1, 21))
    taken = profile(measurement("a", [1.0], layers=layers))

    profile_table(Results(profiles=(taken,), models=(Path("a.onnx"),), accuracy=(None,)))

    shown = capsys.readouterr().out
    assert "a: the dearest 10 of 20 layers" in shown
    assert shown.index("conv20") < shown.index("conv19")
    assert "conv10 " not in shown
    assert "9.5 %" in shown  # 20 of 210


def test_the_json_is_everything_with_its_samples(board: Results) -> None:
    told = json.loads(json.dumps(results_json(board), allow_nan=False))

    assert [each["measurements"][0]["power_mode"] for each in told["profiles"]] == ["15W", "25W"]
    first = told["profiles"][0]["measurements"][0]
    assert (first["model"], first["accuracy"], first["label"]) == ("a.onnx", 0.9, "a batch 1")
    assert len(first["samples_ms"]) == first["runs"] == ROUNDS * RUNS
    assert told["profiles"][0]["board"]["device"] == "Test board"
    assert told["profiles"][0]["power"]["mw"]
    assert {each["figure"] for each in told["comparisons"]} == {"latency", "energy"}
    assert "t on their logarithms" in told["method"]


def test_the_csv_has_a_row_for_each_case_and_units_in_its_heads(board: Results) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_of(board))))

    assert [(row["label"], row["power_mode"]) for row in rows][3:5] == [
        ("b batch 8", "15W"),
        ("a batch 1", "25W"),
    ]
    row = rows[0]
    assert float(row["latency_p50_ms"]) == pytest.approx(3.0, rel=1e-3)  # one of 60 is slow
    assert float(row["energy_mj"]) == 8.0
    assert float(row["images_per_j"]) == 125.0
    assert float(row["idle_power_w"]) == 4.2
    assert (row["top1"], rows[2]["top1"]) == ("0.9", "")
    assert row["flags"] == "clocks-not-locked"


def test_what_was_not_measured_is_an_empty_cell() -> None:
    (row,) = csv.DictReader(io.StringIO(csv_of(single())))

    assert {row[name] for name in ("energy_mj", "power_w", "device_p50_ms", "images_per_j")} == {""}
    assert row["energy_source"] == "no meter here"


def test_a_folder_gets_every_file(board: Results, tmp_path: Path) -> None:
    write_results(board, tmp_path / "out")

    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "measurements.json", "measurements.csv", "board.json",
        "latency.svg", "power.svg", "energy_latency.svg",
    }  # fmt: skip
    assert json.loads((tmp_path / "out/board.json").read_text())["machine"] == "x86_64"


def test_without_a_meter_there_is_only_the_picture_of_latency() -> None:
    assert list(pictures(single())) == ["latency.svg"]


def test_a_picture_stands_alone_with_its_own_colours_and_size(board: Results) -> None:
    for svg in pictures(board).values():
        root = ElementTree.fromstring(svg)
        assert float(root.attrib["width"]) > 0 and float(root.attrib["height"]) > 0
        assert "var(--" not in svg
        assert f'fill="{LIGHT["surface"]}"' in svg


def test_the_latency_picture_names_every_case_with_its_figures(board: Results) -> None:
    shown = words(pictures(board)["latency.svg"])

    for mode, p50 in (("15W", "3"), ("25W", "2")):
        assert f"a batch 1 at {mode}: p50 {p50}, p99" in shown
    assert shown.count(f"n = {ROUNDS * RUNS}") == 8


def test_runs_far_beyond_the_99th_percentile_are_counted_instead_of_drawn() -> None:
    calm = measurement("a", [1.0])
    taken = profile(replace(calm, samples_ms=(*calm.samples_ms[:-1], 99.0)))

    svg = pictures(Results(profiles=(taken,), models=(Path("a"),), accuracy=(None,)))["latency.svg"]

    assert f"n = {RUNS} (1 beyond)" in words(svg)


def test_the_power_picture_shades_every_window_and_marks_idle(board: Results) -> None:
    svg = pictures(board)["power.svg"]

    shades = re.findall(rf"fill: {LIGHT['teacher']}; opacity", svg)
    # 2 modes x 2 batches x rounds, and one more for each in the legend
    assert len(shades) == 2 * 2 * (ROUNDS + 1)
    shown = words(svg)
    assert shown.count("idle 4.20 W") == 2
    assert all(text in shown for text in ("15W", "25W", "a batch 1", "b batch 8", "seconds"))


def test_the_energy_picture_has_a_mark_for_each_case_and_mode(board: Results) -> None:
    svg = pictures(board)["energy_latency.svg"]

    shown = words(svg)
    marks = shown.rpartition("(log)")[2]
    assert marks.count("15W") == marks.count("25W") == 4
    assert "mJ per inference (log)" in shown
    assert "b batch 8 at 25W: 32 mJ at 8 ms" in shown


def words(svg: str) -> str:
    return " ".join(" ".join(ElementTree.fromstring(svg).itertext()).split())
