"""Heat, fan and over-current counters of every fake board, whatever the numbers of its nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy.agent import thermal
from edgestill.deploy.agent.files import Files

from ..fake_boards import BOARDS

FakeBoards: TypeAlias = Callable[..., Path]
WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]


@pytest.mark.parametrize("first_hwmon", [0, 7])
@pytest.mark.parametrize("name", BOARDS)
def test_every_board_tells_its_heat_fan_and_over_current(
    fake_board: FakeBoards, name: str, first_hwmon: int
) -> None:
    files = Files(fake_board(name, first_hwmon=first_hwmon))
    truth = BOARDS[name]

    readable = {zone: milli for zone, milli in truth.zones.items() if milli not in (None, -256_000)}
    assert {zone["name"]: zone["celsius"] * 1000 for zone in thermal.zones(files)} == readable
    assert thermal.fan(files) == {"pwm": 80, "rpm": 2100}
    events = {f"oc{number}": count for number, count in enumerate(truth.oc_events, 1)}
    assert thermal.throttle(files) == events
    assert thermal.cooling(files)[0] == {"name": "pwm-fan", "state": 0, "max_state": 10}


def test_sensors_that_are_off_or_fail_are_left_out_with_the_reason(
    fake_board: FakeBoards,
) -> None:
    off, failing = Files(fake_board("xavier-nx")), Files(fake_board("orin-nano"))

    thermal.zones(off)
    thermal.zones(failing)

    assert "the sensor is off" in off.unread.values()
    assert failing.unread["/sys/class/thermal/thermal_zone2/temp"] == "Is a directory"


def test_counters_are_found_by_device_where_the_class_folder_is_absent(
    write_files: WriteFiles,
) -> None:
    folder = f"{thermal.OVER_CURRENT_DEVICE}/hwmon/hwmon3"
    root = write_files({f"{folder}/oc2_event_cnt": "4\n", f"{folder}/oc3_event_cnt": "x\n"})
    files = Files(root)

    assert thermal.throttle(files) == {"oc2": 4}
    assert files.unread[f"/{folder}/oc3_event_cnt"].startswith("no number")


def test_a_machine_without_any_of_it_says_nothing(tmp_path: Path) -> None:
    files = Files(tmp_path)

    found = [thermal.zones(files), thermal.cooling(files), thermal.fan(files)]

    assert found == [[], [], None]
    assert (thermal.throttle(files), files.unread) == ({}, {})


def test_a_fan_without_a_tachometer_has_no_speed(write_files: WriteFiles) -> None:
    root = write_files({"sys/class/hwmon/hwmon4/pwm1": "255\n"})

    assert thermal.fan(Files(root)) == {"pwm": 255, "rpm": None}


def test_a_cooling_device_at_work_shows(write_files: WriteFiles) -> None:
    folder = "sys/class/thermal/cooling_device0"
    root = write_files({f"{folder}/type": "cpu-sw-throttle\n", f"{folder}/cur_state": "1\n"})

    found = thermal.cooling(Files(root))

    assert found == [{"name": "cpu-sw-throttle", "state": 1, "max_state": None}]
