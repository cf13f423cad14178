"""Flags: each sign of a measurement not to be trusted gives one sentence with its figures."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from edgestill.deploy.agent.board import board, conditions
from edgestill.deploy.agent.programs import Programs
from edgestill.deploy.agent.trust import flags

Facts: TypeAlias = dict[str, Any]
FakeBoards: TypeAlias = Callable[..., Path]

PC: Facts = {"jetson": None, "cpu": {"governor": "performance", "cores_online": 4}}
JETSON: Facts = {"jetson": {"module": "Orin Nano"}, "cpu": {"governor": "x", "cores_online": 6}}


def steady() -> Facts:
    """A locked, cool board."""
    cores = [
        {"name": f"cpu{n}", "current_mhz": 1728.0, "min_mhz": 1728.0, "max_mhz": 1728.0}
        for n in range(2)
    ]
    gpu = {"name": "gpu", "current_mhz": 1018.0, "min_mhz": 1020.0, "max_mhz": 1020.0}
    emc = {"name": "emc", "current_mhz": 3199.0, "min_mhz": 204.0, "max_mhz": 3199.0}
    return {
        "load_average": [0.5, 0.4, 0.3],
        "frequency_mhz": 1728.0,
        "thermal": [
            {"name": "cpu-thermal", "celsius": 52.0},
            {"name": "tj-thermal", "celsius": 55.0},
            {"name": "PMIC-Die", "celsius": 100.0},  # reads so always
        ],
        "cooling": [
            {"name": "pwm-fan", "state": 1, "max_state": 10},
            {"name": "gpu-throttle-alert", "state": 0, "max_state": 1},
        ],
        "fan": {"pwm": 80, "rpm": 2100},
        "power_mode": {"id": 2, "name": "MAXN_SUPER"},
        "clocks": [{**each, "locked": True} for each in (*cores, gpu, emc)],
        "throttle": {"oc1": 0, "oc2": 2, "oc3": 5},
        "gpu": None,
    }


def case(**changes: Any) -> Facts:
    usual: Facts = {"label": "net", "spread": 0.004, "drift": -0.01, "runs": 200, "window_s": 10.0}
    return usual | {"warmup": {"runs": 50, "seconds": 0.5, "settled": True}} | changes


def found(
    after: Facts, before: Facts | None = None, facts: Facts = JETSON, **changes: Any
) -> list[tuple[str, bool, str]]:
    told = flags(before or steady(), after, board=facts, cases=[case(**changes)])
    assert all(set(flag) == {"kind", "text", "remedy", "grave"} for flag in told)
    return [(flag["kind"], flag["grave"], flag["text"]) for flag in told]


def test_a_steady_run_is_not_flagged() -> None:
    assert found(steady()) == []


def test_a_power_mode_that_moved_is_grave_and_has_a_remedy() -> None:
    after = steady() | {"power_mode": {"id": 0, "name": "15W"}}

    (flag,) = flags(steady(), after, board=JETSON, cases=[])

    assert flag == {
        "kind": "power-mode-moved",
        "text": "the power mode moved from MAXN_SUPER (2) to 15W (0)",
        "remedy": "sudo nvpmodel -m 2",
        "grave": True,
    }


def test_work_that_fell_back_to_another_provider_is_grave() -> None:
    text = "12 of 200 convolutions and matrix products run on CPUExecutionProvider"

    told = found(steady(), engine={"name": "onnxruntime", "facts": {"fallback": text}})

    assert told == [("fallback", True, f"net: {text}")]
    assert found(steady(), engine={"name": "onnxruntime", "facts": {"threads": 4}}) == []


def test_limits_that_moved_are_told_once_for_all_cores() -> None:
    after = steady()
    for clock in after["clocks"][:2]:
        clock["max_mhz"] = 1497.6

    assert found(after) == [
        (
            "clocks-moved",
            True,
            "clock limits moved while it was measured: cpu0, cpu1: max 1728 -> 1497.6 MHz",
        )
    ]


def test_a_core_that_went_offline_is_told() -> None:
    after = steady()
    del after["clocks"][1]

    ((kind, grave, text),) = found(after)

    assert (kind, grave) == ("clocks-moved", True)
    assert "cpu1: went offline" in text


def test_a_locked_gpu_that_runs_slower_is_throttled_and_a_core_only_idle() -> None:
    after = steady()
    after["clocks"][0]["current_mhz"] = 900.0
    after["clocks"][2]["current_mhz"] = 1005.0  # as in a real log, under load at 1020

    ((kind, grave, text),) = found(after)

    assert (kind, grave) == ("clocks-moved", True)
    assert text.endswith("than they were locked to: gpu at 1005 of 1020 MHz after it")


def test_clocks_that_are_switched_off_or_unread_are_no_sign() -> None:
    after = steady()
    after["clocks"][2]["current_mhz"] = 0.0
    after["clocks"][3] |= {"current_mhz": None, "min_mhz": None, "max_mhz": None, "locked": None}

    assert found(after) == []


def test_unlocked_clocks_are_named_with_the_remedy() -> None:
    before, after = steady(), steady()
    for conditions_ in (before, after):
        for clock in conditions_["clocks"][1:3]:
            clock |= {"locked": False, "min_mhz": 306.0}

    (flag,) = flags(before, after, board=JETSON, cases=[])

    assert (flag["kind"], flag["grave"]) == ("clocks-not-locked", False)
    assert flag["text"] == "clocks are not locked, and move with the load: cpu1, gpu"
    assert "sudo jetson_clocks" in flag["remedy"]


def test_on_a_pc_the_governor_counts() -> None:
    facts = {**PC, "cpu": {"governor": "powersave", "cores_online": 4}}

    assert found(steady(), facts=facts) == [
        ("clocks-not-locked", False, "clocks are not pinned: the governor is powersave")
    ]
    assert found(steady(), facts=PC) == []


def test_over_current_events_are_told_by_counter() -> None:
    after = steady() | {"throttle": {"oc1": 0, "oc2": 3, "oc3": 32}}

    assert found(after) == [
        (
            "throttled",
            True,
            "over-current slowed the board: its event counters rose, oc2 by 1, oc3 by 27",
        )
    ]


def test_counters_that_vanish_are_no_rise() -> None:
    assert found(steady() | {"throttle": {}}) == []


def test_cooling_that_holds_clocks_back_is_grave_and_a_fan_is_not() -> None:
    after = steady()
    after["cooling"] = [
        {"name": "pwm-fan", "state": 9, "max_state": 10},
        {"name": "gpu-throttle-alert", "state": 1, "max_state": 1},
    ]

    assert found(after) == [
        (
            "throttled",
            True,
            "the kernel held clocks back against heat: gpu-throttle-alert from 0 to 1",
        )
    ]


def test_a_desktop_gpu_tells_why_its_clock_is_low() -> None:
    gpu = {"name": "GPU X", "celsius": 60.0, "clock_mhz": 210.0}
    before = steady() | {"gpu": gpu | {"throttle_reasons": ["idle"]}}
    lowered = {"throttle_reasons": ["clocks_setting", "sw_thermal_slowdown"]}

    assert found(before, before, facts=PC) == []
    assert found(steady() | {"gpu": gpu | lowered}, before, facts=PC) == [
        ("throttled", True, "the GPU's clock was held back: sw_thermal_slowdown")
    ]


@pytest.mark.parametrize(
    ("celsius", "grave"), [(90.0, None), (90.5, False), (98.9, False), (99.0, True), (104.0, True)]
)
def test_heat_is_told_above_90_and_grave_where_throttling_begins(
    celsius: float, grave: bool | None
) -> None:
    after = steady()
    after["thermal"][1]["celsius"] = celsius

    told = found(after)

    assert [(kind, g) for kind, g, _ in told] == ([] if grave is None else [("hot", grave)])
    assert all(f"tj-thermal had {celsius:.1f} degC after it" in text for *_, text in told)


def test_without_a_junction_sensor_the_hottest_die_counts() -> None:
    before = steady()
    before["thermal"] = [
        {"name": "PMIC-Die", "celsius": 100.0},
        {"name": "CPU-therm", "celsius": 91.0},
        {"name": "GPU-therm", "celsius": 93.0},
    ]

    ((kind, _, text),) = found(steady(), before)

    assert kind == "hot"
    assert text.startswith("GPU-therm had 93.0 degC before it was measured")


@pytest.mark.parametrize(
    ("spread", "grave"), [(0.025, None), (0.026, False), (0.1, False), (0.121, True)]
)
def test_a_wide_spread_is_told_and_a_wider_one_is_grave(spread: float, grave: bool | None) -> None:
    told = found(steady(), spread=spread)

    text = f"net: unstable: the spread is {spread:.1%} (above 2.5%)"
    assert told == ([] if grave is None else [("unstable", grave, text)])


def test_what_is_doubtful_about_one_case_names_it() -> None:
    told = found(
        steady(), drift=0.3, warmup={"runs": 9, "seconds": 5.0, "settled": False}, label="a b1"
    )

    assert told == [
        ("unsettled", False, "a b1: the time per run had not settled after 5.0 s of warm-up"),
        ("drift", False, "a b1: the second half of its runs was 30% slower than the first"),
    ]


def test_a_case_that_got_faster_drifts_as_well() -> None:
    ((kind, _, text),) = found(steady(), drift=-0.06, label="")

    assert kind == "drift"
    assert text == "the second half of its runs was 6% faster than the first"


def test_a_window_that_was_cut_short_is_told() -> None:
    (flag,) = flags(steady(), steady(), board=JETSON, cases=[case()], seconds=20.0)

    assert flag["kind"] == "short"
    assert flag["text"] == "net: it stopped after 200 runs and 10.0 of 20 s"


def test_other_work_is_told() -> None:
    before = steady() | {"load_average": [3.5, 1.0, 1.0]}

    assert found(steady(), before) == [
        ("busy", False, "other work was running: load 3.5 on 6 cores at the start")
    ]


def test_what_is_unknown_is_no_sign_of_anything() -> None:
    nothing: Facts = {
        "load_average": None,
        "frequency_mhz": None,
        "thermal": [],
        "cooling": [],
        "fan": None,
        "power_mode": None,
        "clocks": [],
        "throttle": {},
        "gpu": None,
    }
    facts = {"jetson": None, "cpu": {"governor": None, "cores_online": None}}

    assert found(nothing, nothing, facts=facts) == []
    assert found(nothing, facts=facts)[0][0] == "clocks-moved"  # its cores are gone


def test_the_grave_come_first() -> None:
    after = steady() | {"throttle": {"oc1": 9, "oc2": 2, "oc3": 5}}
    before = steady() | {"load_average": [9.0, 9.0, 9.0]}

    told = found(after, before, drift=0.2, spread=0.2)

    assert [grave for _, grave, _ in told] == [True, True, False, False]


def test_judging_changes_nothing() -> None:
    before, after = steady(), steady() | {"throttle": {"oc1": 9}}
    copies = copy.deepcopy((before, after))

    found(after, before)

    assert (before, after) == copies


def test_a_fake_board_is_judged_by_what_its_files_say(fake_board: FakeBoards) -> None:
    root = fake_board("orin-nano-super")
    Programs(root).run("jetson_clocks")
    before, facts = conditions(root), board(root)
    quiet = flags(before, conditions(root), board=facts, cases=[])
    Programs(root).run("nvpmodel", "-m", "0")
    counters = next(root.glob("sys/class/hwmon/hwmon*/oc3_event_cnt"))
    counters.write_text(f"{int(counters.read_text()) + 40}\n")

    told = flags(before, conditions(root), board=facts, cases=[])

    assert quiet == []
    assert [flag["kind"] for flag in told] == ["power-mode-moved", "clocks-moved", "throttled"]
    assert told[0]["text"] == "the power mode moved from 25W (1) to 15W (0)"
    assert "gpu: max 918 -> 612 MHz" in told[1]["text"]
    assert "oc3 by 40" in told[2]["text"]
