"""The power rails that a board's own monitors measure, found by their labels; NVIDIA's INA3221 and
INA238.

Numbers of hwmon folders change from boot to boot, so nothing goes by them. Nodes, units and steps:
Linux, Documentation/hwmon/ina3221.rst and drivers/hwmon/ina238.c; JetPack 4's driver: energymon's
documentation and the bindings of ti,ina3221x.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from dataclasses import dataclass, replace

from .files import Files
from .total_rule import NOT_CONNECTED

DRIVERS = "sys/bus/i2c/drivers"
INA3221_STEP_UV, INA3221_STEP_MV = 40.0, 8.0  # across its shunt resistor; of its bus voltage
INA238_STEP_UV, INA238_STEP_MV = 5.0, 3.125
JETPACK_SHUNT_UOHM = 5000  # of NVIDIA's modules; taken where the driver does not tell
INA238_SHUNT_UOHM = 10000  # what its driver takes where the device tree does not tell
INA3221_UPDATE_MS = 7  # three channels of 2 x 1.1 ms, its driver's setting
JETPACK4_UPDATE_S = 0.1  # its driver does not tell; assumed
INA238_UPDATE_S = 0.05  # 16 conversions of 3 x 1.05 ms, its driver's setting
AGAIN = 3
PAUSE_S = 0.001


@dataclass(frozen=True)
class Rail:
    """One rail and where it is read: its power, or its voltage and current."""

    name: str
    address: str
    """Bus and address of its monitor, such as 1-0040."""
    volt_mv: str
    """Path of the node, as the others."""
    curr_ma: str | None
    power: str | None
    """Read if it is there, as it tells voltage and current of one instant."""
    per_mw: int
    """What that node gives for a milliwatt."""
    step_ma: float
    step_mv: float
    """What the monitor cannot tell apart."""
    update_s: float
    """Over what time the monitor takes one reading."""


def find_rails(files: Files) -> list[Rail]:
    """The rails below the root, those of one monitor in its order.

    A channel without a label is passed over: nobody can say what it measures, nor whether it is in
    another one. Rails with the same label get their monitor's address, VDD_IN@1-0041.
    """
    found = [*_iio(files), *_hwmon(files), *_ina238(files)]
    counts = Counter(rail.name for rail in found)
    return [
        replace(rail, name=f"{rail.name}@{rail.address}") if counts[rail.name] > 1 else rail
        for rail in found
    ]


def read_rail(rail: Rail) -> float:
    """What the rail draws now, in milliwatts; may be negative.

    Raises:
        OSError, ValueError: it cannot be read, after some tries.
    """
    if rail.power is not None:
        return read_node(rail.power) / rail.per_mw
    assert rail.curr_ma is not None
    # Two readings one after the other: the monitor does not tell them at one instant.
    return read_node(rail.volt_mv) * read_node(rail.curr_ma) / 1000


def steps_mj(rail: Rail, volt_mv: int, used_mj: float, seconds: float) -> float:
    """How far the energy `used_mj` of a window may be off by the steps of the monitor.

    It cuts off what is less than a step of the current and of the voltage, of every reading alike
    where the power is steady, so these errors do not average out.
    """
    by_voltage = rail.step_mv / volt_mv * abs(used_mj) if volt_mv else 0.0
    return rail.step_ma * abs(volt_mv) / 1000 * seconds + by_voltage


def read_node(path: str) -> int:
    """The whole number that a node of sysfs holds.

    Raises:
        OSError: it cannot be read (EAGAIN, EIO: the monitor was busy or asleep), some times over.
        ValueError: it holds no number.
    """
    for turn in range(AGAIN):
        try:
            return int(_raw(path))
        except OSError:
            if turn == AGAIN - 1:
                raise
            time.sleep(PAUSE_S)
    raise AssertionError("unreachable")


def _raw(path: str) -> bytes:
    # A seventh of the time that pathlib takes: it is done while a model is timed.
    node = os.open(path, os.O_RDONLY)
    try:
        return os.read(node, 64)
    finally:
        os.close(node)


def _iio(files: Files) -> list[Rail]:
    """JetPack 4: .../ina3221x/6-0040/iio:device0/rail_name_0, in_power0_input, ..."""
    found = []
    for folder in sorted(files.folders(f"{DRIVERS}/ina3221x/*/iio[:_]device*")):
        for channel in range(3):
            name = _label(files, f"{folder}/rail_name_{channel}")
            if name is None:
                continue
            tree = f"{folder.rpartition('/')[0]}/of_node/channel@{channel}/ti,shunt-resistor-mohm"
            shunt_mohm = _device_tree_number(files, tree)
            power = f"{folder}/in_power{channel}_input"
            found.append(
                Rail(
                    name,
                    _address(folder),
                    volt_mv=_path(files, f"{folder}/in_voltage{channel}_input"),
                    curr_ma=_path(files, f"{folder}/in_current{channel}_input"),
                    power=_path(files, power) if files.exists(power) else None,
                    per_mw=1,
                    step_ma=_step_ma(INA3221_STEP_UV, (shunt_mohm or 0) * 1000),
                    step_mv=INA3221_STEP_MV,
                    update_s=JETPACK4_UPDATE_S,
                )
            )
    return found


def _hwmon(files: Files) -> list[Rail]:
    """JetPack 5 and later: .../ina3221/1-0040/hwmon/hwmon3/in1_label, in1_input, curr1_input.

    Channels 4 to 6 are the voltages over the shunts, 7 is their sum: only 1 to 3 are rails.
    """
    found = []
    for folder in sorted(files.folders(f"{DRIVERS}/ina3221/*/hwmon/hwmon*")):
        for channel in (1, 2, 3):
            name = _label(files, f"{folder}/in{channel}_label")
            if name is None:
                continue
            found.append(
                Rail(
                    name,
                    _address(folder),
                    volt_mv=_path(files, f"{folder}/in{channel}_input"),
                    curr_ma=_path(files, f"{folder}/curr{channel}_input"),
                    power=None,
                    per_mw=1,
                    step_ma=_step_ma(
                        INA3221_STEP_UV, _number(files, f"{folder}/shunt{channel}_resistor")
                    ),
                    step_mv=INA3221_STEP_MV,
                    update_s=(_number(files, f"{folder}/update_interval") or INA3221_UPDATE_MS)
                    / 1000,
                )
            )
    return found


def _ina238(files: Files) -> list[Rail]:
    """AGX Thor's carrier: .../ina238/*/hwmon/hwmon5/power1_input, in microwatts.

    The driver gives no label, unless the device tree has one; on Thor tegrastats says VIN.
    """
    found = []
    folders = files.folders(f"{DRIVERS}/ina238/*/hwmon/hwmon*") or [
        folder
        for folder in files.folders("sys/class/hwmon/hwmon*")
        if files.exists(f"{folder}/name") and files.text(f"{folder}/name") == "ina238"
    ]
    for folder in sorted(folders):
        name = _label(files, f"{folder}/label") if files.exists(f"{folder}/label") else "VIN"
        if name is None or not files.exists(f"{folder}/power1_input"):
            continue
        shunt_uohm = _device_tree_number(files, f"{folder}/device/of_node/shunt-resistor")
        found.append(
            Rail(
                name,
                _address(str((files.root / folder).resolve())),
                volt_mv=_path(files, f"{folder}/in1_input"),
                curr_ma=None,
                power=_path(files, f"{folder}/power1_input"),
                per_mw=1000,
                step_ma=_step_ma(INA238_STEP_UV, shunt_uohm or INA238_SHUNT_UOHM),
                step_mv=INA238_STEP_MV,
                update_s=INA238_UPDATE_S,
            )
        )
    return found


def _step_ma(step_uv: float, shunt_uohm: int | None) -> float:
    return 1000 * step_uv / (shunt_uohm or JETPACK_SHUNT_UOHM)


def _label(files: Files, name: str) -> str | None:
    label = files.text(name) if files.exists(name) else None
    return None if label in (None, NOT_CONNECTED) else label


def _number(files: Files, name: str) -> int | None:
    return files.number(name) if files.exists(name) else None


def _device_tree_number(files: Files, name: str) -> int | None:
    """The property's value: four bytes, the highest first."""
    try:
        raw = (files.root / name).read_bytes()
    except OSError:
        return None  # not every board has it
    return int.from_bytes(raw, "big") if len(raw) == 4 else None


def _path(files: Files, name: str) -> str:
    return str(files.root / name)


def _address(folder: str) -> str:
    found = re.search(r"/(\d+-[0-9a-f]{4})/", folder)
    return found.group(1) if found else folder.rpartition("/")[2]
