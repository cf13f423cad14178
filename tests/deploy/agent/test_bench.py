"""A whole measurement by a simulated engine, clock and counter: every figure is known before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from edgestill.deploy.agent.bench import bench
from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.protocol import Request

AddPackage: TypeAlias = Callable[..., Path]
WriteFiles: TypeAlias = Callable[[dict[str, str]], Path]


@pytest.fixture
def measure(tmp_path: Path, simulation: Any) -> Callable[..., dict[str, Any]]:
    """Benches the simulation on a model file, below the root folder the test wrote."""
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights")

    def run(**changes: Any) -> dict[str, Any]:
        return bench(
            Request(model=str(model), **changes),
            simulation.tell,
            root=tmp_path / "root",
            open_engine=simulation.open,
            clock_ns=simulation.clock_ns,
            sleep=simulation.sleep,
        )

    return run


def test_the_phases_are_timed_apart(measure: Callable[..., dict[str, Any]]) -> None:
    result = measure(seconds=2.0, min_runs=150, batch=8)

    assert result["load_ms"] == 5.0
    assert result["first_ms"] == 10.0
    assert result["warmup"] == {"runs": 50, "seconds": 0.5, "settled": True}
    assert result["samples_ns"] == [10_000_000] * 200
    assert result["latency_ms"]["p99"] == 10.0
    assert result["window_s"] == 2.0
    assert result["throughput_per_s"] == 800.0


def test_energy_and_its_idle_baseline_are_those_of_the_counter(
    measure: Callable[..., dict[str, Any]], simulation: Any, add_package: AddPackage
) -> None:
    simulation.counter = add_package()
    simulation.idle_uw, simulation.run_uj = 100_000, 7_000  # 1.4 J in the window: it wraps

    result = measure(seconds=2.0)

    assert result["energy"]["energy_mj"] == pytest.approx(7.0)
    assert result["energy"]["idle_power_mw"] == pytest.approx(100.0)
    assert result["energy"]["above_idle_mj"] == pytest.approx(6.0)
    assert result["board"]["energy"]["readable"]


def test_the_numbers_are_tied_to_one_file(measure: Callable[..., dict[str, Any]]) -> None:
    result = measure()

    assert result["model"] == {"sha256": hashlib.sha256(b"weights").hexdigest(), "bytes": 7}


def test_a_model_too_slow_for_its_runs_is_refused_before_they_begin(
    measure: Callable[..., dict[str, Any]], simulation: Any
) -> None:
    simulation.run_ns = 1_000_000_000

    with pytest.raises(AgentError, match="200 runs need 200 s, more than max_seconds 60"):
        measure(max_seconds=60.0)

    assert simulation.runs < 20


def test_a_device_that_slows_down_under_way_gives_no_short_measurement(
    measure: Callable[..., dict[str, Any]], simulation: Any
) -> None:
    def throttle(run: int) -> None:
        if run > 100:
            simulation.run_ns = 1_000_000_000

    simulation.on_run = throttle

    with pytest.raises(AgentError, match="slowed down while it was measured"):
        measure(max_seconds=10.0)


def test_an_unknown_engine_is_refused_by_name() -> None:
    with pytest.raises(AgentError, match="unknown engine 'tensorflow'; known: onnxruntime"):
        bench(Request(model="m", engine="tensorflow"), lambda *_: None)


def test_progress_ends_at_the_total(
    measure: Callable[..., dict[str, Any]], simulation: Any
) -> None:
    result = measure(seconds=2.0)

    assert [phase for phase, *_ in simulation.told[:2]] == ["load", "warm-up"]
    assert simulation.told[-1] == ("timing", result["runs"], result["runs"], "runs")
    assert all(done <= total for _, done, total, _ in simulation.told)


def test_a_steady_run_on_a_quiet_machine_has_no_notes(
    measure: Callable[..., dict[str, Any]],
) -> None:
    assert measure()["notes"] == []


def test_the_notes_say_what_makes_the_numbers_doubtful(
    measure: Callable[..., dict[str, Any]], simulation: Any, write_files: WriteFiles
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

    notes = measure(warmup_seconds=0.0)["notes"]

    assert notes == [
        "the time per run had not settled after 0.0 s of warm-up",
        # 149 runs of 10 ms and 51 of 13 ms: 3 ms * sqrt(0.745 * 0.255) / 10.765 ms
        "unstable: the spread is 12.1% (above 2.5%)",
        "the second half of the window was 30% slower than the first",
        "other work was running: load 3.5 on 4 cores at the start",
        "clocks are not pinned: the governor is powersave",
    ]
