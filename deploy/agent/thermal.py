"""Heat and what is done against it: thermal zones, cooling devices, fan, over-current counters."""

from __future__ import annotations

import re
from typing import Any

from .files import Files

OFF_CELSIUS = -256.0  # what a sensor of Tegra reads while its part is switched off
OVER_CURRENT = "soctherm_oc"
OVER_CURRENT_DEVICE = "sys/devices/platform/soctherm-oc-event"
RPM = ("rpm", "fan1_input")  # of NVIDIA's tachometer; of all others
OLD_FAN = "sys/devices/pwm-fan/cur_pwm"  # of JetPack 4


def zones(files: Files) -> list[dict[str, Any]]:
    """{"name", "celsius"} of each thermal zone that can be read."""
    found = []
    for zone in files.folders("sys/class/thermal/thermal_zone*"):
        millicelsius = files.number(zone + "/temp")
        if millicelsius is None:
            continue
        if millicelsius / 1000 <= OFF_CELSIUS:
            files.unread[f"/{zone}/temp"] = "the sensor is off"
            continue
        name = files.text(zone + "/type") or zone.rpartition("/")[2]
        found.append({"name": name, "celsius": millicelsius / 1000})
    return found


def cooling(files: Files) -> list[dict[str, Any]]:
    """{"name", "state", "max_state"} of each cooling device; a state above 0: it cools now."""
    found = []
    for device in files.folders("sys/class/thermal/cooling_device*"):
        state = files.number(device + "/cur_state")
        if state is not None and state >= 0:
            name = files.text(device + "/type") or device.rpartition("/")[2]
            highest = files.number(device + "/max_state")
            found.append({"name": name, "state": state, "max_state": highest})
    return found


def fan(files: Files) -> dict[str, int | None] | None:
    """{"pwm": 0 to 255, "rpm"} of the first fan; None where there is none."""
    monitors = files.folders("sys/class/hwmon/hwmon*")
    pwm = _first(files, [f"{monitor}/pwm1" for monitor in monitors] + [OLD_FAN])
    rpm = _first(files, [f"{monitor}/{name}" for monitor in monitors for name in RPM])
    return None if pwm is None and rpm is None else {"pwm": pwm, "rpm": rpm}


def throttle(files: Files) -> dict[str, int]:
    """Over-current events since boot by counter, {"oc1": 0}; {} where there are none.

    On Orin: oc1 under-voltage, oc2 the mean and oc3 the momentary current. Each slowed the board.
    """
    events: dict[str, int] = {}
    for folder in over_current_folders(files):
        for name in files.folders(folder + "/oc*_event_cnt"):
            match = re.search(r"(oc\d+)_event_cnt$", name)
            count = files.number(name)
            if match and count is not None and count >= 0:
                events[match.group(1)] = count
    return events


def over_current_folders(files: Files) -> list[str]:
    """The monitors with over-current counters, by their name: their numbers change at boot."""
    monitors = files.folders("sys/class/hwmon/hwmon*")
    named = [
        folder
        for folder in monitors
        if files.exists(folder + "/name") and files.text(folder + "/name") == OVER_CURRENT
    ]
    return named or files.folders(OVER_CURRENT_DEVICE + "/hwmon/hwmon*")


def _first(files: Files, names: list[str]) -> int | None:
    """The first number that is not negative among those files that are there."""
    for name in names:
        value = files.number(name) if files.exists(name) else None
        if value is not None and value >= 0:
            return value
    return None
