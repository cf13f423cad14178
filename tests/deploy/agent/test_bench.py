"""A whole measurement by a simulated engine, clock and counter: every figure is known before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from edgestill.deploy.agent.bench import bench
from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.protocol import Case, Request

AddPackage: TypeAlias = Callable[..., Path]
WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]
Measure: TypeAlias = Callable[..., dict[str, Any]]
JOB = "0123456789abcdef"
ZONE = "sys/class/thermal/thermal_zone0"
COOL = {f"{ZONE}/type": "tj-thermal\n", f"{ZONE}/temp": "45000\n"}


@pytest.fixture
def measure(tmp_path: Path, simulation: Any) -> Measure:
    """Benches the simulation on a model file, below the root folder the test wrote."""
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights")

    def run(count: int = 1, batch: int = 1, done: bool = True, **changes: Any) -> dict[str, Any]:
        cases = [Case(model=str(model), label=f"case {n}", batch=batch) for n in range(count)]
        result, journal = bench(
            Request(cases=cases, **changes),
            simulation.say,
            root=tmp_path / "root",
            open_engine=simulation.open,
            clock_ns=simulation.clock_ns,
            sleep=simulation.sleep,
        )
        if done:
            journal.remove()
        return result

    return run


def windows(simulation: Any) -> list[tuple[int, int]]:
    return [(taken["round"], taken["case"]) for taken in simulation.heard("slice")]


def test_the_phases_are_timed_apart(measure: Measure, simulation: Any) -> None:
    result = measure(seconds=2.0, min_runs=150, batch=8)

    case = result["cases"][0]
    assert case["load_ms"] == 5.0
    assert case["first_ms"] == 10.0
    assert case["warmup"] == {"runs": 50, "seconds": 0.5, "settled": True}
    assert case["latency_ms"]["p99"] == 10.0
    assert case["device_ms"] is None
    assert case["window_s"] == pytest.approx(2.0)
    assert case["throughput_per_s"] == pytest.approx(800.0)
    assert simulation.heard("slice")[0]["samples_ns"] == [10_000_000] * 200


def test_energy_and_its_idle_baseline_are_those_of_the_counter(
    measure: Measure, simulation: Any, add_package: AddPackage
) -> None:
    simulation.counter = add_package()
    simulation.idle_uw, simulation.run_uj = 100_000, 7_000  # 1.4 J in the window: it wraps

    result = measure(seconds=2.0)

    energy = result["cases"][0]["energy"]
    assert energy["energy_mj"] == pytest.approx(7.0)
    assert energy["above_idle_mj"] == pytest.approx(6.0)
    assert energy["power_mw"] == pytest.approx(700.0)
    assert result["energy"]["idle_power_mw"] == pytest.approx(100.0)
    assert result["board"]["energy"]["readable"]


def test_without_a_meter_energy_is_null_and_the_source_is_the_reason(measure: Measure) -> None:
    result = measure()

    assert result["cases"][0]["energy"] is None
    assert not result["energy"]["readable"]
    assert "RAPL" in result["energy"]["source"]


def test_the_numbers_are_tied_to_one_file(measure: Measure) -> None:
    case = measure()["cases"][0]

    assert case["model"] == {"sha256": hashlib.sha256(b"weights").hexdigest(), "bytes": 7}


def test_cases_take_turns_there_and_back(measure: Measure, simulation: Any) -> None:
    result = measure(count=3, rounds=2, seconds=2.0, min_runs=200)

    assert windows(simulation) == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]
    assert [case["label"] for case in result["cases"]] == ["case 0", "case 1", "case 2"]
    # The seconds and the runs asked for are those of a case, over all rounds.
    assert [case["window_s"] for case in result["cases"]] == pytest.approx([2.0] * 3)
    assert [case["runs"] for case in result["cases"]] == [200, 200, 200]


def test_every_engine_is_closed_also_when_one_fails(measure: Measure, simulation: Any) -> None:
    def fail(run: int) -> None:
        if run > 300:
            raise AgentError("device", "gone")

    simulation.on_run = fail

    with pytest.raises(AgentError, match="gone"):
        measure(count=2)

    assert simulation.closed == 2


def test_a_measurement_that_was_cut_off_goes_on_where_it_stopped(
    measure: Measure, simulation: Any, tmp_path: Path
) -> None:
    kept: dict[str, Any] = {"job": JOB, "state_dir": str(tmp_path / "state")}

    def cut(run: int) -> None:
        if len(simulation.heard("slice")) == 3:
            raise KeyboardInterrupt

    simulation.on_run = cut
    with pytest.raises(KeyboardInterrupt):
        measure(count=2, rounds=4, **kept)
    first, simulation.said, simulation.on_run = simulation.heard("slice"), [], lambda run: None

    result = measure(count=2, rounds=4, **kept)

    again = simulation.heard("slice")
    assert [taken["earlier"] for taken in again] == [True] * 3 + [False] * 5
    assert again[:3] == [{**taken, "earlier": True} for taken in first]
    assert sorted(windows(simulation)) == [(turn, case) for turn in range(4) for case in range(2)]
    assert result["earlier_slices"] == 3
    assert [case["runs"] for case in result["cases"]] == [200, 200]


def test_what_was_measured_of_another_file_is_not_gone_on_with(
    measure: Measure, simulation: Any, tmp_path: Path
) -> None:
    kept: dict[str, Any] = {"job": JOB, "state_dir": str(tmp_path / "state")}
    measure(done=False, **kept)
    (tmp_path / "model.onnx").write_bytes(b"other weights")

    result = measure(**kept)

    assert result["earlier_slices"] == 0


def test_what_was_measured_in_another_runtime_is_not_gone_on_with(
    measure: Measure, simulation: Any, tmp_path: Path
) -> None:
    kept: dict[str, Any] = {"job": JOB, "state_dir": str(tmp_path / "state")}
    measure(done=False, **kept)
    simulation.version = "2.0"

    assert measure(**kept)["earlier_slices"] == 0


def test_what_the_board_did_while_an_earlier_call_measured_is_flagged_as_well(
    measure: Measure, simulation: Any, write_files: WriteFiles, tmp_path: Path
) -> None:
    heat = write_files(COOL) / ZONE / "temp"
    kept: dict[str, Any] = {"job": JOB, "state_dir": str(tmp_path / "state")}
    simulation.on_run = lambda run: heat.write_text("101000\n")
    measure(done=False, **kept)
    simulation.on_run = lambda run: None
    heat.write_text("45000\n")

    result = measure(**kept)

    assert result["earlier_slices"] == 1
    assert [(flag["kind"], flag["grave"]) for flag in result["flags"]] == [("hot", True)]


def test_what_strict_refused_is_measured_anew_by_the_next_call(
    measure: Measure, simulation: Any, write_files: WriteFiles, tmp_path: Path
) -> None:
    heat = write_files(COOL) / ZONE / "temp"
    kept: dict[str, Any] = {"job": JOB, "state_dir": str(tmp_path / "state"), "strict": True}
    simulation.on_run = lambda run: heat.write_text("101000\n")
    with pytest.raises(AgentError, match="not to be trusted"):
        measure(**kept)
    simulation.on_run = lambda run: None
    heat.write_text("45000\n")

    assert measure(**kept)["earlier_slices"] == 0


def test_a_result_that_nobody_heard_is_there_at_the_next_call_and_not_at_the_one_after(
    measure: Measure, simulation: Any, tmp_path: Path
) -> None:
    kept: dict[str, Any] = {"job": JOB, "state_dir": str(tmp_path / "state")}
    measure(done=False, **kept)

    heard, afterwards = measure(**kept), measure(**kept)

    assert (heard["earlier_slices"], afterwards["earlier_slices"]) == (1, 0)


def test_a_model_too_slow_for_its_runs_is_refused_before_they_begin(
    measure: Measure, simulation: Any
) -> None:
    simulation.run_ns = 1_000_000_000

    with pytest.raises(AgentError, match=r"case 0: .* 200 runs need 200 s, more than the 60 s"):
        measure(max_seconds=60.0)

    assert simulation.runs < 20


def test_a_device_that_slows_down_under_way_gives_no_short_measurement(
    measure: Measure, simulation: Any
) -> None:
    def throttle(run: int) -> None:
        if run > 100:
            simulation.run_ns = 1_000_000_000

    simulation.on_run = throttle

    with pytest.raises(AgentError, match="slowed down while it was measured"):
        measure(max_seconds=10.0)


def test_an_engine_that_fails_is_told_with_the_case_it_was_opened_for(
    measure: Measure, simulation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise AgentError("request", "no such operator")

    monkeypatch.setattr(simulation, "load", fail)

    with pytest.raises(AgentError, match=r"^case 0: no such operator$") as refused:
        measure(count=2)

    assert refused.value.kind == "request"


def test_an_absent_model_is_refused_before_the_baseline(simulation: Any, tmp_path: Path) -> None:
    request = Request(cases=[Case(model=str(tmp_path / "absent.onnx"))])

    with pytest.raises(AgentError, match=r"cannot read the model file .*absent\.onnx: No such"):
        bench(request, simulation.say, root=tmp_path, open_engine=simulation.open)

    assert simulation.said == []


def test_progress_ends_at_the_total(measure: Measure, simulation: Any) -> None:
    measure(count=2, rounds=2, seconds=2.0)

    told = simulation.heard("progress")
    assert [each["phase"] for each in told[:2]] == ["load", "warm-up"]
    assert told[-1] == {"phase": "timing", "done": 4.0, "total": 4.0, "unit": "seconds"}
    assert all(each["done"] <= each["total"] for each in told)


def test_a_steady_run_on_a_quiet_machine_is_not_flagged(measure: Measure) -> None:
    assert measure()["flags"] == []


def test_the_flags_say_what_makes_the_numbers_doubtful(
    measure: Measure, simulation: Any, write_files: WriteFiles
) -> None:
    cpu = "sys/devices/system/cpu"
    write_files(
        {
            "proc/loadavg": "3.50 1.00 1.00 2/300 4242\n",
            f"{cpu}/online": "0-3\n",
            f"{cpu}/cpu0/cpufreq/scaling_governor": "powersave\n",
        }
    )

    def drift(run: int) -> None:
        simulation.run_ns = 10_000_000 if run < 150 else 13_000_000

    simulation.on_run = drift

    found = {flag["kind"]: flag["text"] for flag in measure(warmup_seconds=0.0)["flags"]}

    assert set(found) == {"unsettled", "unstable", "drift", "busy", "clocks-not-locked"}
    # 149 runs of 10 ms and 51 of 13 ms: 3 ms * sqrt(0.745 * 0.255) / 10.765 ms
    assert "12.1" in found["unstable"]
    assert "30" in found["drift"]
    assert "3.5" in found["busy"]
    assert "powersave" in found["clocks-not-locked"]


def test_strict_refuses_what_it_would_flag_as_grave(
    measure: Measure, simulation: Any, write_files: WriteFiles
) -> None:
    heat = write_files(COOL) / ZONE / "temp"
    simulation.on_run = lambda run: heat.write_text("101000\n")

    with pytest.raises(AgentError, match="not to be trusted, and --strict was asked") as refused:
        measure(strict=True)

    assert refused.value.exit_code == 1
    assert json.dumps(simulation.heard("slice"))  # what was measured has been said all the same


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """The file of a yardstick."""
    path = tmp_path / "beside.onnx"
    path.write_bytes(b"other weights")
    return path


def test_a_yardstick_is_read_right_before_and_right_after_every_window(
    measure: Measure, simulation: Any, beside: Path
) -> None:
    # Each run is slower than the one before: the instants show in the times.
    simulation.on_run = lambda run: simulation.sleep(1e-6 * run)

    result = measure(
        yardstick=Case(model=str(beside)), rounds=2, min_runs=40, seconds=0.1, warmup_seconds=0.05
    )

    assert result["yardstick"]["sha256"] == hashlib.sha256(b"other weights").hexdigest()
    for taken in simulation.heard("slice"):
        before, after = taken["yardstick_ns"]
        assert before < taken["samples_ns"][0] < taken["samples_ns"][-1] < after
    assert simulation.closed == 2


def test_without_a_yardstick_none_is_told(measure: Measure, simulation: Any) -> None:
    assert measure()["yardstick"] is None
    assert [taken["yardstick_ns"] for taken in simulation.heard("slice")] == [None]


def test_a_yardstick_that_cannot_be_read_is_told_before_anything_is_loaded(
    measure: Measure, simulation: Any, tmp_path: Path
) -> None:
    with pytest.raises(AgentError, match=r"cannot read the model file .*absent\.onnx"):
        measure(yardstick=Case(model=str(tmp_path / "absent.onnx")))

    assert simulation.closed == 0


def test_an_error_of_the_yardstick_is_told_with_its_name(
    measure: Measure, simulation: Any, beside: Path
) -> None:
    def fail(run: int) -> None:
        told = simulation.heard("progress")[-1]
        if (told["phase"], told["done"]) == ("load", 1):  # the case itself is at work
            raise AgentError("device", "gone")

    simulation.on_run = fail
    with pytest.raises(AgentError, match="yardstick: gone"):
        measure(yardstick=Case(model=str(beside), label="yardstick"))


def test_what_was_measured_beside_another_yardstick_is_not_gone_on_with(
    measure: Measure, simulation: Any, beside: Path, tmp_path: Path
) -> None:
    kept: dict[str, Any] = {"job": JOB, "state_dir": str(tmp_path / "state")}
    kept["yardstick"] = Case(model=str(beside))
    measure(done=False, **kept)
    first = simulation.heard("slice")

    again = measure(done=False, **kept)
    assert again["earlier_slices"] == 1
    assert simulation.heard("slice")[-1] == {**first[0], "earlier": True}

    beside.write_bytes(b"changed weights")
    assert measure(**kept)["earlier_slices"] == 0
