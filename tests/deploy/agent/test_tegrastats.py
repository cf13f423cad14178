"""`tegrastats` lines of every release: each field as it stands, and nothing from a broken one."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgestill.deploy.agent.tegrastats import LONGEST_LINE, parse_line, rails_mw

from .tegrastats_lines import RECORDED, SAMPLES, Sample

LOG = Path(__file__).parents[4] / "shared" / "facts" / "orin_nano_tegrastats_100ms.raw"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_field_of_a_line_is_read_as_it_stands(sample: Sample) -> None:
    fields = parse_line(sample.line)

    assert fields == sample.fields


@pytest.mark.parametrize("ending", ["\n", "\r\n", " \n"])
def test_a_line_may_end_as_files_and_consoles_end_it(ending: str) -> None:
    sample = RECORDED[0]

    fields = parse_line(sample.line + ending)

    assert fields == sample.fields


def test_a_rail_and_a_sensor_of_one_name_stay_apart() -> None:
    fields = parse_line("GPU@54.5C CPU@49C GPU 18401/18525 CPU 2301/2330")

    assert fields["celsius"] == {"GPU": 54.5, "CPU": 49}
    assert rails_mw(fields) == {"GPU": 18401, "CPU": 2301}


def test_rails_of_one_name_are_listed_both_and_summed_by_name_neither() -> None:
    fields = parse_line("VDD_A 100mW/100mW VDD_B 7mW/7mW VDD_A 300mW/300mW")

    assert [rail["now_mw"] for rail in fields["power_mw"]] == [100, 7, 300]
    assert rails_mw(fields) == {"VDD_B": 7}


def test_a_field_that_stands_twice_is_absent() -> None:
    torn = "GR3D_FREQ 10%@[918] cpu@50.5C 04-19-2026 01:31:54 GR3D_FREQ 90%@[306] cpu@70.5C tj@60C"

    fields = parse_line(torn)

    assert fields == {"celsius": {"tj": 60}}


@pytest.mark.parametrize(
    "broken",
    [
        "RAM 1923/3964 (lfb 2x2MB)",  # no unit: not a rail called RAM
        "RAM 9231/3964MB",  # more than there is
        "CPU [5%@1224,4%@12x4,3%@1224]",  # with one core unread, whose are the others?
        "CPU [5%@1224,101%@1224]",
        "EMC_FREQ 0%@16 00",
        "GR3D_FREQ 99%@[1005",
        "GR3D_FREQ 99%@[314314,314]",  # a comma is missing
        "GR3D_FREQ 190%@[1005]",
        "APE 2 5",
        "NVJPG 1 off",
        "MTS fg 1% bg",
        "cpu@52437C",
        "cpu@-256C",
        "cpu@52.437",
        "PLL@37CCPU@40C",
        "cpu@40C VDD_IN 2763mW/2846",  # two units, or none
        "cpu@40C VDD_IN 2763mW",
        "cpu@40C POM_5V_IN 1750/16 28",
        "cpu@40C 1750/1628",
        "VDD_IN 1750/1628",  # without a unit only behind the temperatures, as JetPack 4 has it
        "13-45-2026 25:00:00 RAM",
        "12-01-2026 25:00:00",
        "cpu@\u0664\u0662C",  # digits, but not these
        "bash: tegrastats: command not found",
        "",
        "\0\xff\n",
    ],
)
def test_a_field_that_cannot_be_read_is_absent(broken: str) -> None:
    fields = parse_line(broken)

    assert {key: value for key, value in fields.items() if value != {"cpu": 40}} == {}


def test_a_line_of_absurd_length_is_not_read() -> None:
    line = RECORDED[0].line

    assert parse_line(line + " x" * LONGEST_LINE) == {}


def test_a_broken_field_leaves_its_neighbours() -> None:
    sample = RECORDED[4]

    fields = parse_line(sample.line.replace("EMC_FREQ 2%@204", "EMC_FREQ \x1b[31m%@"))

    assert fields == {key: value for key, value in sample.fields.items() if key != "emc"}


def test_ten_thousand_lines_mutated_everywhere_give_only_what_stands_in_them() -> None:
    chance = random.Random(20260419)
    reported = 0

    for _ in range(10_000):
        line = chance.choice(SAMPLES).line
        for _ in range(chance.randint(1, 8)):
            line = mutated(line, chance)
        fields = parse_line(line)
        assert misread(fields, line) == []
        reported += len(fields)

    assert reported > 20_000  # most of a line still reads; a parser that gives up would pass above


def test_ten_thousand_lines_broken_between_their_numbers_say_the_truth_or_nothing() -> None:
    chance = random.Random(7)
    reported = 0

    for _ in range(10_000):
        sample = chance.choice(SAMPLES)
        at = chance.choice([i for i, c in enumerate(sample.line) if not (c.isdigit() or c == "-")])
        stray = chance.choice(" xWCmMkB%@[]()/\t\0")
        after = at + chance.choice((0, 1))  # inserted, or in the other's place
        line = chance.choice((sample.line[:at] + stray, sample.line[:at])) + sample.line[after:]
        fields = parse_line(line)
        truth = flat({**sample.fields, "power_mw": rails_mw(sample.fields)})
        told = flat({**fields, "power_mw": rails_mw(fields)})
        assert {key: told[key] for key in told if key in truth and told[key] != truth[key]} == {}
        reported += len(told)

    assert reported > 200_000


def test_the_checks_of_mutated_lines_see_a_number_that_is_not_there() -> None:
    for sample in RECORDED:
        fields = parse_line(sample.line)
        for path, value in flat(fields).items():
            assert misread(replaced(fields, path, other_than(value)), sample.line), path


@pytest.fixture(scope="module")
def log() -> list[str]:
    if not LOG.is_file():
        pytest.skip(f"no recorded log at {LOG}")
    return LOG.read_text().splitlines()


def test_a_recorded_log_reads_line_by_line(log: list[str]) -> None:
    lines = [parse_line(line) for line in log]

    assert len(lines) == 661
    assert all(misread(fields, line) == [] for fields, line in zip(lines, log, strict=True))
    for fields in lines:
        assert set(fields) == set(RECORDED[6].fields)
        assert list(rails_mw(fields)) == ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]
        assert len(fields["cpus"]) == 6
        assert fields["emc"]["mhz"] == 3199
        assert fields["ram"]["total_mb"] == 7607
        assert set(fields["celsius"]) == {"cpu", "soc0", "soc1", "soc2", "gpu", "tj"}
        assert all(47 < celsius < 61 for celsius in fields["celsius"].values())
    total = [rails_mw(fields)["VDD_IN"] for fields in lines]
    assert (min(total), max(total)) == (5971, 21663)


def test_the_second_power_of_a_line_is_the_mean_since_the_start(log: list[str]) -> None:
    lines = [parse_line(line)["power_mw"] for line in log]

    for rail in range(3):
        gone_mw = 0
        for count, rails in enumerate(lines, start=1):
            gone_mw += rails[rail]["now_mw"]
            # It is printed as a whole number: half a milliwatt off, either way.
            assert abs(rails[rail]["mean_mw"] - gone_mw / count) <= 1


def mutated(line: str, chance: random.Random) -> str:
    """One of: a character dropped, doubled, put in, changed; a piece dropped or doubled; cut."""
    at = chance.randint(0, len(line))
    to = min(len(line), at + chance.randint(1, 40))
    stray = chance.choice("0123456789 .-/%@[](),CMWmx\t\0\u0660\xff")
    return chance.choice(
        (
            line[:at] + line[at + 1 :],
            line[:at] + line[at : at + 1] + line[at:],
            line[:at] + stray + line[at:],
            line[:at] + stray + line[at + 1 :],
            line[:at] + line[to:],
            line[:to] + line[at:],
            line[:at] if at > len(line) // 2 else line,
        )
    )


def misread(fields: dict[str, Any], line: str) -> list[str]:
    """What `fields` has that does not stand in the line, each with the text looked for.

    The fields are written as tegrastats does and looked up, so nothing is shared with the parser.
    """
    wanted = list(written(fields))
    return [text for text in wanted if not re.search(rf"(?<!\S){text}(?![^\s(])", line)]


def written(fields: dict[str, Any]) -> Iterator[str]:
    """Each field as a regular expression of how it is written in a line."""
    if "time" in fields:
        yield re.escape(fields["time"])
    for name, unit in (("ram", "mb"), ("swap", "mb"), ("iram", "kb")):
        if name in fields:
            memory = fields[name]
            text = f"{name.upper()} {memory[f'used_{unit}']}/{memory[f'total_{unit}']}"
            yield text + {"mb": "MB", "kb": "kB"}[unit]
        if "lfb_blocks" in fields.get(name, {}):
            size = f"{memory['lfb_mb']}MB" if "lfb_mb" in memory else f"{memory['lfb_kb']}kB"
            yield text + rf"MB \(lfb {memory['lfb_blocks']}x{size}\)"
        elif "lfb_kb" in fields.get(name, {}):
            yield text + rf"kB ?\(lfb {memory['lfb_kb']}kB\)"
        if "cached_mb" in fields.get(name, {}):
            yield text + rf"MB \(cached {memory['cached_mb']}MB\)"
    if "cpus" in fields:
        cores = ["off" if core is None else load(core) for core in fields["cpus"]]
        yield rf"CPU \[{','.join(cores)}\]"
    if "emc" in fields:
        yield f"EMC(?:_FREQ)? {load(fields['emc'])}"
    if "gpu" in fields:
        clocks = ",".join(map(str, fields["gpu"].get("mhz", [])))
        clocks = rf"@(?:{clocks}|\[{clocks}\])" if clocks else ""
        yield f"GR3D(?:_FREQ)? {load({**fields['gpu'], 'mhz': None})}{clocks}"
    for name, engine in fields.get("engines", {}).items():
        if name == "MTS":
            yield f"MTS fg {engine['fg_percent']}% bg {engine['bg_percent']}%"
        else:
            state = load(engine, "@?") if isinstance(engine, dict) else engine
            yield f"{name}(?:_FREQ)? {state}"
    peaks = fields.get("celsius_peak", {})
    for name, celsius in fields.get("celsius", {}).items():
        yield rf"{re.escape(name)}@{decimal(celsius)}C(?:/\S*)?"
    for name, celsius in peaks.items():
        yield rf"{re.escape(name)}@[^\s/]*/{decimal(celsius)}C"
    for rail in fields.get("power_mw", []):
        numbers = [str(rail[key]) for key in ("now_mw", "mean_mw", "peak_mw") if key in rail]
        yield re.escape(rail["rail"]) + f" (?:{'/'.join(numbers)}|{'mW/'.join(numbers)}mW)"


def load(part: dict[str, Any], at: str = "@") -> str:
    percent = f"{part['load_percent']}%" if "load_percent" in part else ""
    return percent + (f"{at}{part['mhz']}" if part.get("mhz") is not None else "")


def decimal(number: float) -> str:
    whole, _, fraction = f"{number:.4f}".rstrip("0").partition(".")
    return rf"{whole}\.{fraction}0*" if fraction else rf"{whole}(?:\.0*)?"


def flat(value: Any, path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    """{path: number or text} of everything in nested dictionaries and lists."""
    if isinstance(value, dict):
        parts: Any = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    else:
        return {path: value}
    return {key: leaf for name, part in parts for key, leaf in flat(part, (*path, name)).items()}


def replaced(value: Any, path: tuple[Any, ...], leaf: Any) -> Any:
    """A copy of the nested `value` with the leaf at `path` exchanged."""
    if not path:
        return leaf
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], leaf)
    return copy


def other_than(value: Any) -> Any:
    return value + 1 if isinstance(value, (int, float)) else f"{value}x"
