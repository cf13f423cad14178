"""The thread that reads rails, on real files, against what they held all the time."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy.agent import meter_rails
from edgestill.deploy.agent.errors import Unmeasurable
from edgestill.deploy.agent.meter_rails import FEWEST_SAMPLES, Rails
from edgestill.deploy.agent.rails import Rail, read_rail

WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]
FOLDER = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"


def rewrite(path: Path, content: str) -> None:
    """As sysfs does it: a reader finds the old content or the new one, never a part."""
    fresh = path.with_name("fresh")
    fresh.write_text(content)
    os.replace(fresh, path)


@pytest.fixture
def board(write_files: WriteFiles) -> Path:
    """A module that draws 5 W, half of it in its CPU, GPU and CV."""
    files = {f"{FOLDER}/in{n}_input": "5000\n" for n in (1, 2)}
    return write_files(
        {
            **files,
            f"{FOLDER}/in1_label": "VDD_IN\n",
            f"{FOLDER}/curr1_input": "1000\n",
            f"{FOLDER}/shunt1_resistor": "5000\n",
            f"{FOLDER}/in2_label": "VDD_CPU_GPU_CV\n",
            f"{FOLDER}/curr2_input": "500\n",
        }
    )


@pytest.fixture
def meter(board: Path) -> Iterator[Rails]:
    found = Rails(board)
    found.start()
    yield found
    found.close()


def test_the_energy_of_a_window_is_power_times_time(meter: Rails) -> None:
    start = time.perf_counter_ns()
    meter.begin(start)
    time.sleep(0.8)
    stop = time.perf_counter_ns()

    found = meter.end(stop)

    seconds = (stop - start) / 1e9
    assert found.used_mj == pytest.approx(5000 * seconds)
    assert found.rails_mj["VDD_CPU_GPU_CV"] == pytest.approx(2500 * seconds)
    # Steps of 8 mA at 5 V, and of 8 mV at 1 A.
    assert found.bound_mj == pytest.approx((8 * 5 + 8 * 1) * seconds)
    assert found.samples >= FEWEST_SAMPLES


def test_only_the_total_is_in_the_sum_and_the_rule_says_so(meter: Rails) -> None:
    assert meter.rails == ["VDD_IN", "VDD_CPU_GPU_CV"]
    assert meter.rule == "VDD_IN, the whole module"
    assert "1-0040" in meter.source


def test_what_happens_before_and_after_a_window_is_not_in_it(meter: Rails, board: Path) -> None:
    current = board / FOLDER / "curr1_input"
    time.sleep(0.2)
    start = time.perf_counter_ns()
    meter.begin(start)
    time.sleep(0.8)
    stop = time.perf_counter_ns()
    rewrite(current, "9000\n")  # 45 W from here on

    found = meter.end(stop)

    # The step lies between the readings around the edge: a trapezoid may see a part of it, and
    # the bound says how much.
    seconds = (stop - start) / 1e9
    assert abs(found.used_mj - 5000 * seconds) <= found.bound_mj
    assert found.bound_mj > 8 * 5 * seconds + found.used_mj / 625 + 0.007 * 40_000


def test_a_step_within_a_window_is_in_the_bound_by_the_monitor_s_own_delay(
    meter: Rails, board: Path
) -> None:
    time.sleep(0.2)
    start = time.perf_counter_ns()
    meter.begin(start)
    time.sleep(0.5)
    rewrite(board / FOLDER / "curr1_input", "2000\n")
    time.sleep(0.5)
    stop = time.perf_counter_ns()

    found = meter.end(stop)

    seconds = (stop - start) / 1e9
    steps_mj = 8 * 5 * seconds + found.used_mj / 625  # of the current, and one in 625 of the volts
    assert found.bound_mj == pytest.approx(steps_mj + 0.007 * 5000)  # 7 ms of 5 W


def test_a_steady_power_with_a_monitor_s_noise_is_known_within_the_bound(
    meter: Rails, board: Path
) -> None:
    current, steps, over = board / FOLDER / "curr1_input", (1000, 1008), threading.Event()

    def draw() -> None:  # 5.02 W, of which a monitor in steps of 8 mA shows one side or the other
        for turn in itertools.count():
            if over.wait(0.003):
                return
            rewrite(current, f"{steps[turn % 2]}\n")

    drawing = threading.Thread(target=draw)
    drawing.start()
    start = time.perf_counter_ns()
    meter.begin(start)
    time.sleep(2.0)
    stop = time.perf_counter_ns()

    found = meter.end(stop)

    over.set()
    drawing.join()
    assert abs(found.used_mj - 5020 * (stop - start) / 1e9) <= found.bound_mj
    assert found.bound_mj < 0.015 * found.used_mj


def test_the_trace_has_every_reading_of_the_total(meter: Rails) -> None:
    start = time.perf_counter_ns()
    meter.begin(start)
    time.sleep(0.8)
    meter.end(time.perf_counter_ns())

    trace = meter.trace(start)

    assert trace is not None
    assert set(trace["mw"]) == {5000.0}
    assert trace["t_s"] == sorted(trace["t_s"])
    assert trace["t_s"][0] < 0 < trace["t_s"][-1]


def test_a_rail_of_the_total_that_vanishes_is_told(
    meter: Rails, board: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter_rails, "PATIENCE_S", 0.3)
    meter.begin(time.perf_counter_ns())
    (board / FOLDER / "curr1_input").unlink()
    time.sleep(0.1)

    with pytest.raises(Unmeasurable, match=r"not read after the window \(VDD_IN: No such file"):
        meter.end(time.perf_counter_ns())


def test_a_rail_that_comes_back_is_measured_again(meter: Rails, board: Path) -> None:
    node = board / FOLDER / "curr1_input"
    node.unlink()
    time.sleep(0.2)
    node.write_text("1000\n")
    time.sleep(0.2)
    start = time.perf_counter_ns()
    meter.begin(start)
    time.sleep(0.8)
    stop = time.perf_counter_ns()

    assert meter.end(stop).used_mj == pytest.approx(5000 * (stop - start) / 1e9)


def test_readings_that_fail_now_and_then_cost_no_window(
    meter: Rails, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = itertools.count()

    def flaky(rail: Rail) -> float:
        if rail.name == "VDD_IN" and next(asked) % 3 == 0:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return read_rail(rail)

    monkeypatch.setattr(meter_rails, "read_rail", flaky)
    time.sleep(0.2)
    start = time.perf_counter_ns()
    meter.begin(start)
    time.sleep(1.5)
    stop = time.perf_counter_ns()

    found = meter.end(stop)

    assert found.used_mj == pytest.approx(5000 * (stop - start) / 1e9)


def test_a_monitor_that_hangs_is_not_waited_for_for_ever(
    meter: Rails, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(meter_rails, "read_rail", lambda rail: over.wait(10) or 0.0)
    monkeypatch.setattr(meter_rails, "PATIENCE_S", 0.3)
    meter.begin(time.perf_counter_ns())
    time.sleep(0.2)

    with pytest.raises(Unmeasurable, match=r"no answer for 0\.3 s"):
        meter.end(time.perf_counter_ns())
    over.set()


def test_a_rail_beside_the_total_that_vanishes_costs_only_itself(meter: Rails, board: Path) -> None:
    meter.begin(time.perf_counter_ns())
    (board / FOLDER / "curr2_input").unlink()
    time.sleep(0.8)

    assert list(meter.end(time.perf_counter_ns()).rails_mj) == ["VDD_IN"]


def test_a_window_with_hardly_a_reading_is_refused(meter: Rails) -> None:
    meter.begin(time.perf_counter_ns())
    time.sleep(0.03)

    with pytest.raises(Unmeasurable, match="fewer than 10: measure for longer"):
        meter.end(time.perf_counter_ns())


def test_rails_that_cannot_be_read_from_the_start_are_no_meter(board: Path) -> None:
    node = board / FOLDER / "curr1_input"
    node.unlink()
    node.mkdir()  # a node that gives an error, as one for root only does

    with pytest.raises(Unmeasurable, match="VDD_IN: Is a directory"):
        Rails(board)


def test_a_machine_without_rails_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unmeasurable, match="no power rail"):
        Rails(tmp_path)
