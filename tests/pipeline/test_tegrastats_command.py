"""`edgestill tegrastats`: a log line by line and as a whole, against sums by hand and by numpy."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestill.models.errors import BadInput
from edgestill.pipeline.tegrastats_command import NOT_A_LOG, tegrastats_command

from ..deploy.agent.tegrastats_lines import RECORDED, SAMPLES

LOG = Path(__file__).parents[3] / "shared" / "facts" / "orin_nano_tegrastats_100ms.raw"
JETPACK_4 = RECORDED[0].line
Tell = Callable[..., list[dict[str, Any]]]


def test_each_line_is_an_object_and_the_summary_is_the_last(tell: Tell) -> None:
    told = tell([sample.line for sample in SAMPLES], interval_ms=1000)

    for number, (line, sample) in enumerate(zip(told, SAMPLES, strict=False), start=1):
        assert line == {"line": number, **sample.fields}
    assert list(told[-1]) == ["summary"]
    assert len(told) == len(SAMPLES) + 1


def test_energy_is_the_trapezoid_of_the_first_number_over_the_given_interval(tell: Tell) -> None:
    summary = tell(powers(1000, 2000, 4000), interval_ms=500)[-1]["summary"]

    assert summary["power_mw"]["VDD_IN"] == {
        "mean_mw": pytest.approx(7000 / 3),
        "min_mw": 1000,
        "max_mw": 4000,
        "samples": 3,
        "seconds": 1.0,
        "energy_mj": 0.5 * 1500 + 0.5 * 3000,
    }
    assert summary["total"]["rule"] == "VDD_IN, the whole module"
    assert summary["total"]["energy_mj"] == 2250
    assert summary["seconds"] == 1.0
    assert summary["interval_ms"] == 500
    assert summary["time_source"] == "a line every 500 ms, as given"
    assert summary["not_measured"] == {
        "gpu_load_percent": "no load of the GPU in this log",
        "cpu_load_percent": "no load of the processor in this log",
    }


def test_time_comes_from_the_instants_at_which_the_stamps_change(tell: Tell) -> None:
    # Four lines a second; the first second and the last are cut short.
    seconds = [58, 59, 59, 59, 59, 60, 60, 60, 60, 61]
    stamps = [f"04-19-2026 01:{31 + second // 60}:{second % 60:02}" for second in seconds]

    summary = tell(powers(*[8000] * 10, stamps=stamps))[-1]["summary"]

    assert summary["seconds"] == pytest.approx(9 / 4)
    assert summary["interval_ms"] == pytest.approx(250)
    assert summary["total"]["energy_mj"] == pytest.approx(8000 * 9 / 4)


@pytest.mark.parametrize(
    ("stamps", "reason"),
    [
        ([""] * 4, "no line has a time stamp"),
        (["02-31-2026 01:00:00"] * 4, "no line has a time stamp"),
        (["04-19-2026 01:00:00"] * 2 + ["04-19-2026 01:00:01"] * 2, "too short"),
        (
            [f"04-19-2026 01:00:0{second}" for second in (1, 2, 3, 2)],
            "the board's clock goes back at 04-19-2026 01:00:02",
        ),
        (
            [f"04-19-2026 01:00:{second}" for second in ("01", "02", "03", "33")],
            "30 s are missing before 04-19-2026 01:00:33",
        ),
    ],
)
def test_without_times_energy_is_null_with_the_reason_and_power_stands(
    tell: Tell, stamps: list[str], reason: str
) -> None:
    summary = tell(powers(1000, 2000, 3000, 4000, stamps=stamps))[-1]["summary"]

    assert summary["power_mw"]["VDD_IN"]["energy_mj"] is None
    assert summary["total"]["energy_mj"] is None
    assert summary["seconds"] is summary["interval_ms"] is summary["time_source"] is None
    assert reason in summary["not_measured"]["energy_mj"]
    assert "--interval-ms" in summary["not_measured"]["energy_mj"]
    assert summary["total"]["mean_mw"] == 2500


def test_a_sum_of_rails_counts_lines_that_have_them_all(tell: Tell) -> None:
    lines = [
        "cpu@40C VDD_GPU_SOC 1000mW/0mW VDD_CPU_CV 200mW/0mW VIN_SYS_5V0 30mW/0mW",
        "cpu@40C VDD_GPU_SOC 9000mW/0mW VDD_CPU_CV 900mW/0mW VIN_SYS_x",
        "cpu@40C VDD_GPU_SOC 3000mW/0mW VDD_CPU_CV 400mW/0mW VIN_SYS_5V0 50mW/0mW",
    ]

    summary = tell(lines, interval_ms=1000)[-1]["summary"]

    assert summary["total"] == {
        "rule": "sum of rails, module only: VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0",
        "rails": ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"],
        "whole": False,
        "mean_mw": 2340,
        "min_mw": 1230,
        "max_mw": 3450,
        "samples": 2,
        "seconds": 2.0,
        "energy_mj": 4680,
    }


def test_a_rail_name_that_one_line_broke_is_not_part_of_the_total(tell: Tell) -> None:
    lines = [f"cpu@40C VDD_A {mw}mW/0mW VDD_B 10mW/0mW" for mw in (100, 200, 300)]

    told = tell([*lines, "cpu@40C VDD_x 400mW/0mW VDD_B 10mW/0mW"], interval_ms=1000)

    assert told[-1]["summary"]["total"]["rails"] == ["VDD_A", "VDD_B"]
    assert told[-1]["summary"]["total"]["samples"] == 3


def test_a_line_that_cannot_be_read_is_counted_named_and_takes_its_time(tell: Tell) -> None:
    lines = powers(1000, 1000)
    lines[1:1] = ["", "Segmentation fault", "\0\0\xff"]

    told = tell(lines, interval_ms=1000)

    assert told[1] == {"line": 3, "unreadable": "Segmentation fault"}
    assert [line.get("line") for line in told] == [1, 3, 4, 5, None]
    assert told[-1]["summary"]["unreadable_lines"] == [3, 4]
    assert told[-1]["summary"]["unreadable"] == 2
    assert told[-1]["summary"]["lines"] == 4
    assert told[-1]["summary"]["total"]["energy_mj"] == 3000


def test_temperatures_and_loads_are_means_over_lines_and_cores(tell: Tell) -> None:
    lines = [
        "CPU [10%@729,off,30%@729] GR3D_FREQ 0% tj@40.5C",
        "CPU [100%@729,off,off] GR3D_FREQ 99%@[918] tj@50.5C",
        "GR3D_FREQ @[918] tj@-256C",
    ]

    summary = tell(lines, interval_ms=1000)[-1]["summary"]

    assert summary["celsius"] == {"tj": {"mean": 45.5, "max": 50.5}}
    assert summary["gpu_load_percent"] == 49.5
    assert summary["cpu_load_percent"] == 60
    assert summary["power_mw"] == {}
    assert summary["total"] is None
    assert summary["not_measured"] == dict.fromkeys(
        ("power_mw", "energy_mj"), "no power rail can be read in this log"
    )


@pytest.mark.parametrize(
    ("encoding", "newline"),
    [
        ("utf-8", "\r\n"),
        ("utf-8", "\r"),
        ("utf-8", "\r\r\n"),
        ("utf-8-sig", "\n"),
        ("utf-16", "\n"),
    ],
)
def test_a_log_that_came_over_other_systems_reads_the_same(
    tell: Tell, encoding: str, newline: str
) -> None:
    lines = [sample.line for sample in RECORDED]

    told = tell(lines, interval_ms=1000, encoding=encoding, newline=newline)

    read = [{key: line[key] for key in line if key != "line"} for line in told[:-1]]
    assert read == [sample.fields for sample in RECORDED]


def test_a_last_line_cut_within_a_number_does_not_give_it(tmp_path: Path, tell: Tell) -> None:
    whole = JETPACK_4 + "\n"
    log = tmp_path / "cut.log"

    for end in range(whole.index("POM_5V_IN"), len(whole)):
        log.write_text(whole + whole[:end])
        line = tell(log, interval_ms=1000)[1]
        whole_rails = RECORDED[0].fields["power_mw"]
        assert line.get("power_mw", []) == whole_rails[: len(line.get("power_mw", []))]


def test_stdin_is_a_log_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = io.BytesIO("\n".join(powers(1000, 3000)).encode() + b"\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(raw)))

    tegrastats_command(Path("-"), as_json=True, interval_ms=1000)

    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told[-1]["summary"]["total"]["energy_mj"] == 2000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty; expected lines such as"),
        (b"\n\n", "it is empty"),
        (b"hello\nworld\n", "2 lines, none from tegrastats"),
        (b"\x1f\x8b\x08\x00" + bytes(range(256)) * 9, "none from tegrastats"),
        (b"x" * 5_000_000, "1 lines, none from tegrastats"),
        (b"x\n" * 3 * NOT_A_LOG, "10,000 lines, none from tegrastats"),
    ],
)
def test_a_file_without_one_readable_line_is_refused_and_nothing_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    log = tmp_path / "t.log"
    log.write_bytes(content)

    with pytest.raises(BadInput, match=re.escape(said)):
        tegrastats_command(log, as_json=True, interval_ms=None)

    assert capsys.readouterr().out == ""


def test_a_line_without_an_end_is_not_read_for_ever() -> None:
    with pytest.raises(BadInput, match="line 1 is longer than"):
        tegrastats_command(Path("/dev/zero"), as_json=False, interval_ms=None)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent\.log: no such file"):
        tegrastats_command(tmp_path / "absent.log", as_json=False, interval_ms=None)
    with pytest.raises(BadInput, match="is a folder"):
        tegrastats_command(tmp_path, as_json=False, interval_ms=None)


@pytest.mark.parametrize("interval_ms", [0, -100, float("inf"), float("nan")])
def test_an_interval_that_is_none_is_refused(tmp_path: Path, interval_ms: float) -> None:
    with pytest.raises(BadInput, match=r"--interval-ms .*: expected milliseconds"):
        tegrastats_command(tmp_path / "t.log", as_json=False, interval_ms=interval_ms)


def test_people_get_tables_with_the_rule_the_clock_and_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "[bold]t.log"
    log.write_text("\n".join([JETPACK_4, "torn", JETPACK_4]) + "\n")

    tegrastats_command(log, as_json=False, interval_ms=None)

    said = capsys.readouterr().out
    assert f"{log}: 3 lines\n" in said
    assert "1 unreadable: 2" in said
    assert re.search(r"POM_5V_CPU +│ +366 │ +366 │ +366 │ +not measured", said)
    assert re.search(r"total +│ +1,750 │ +1,750 │ +1,750 │ +not measured", said)
    assert "total: POM_5V_IN, the whole module" in said
    assert re.search(r"thermal +│ +40 │ +40", said)
    assert "GPU load: 0.00 %" in said
    assert "CPU load: 4.50 %" in said
    assert said.count("not measured: no line has a time stamp (JetPack 4 writes none)") == 1


def test_a_recorded_log_comes_to_the_energy_that_numpy_finds(tell: Tell) -> None:
    if not LOG.is_file():
        pytest.skip(f"no recorded log at {LOG}")
    text = LOG.read_text()
    total_mw = np.array([int(mw) for mw in re.findall(r"VDD_IN (\d+)mW", text)])

    summary = tell(LOG)[-1]["summary"]

    assert summary["lines"] == len(total_mw) == 661
    assert summary["total"]["mean_mw"] == pytest.approx(total_mw.mean())
    # The stamps span 72 s and each end is up to one second off.
    assert abs(summary["seconds"] - 72) < 1
    even_mj = (total_mw[1:] + total_mw[:-1]).sum() / 2 * summary["seconds"] / 660
    # Lines come 8 to 10 a second; even spacing moves a step of power by a fraction of a second.
    assert summary["total"]["energy_mj"] == pytest.approx(even_mj, rel=0.005)
    given = tell(LOG, interval_ms=summary["interval_ms"])[-1]["summary"]
    assert given["total"]["energy_mj"] == pytest.approx(even_mj)


def powers(*total_mw: int, stamps: Sequence[str] | None = None) -> list[str]:
    """Lines with one rail, whose second number is none to integrate."""
    stamps = stamps or [""] * len(total_mw)
    lines = zip(stamps, total_mw, strict=True)
    return [f"{stamp} cpu@40C VDD_IN {mw}mW/99999mW".strip() for stamp, mw in lines]


@pytest.fixture
def tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Tell:
    """The objects that the command prints for a log, given as a file or as lines."""

    def run(
        log: Path | Sequence[str],
        interval_ms: float | None = None,
        encoding: str = "utf-8",
        newline: str = "\n",
    ) -> list[dict[str, Any]]:
        path = log if isinstance(log, Path) else tmp_path / "tegrastats.log"
        if not isinstance(log, Path):
            path.write_bytes("".join(line + newline for line in log).encode(encoding))
        tegrastats_command(path, as_json=True, interval_ms=interval_ms)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run
