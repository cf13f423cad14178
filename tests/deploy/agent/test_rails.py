"""Rails by their labels, whatever their numbers, in the units of each driver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy.agent import rails
from edgestill.deploy.agent.files import Files
from edgestill.deploy.agent.rails import AGAIN, find_rails, read_node, read_rail, steps_mj

WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]
FakeBoard: TypeAlias = Callable[..., Path]
ORIN_NANO = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"
REAL = {
    f"{ORIN_NANO}/name": "ina3221\n",
    f"{ORIN_NANO}/in1_label": "VDD_IN\n",
    f"{ORIN_NANO}/in1_input": "4984\n",
    f"{ORIN_NANO}/curr1_input": "1856\n",
    f"{ORIN_NANO}/shunt1_resistor": "5000\n",
    f"{ORIN_NANO}/in4_input": "9280\n",
    f"{ORIN_NANO}/in7_label": "sum of shunt voltages\n",
    f"{ORIN_NANO}/in7_input": "9280\n",
}

NANO = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
JETPACK_4 = {
    f"{NANO}/rail_name_0": "POM_5V_IN\n",
    f"{NANO}/in_voltage0_input": "5000\n",
    f"{NANO}/in_current0_input": "350\n",
    f"{NANO}/in_power0_input": "1744\n",
    f"{NANO}/rail_name_1": "NC\n",
}
VIN = "sys/bus/i2c/drivers/ina238/2-0044/hwmon/hwmon5"
THOR = {
    f"{VIN}/name": "ina238\n",
    f"{VIN}/in1_input": "19780\n",
    f"{VIN}/curr1_input": "1000\n",
    f"{VIN}/power1_input": "19780000\n",
}


@pytest.mark.parametrize(
    ("board", "names"),
    [
        ("nano", ["POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU"]),
        ("orin-nano-super", ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]),
        ("agx-orin", ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"]),
        ("agx-thor", ["VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0", "VIN"]),
    ],
)
@pytest.mark.parametrize("first_hwmon", [0, 7])
def test_a_board_has_its_rails_whatever_their_numbers(
    fake_board: FakeBoard, board: str, names: list[str], first_hwmon: int
) -> None:
    found = find_rails(Files(fake_board(board, first_hwmon=first_hwmon)))

    assert [rail.name for rail in found] == names


def test_voltage_in_millivolts_times_current_in_milliamperes_is_power(
    write_files: WriteFiles,
) -> None:
    (rail,) = find_rails(Files(write_files(REAL)))

    assert (rail.name, rail.address) == ("VDD_IN", "1-0040")
    assert read_rail(rail) == pytest.approx(4.984 * 1.856 * 1000)


def test_power_that_the_monitor_tells_is_taken_as_it_is(write_files: WriteFiles) -> None:
    root = write_files(JETPACK_4)

    (rail,) = find_rails(Files(root))

    assert (rail.name, rail.address) == ("POM_5V_IN", "6-0040")
    assert read_rail(rail) == 1744.0  # of one instant; voltage times current here is of two
    (root / NANO / "in_power0_input").unlink()
    (rail,) = find_rails(Files(root))
    assert read_rail(rail) == 5000 * 350 / 1000


def test_microwatts_of_an_ina238_are_power(write_files: WriteFiles) -> None:
    (rail,) = find_rails(Files(write_files(THOR)))

    assert (rail.name, rail.address) == ("VIN", "2-0044")
    assert read_rail(rail) == 19780.0


def test_an_ina238_of_another_driver_is_found_by_its_name(write_files: WriteFiles) -> None:
    by_name = {f"sys/class/hwmon/hwmon5/{name.rpartition('/')[2]}": THOR[name] for name in THOR}
    other = {"sys/class/hwmon/hwmon6/name": "nvme\n", "sys/class/hwmon/hwmon6/power1_input": "1\n"}

    (rail,) = find_rails(Files(write_files({**by_name, **other})))

    assert (rail.name, read_rail(rail)) == ("VIN", 19780.0)


def test_an_ina238_has_the_label_that_the_device_tree_gives_it(write_files: WriteFiles) -> None:
    labels = {f"{VIN}/label": "SYS_VIN_HV\n"}

    (rail,) = find_rails(Files(write_files({**THOR, **labels})))

    assert rail.name == "SYS_VIN_HV"


def test_the_steps_follow_from_the_shunt_and_the_voltage(write_files: WriteFiles) -> None:
    (rail,) = find_rails(Files(write_files({**REAL, f"{ORIN_NANO}/update_interval": "35\n"})))

    # 40 uV over 5 milliohms are 8 mA: the steps of a recorded log at 5 V are 39 to 40 mW.
    assert (rail.step_ma, rail.step_mv, rail.update_s) == (8.0, 8.0, 0.035)
    assert steps_mj(rail, 4984, used_mj=0, seconds=10) == pytest.approx(398.72)
    # At 9.25 W for 10 s one step in 623 of the voltage is 148 mJ.
    assert steps_mj(rail, 4984, used_mj=92_500, seconds=10) == pytest.approx(398.72 + 92_500 / 623)


def test_where_the_driver_tells_no_shunt_the_device_tree_does(write_files: WriteFiles) -> None:
    root = write_files({**JETPACK_4, **THOR})
    for name, number in (
        (f"{NANO}/../of_node/channel@0/ti,shunt-resistor-mohm", 20),
        (f"{VIN}/device/of_node/shunt-resistor", 2000),
    ):
        (root / name).parent.resolve().mkdir(parents=True)
        (root / name).resolve().write_bytes(number.to_bytes(4, "big"))

    nano, thor = find_rails(Files(root))

    assert (nano.step_ma, thor.step_ma) == (2.0, 2.5)  # 40 uV / 20 milliohms, 5 uV / 2 milliohms


def test_without_a_shunt_the_usual_one_is_taken(write_files: WriteFiles) -> None:
    files = {name: text for name, text in REAL.items() if "shunt1" not in name}

    (rail,) = find_rails(Files(write_files(files)))

    assert rail.step_ma == 8.0  # a bound without the largest of its parts would be none


def test_the_folder_of_older_iio_drivers_is_found(write_files: WriteFiles) -> None:
    older = {name.replace("iio:device0", "iio_device"): text for name, text in JETPACK_4.items()}

    (rail,) = find_rails(Files(write_files(older)))

    assert (rail.name, rail.address) == ("POM_5V_IN", "6-0040")


def test_a_channel_that_is_not_connected_or_not_labelled_is_no_rail(
    write_files: WriteFiles,
) -> None:
    root = write_files(
        {
            **REAL,
            f"{ORIN_NANO}/in2_label": "NC\n",
            f"{ORIN_NANO}/in2_input": "0\n",
            f"{ORIN_NANO}/in3_input": "5000\n",
        }
    )

    assert [rail.name for rail in find_rails(Files(root))] == ["VDD_IN"]


def test_rails_of_one_name_are_kept_apart_by_their_monitor(write_files: WriteFiles) -> None:
    other = {
        name.replace("1-0040/hwmon/hwmon1", "1-0041/hwmon/hwmon2"): REAL[name] for name in REAL
    }

    found = find_rails(Files(write_files({**REAL, **other})))

    assert [rail.name for rail in found] == ["VDD_IN@1-0040", "VDD_IN@1-0041"]


def test_what_a_usb_supply_has_negotiated_is_no_rail(write_files: WriteFiles) -> None:
    supply = "sys/class/power_supply/ucsi-source-psy-1/voltage_now"

    assert find_rails(Files(write_files({supply: "5000000\n"}))) == []


def test_a_busy_monitor_is_asked_again_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, asked = tmp_path / "curr1_input", []
    node.write_text("1856\n")
    real = rails._raw

    def busy(path: str, times: int) -> bytes:
        asked.append(path)
        if len(asked) <= times:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real(path)

    monkeypatch.setattr(rails, "_raw", lambda path: busy(path, AGAIN - 1))
    assert read_node(str(node)) == 1856

    asked.clear()
    monkeypatch.setattr(rails, "_raw", lambda path: busy(path, AGAIN))
    with pytest.raises(BlockingIOError):
        read_node(str(node))
    assert len(asked) == AGAIN


@pytest.mark.parametrize("content", ["", "many\n", "1e3\n"])
def test_a_node_that_holds_no_number_is_no_reading(tmp_path: Path, content: str) -> None:
    (tmp_path / "in1_input").write_text(content)

    with pytest.raises(ValueError, match="invalid literal"):
        read_node(str(tmp_path / "in1_input"))


def test_negative_power_is_kept(write_files: WriteFiles) -> None:
    root = write_files({**REAL, f"{ORIN_NANO}/curr1_input": "-8\n"})

    (rail,) = find_rails(Files(root))

    assert read_rail(rail) == pytest.approx(-39.872)
