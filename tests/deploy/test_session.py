"""Real models measured on this machine by the real agent, and agents not to be trusted."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from edgestill.deploy import session
from edgestill.deploy.agent.stats import summary_ms
from edgestill.deploy.errors import DeviceError, Refused, RequestError, TargetError
from edgestill.deploy.measurement import Measurement
from edgestill.deploy.session import Case, open_device, probe, profile
from edgestill.deploy.transport import Local

PythonThat: TypeAlias = Callable[[str], str]
Posing: TypeAlias = Callable[[str], None]
QUICK: dict[str, Any] = {"seconds": 0.05, "warmup_seconds": 0.02}


@pytest.fixture
def posing(python_that: PythonThat, monkeypatch: pytest.MonkeyPatch) -> Posing:
    """Lets the given code pose as the agent."""

    def pose(code: str) -> None:
        monkeypatch.setattr(session, "transport_to", lambda target: Local(python_that(code)))

    return pose


def measured(model: Path, **settings: Any) -> Measurement:
    """One quick measurement of one case."""
    batch = settings.pop("batch", 1)
    found = profile([Case(model=model, batch=batch, threads=1)], **QUICK, **settings)
    (measurement,) = found.measurements
    return measurement


def test_a_model_is_measured_on_this_machine(tiny_model: Path) -> None:
    found = measured(tiny_model, batch=2)

    assert found.runs == len(found.samples_ms) >= 200
    assert found.latency_ms == pytest.approx(summary_ms([round(1e6 * s) for s in found.samples_ms]))
    assert found.throughput_per_s == pytest.approx(2 * found.runs / found.window_s)
    assert found.model_sha256 == hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    assert (found.engine, found.provider) == ("onnxruntime", "CPUExecutionProvider")
    assert (found.target, found.batch, found.threads) == ("local", 2, 1)


def test_cases_take_turns_in_one_call(tiny_model: Path) -> None:
    cases = [Case(model=tiny_model, label=f"batch {n}", batch=n, threads=1) for n in (1, 4)]

    found = profile(cases, rounds=3, **QUICK)

    small, large = found.measurements
    assert (small.label, large.label) == ("batch 1", "batch 4")
    assert [each.round for each in small.slices] == [0, 1, 2]
    # Round 1 goes back: the larger batch comes first.
    assert large.slices[1].stop_s <= small.slices[1].start_s
    assert small.slices[0].stop_s <= large.slices[0].start_s


def test_a_yardstick_is_timed_beside_every_window(tiny_model: Path, write_model: Any) -> None:
    beside = Case(model=write_model(), label="yardstick", threads=1)

    found = profile([Case(model=tiny_model, threads=1)], yardstick=beside, rounds=2, **QUICK)

    (measured_alone,) = found.measurements
    for each in measured_alone.slices:
        assert each.yardstick_ms is not None
        # It is the same tiny model: what is timed beside is timed as the model itself is.
        assert all(0.1 < beside_ms / each.p50_ms < 10 for beside_ms in each.yardstick_ms)


def test_energy_is_a_figure_with_a_source_or_null_with_a_reason(tiny_model: Path) -> None:
    found = measured(tiny_model)

    assert found.energy_source
    assert found.energy_mj is None or found.energy_mj > 0
    assert (found.energy_mj is None) == (found.power_mw is None)


def test_layers_are_told_when_asked_for(tiny_model: Path) -> None:
    found = measured(tiny_model, layers=True)

    assert found.layers is not None
    assert all(layer["ms"] >= 0 for layer in found.layers)
    assert measured(tiny_model).layers is None


def test_progress_goes_from_load_to_the_last_window(tiny_model: Path) -> None:
    heard: list[dict[str, str | float]] = []

    measured(tiny_model, on_progress=heard.append)

    phases = list(dict.fromkeys(told["phase"] for told in heard))
    assert phases[-3:] == ["load", "warm-up", "timing"] or phases[-2:] == ["load", "timing"]
    assert heard[-1]["done"] == heard[-1]["total"]


def test_probe_says_what_this_machine_is() -> None:
    import onnxruntime

    board = probe()

    assert board["engines"]["onnxruntime"]["version"] == onnxruntime.__version__
    assert board["cpu"]["cores_usable"] >= 1


def test_the_same_machine_has_one_fingerprint(tiny_model: Path) -> None:
    with open_device("local") as device:
        found = device.profile([Case(model=tiny_model)], **QUICK)

        assert found.board["fingerprint"] == device.probe()["fingerprint"]


def test_an_unknown_device_is_refused(tiny_model: Path) -> None:
    with pytest.raises(TargetError):
        measured(tiny_model, target="telnet://board")


def test_an_absent_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no model file"):
        measured(tmp_path / "absent.onnx")


@pytest.mark.parametrize(
    ("change", "setting", "found"),
    [
        ({"batch": 0}, {}, "batch is 0"),
        ({"threads": -1}, {}, "threads is -1"),
        ({"engine": ""}, {}, "engine must be text"),
        ({"engine": "tensorflow"}, {}, "unknown engine 'tensorflow'; known: onnxruntime"),
        ({}, {"seconds": float("nan")}, "seconds is nan"),
        ({}, {"min_runs": 0}, "min_runs is 0"),
        ({}, {"rounds": 0}, "rounds is 0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_anything_starts(
    tiny_model: Path, posing: Posing, change: dict[str, Any], setting: dict[str, Any], found: str
) -> None:
    posing("sys.exit('started')")

    with pytest.raises(RequestError, match=found):
        profile([Case(model=tiny_model, **change)], **setting)


def test_a_broken_model_is_refused_in_one_line_with_exit_2(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")

    with pytest.raises(RequestError, match=r"cannot load broken\.onnx") as refused:
        measured(path)

    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_missing_provider_is_the_device_with_exit_3(tiny_model: Path) -> None:
    with pytest.raises(DeviceError, match="has no NoSuchProvider") as refused:
        profile([Case(model=tiny_model, provider="NoSuchProvider")])

    assert refused.value.exit_code == 3


def test_an_agent_that_crashes_is_told_in_one_line(tiny_model: Path, posing: Posing) -> None:
    posing("raise MemoryError('no memory left')")

    with pytest.raises(DeviceError) as raised:
        measured(tiny_model)

    assert str(raised.value) == (
        "the agent ended without a result: it exited with 1: MemoryError: no memory left"
    )


def test_an_agent_that_dies_in_the_middle_of_a_line_gives_no_result(
    tiny_model: Path, posing: Posing, real_lines: list[dict[str, Any]]
) -> None:
    cut = json.dumps(real_lines[-1])[:500]
    posing(f"print({cut!r}, end='', flush=True); os.kill(os.getpid(), 9)")

    with pytest.raises(DeviceError, match="killed by signal 9"):
        measured(tiny_model)


def test_noise_among_the_lines_is_refused(tiny_model: Path, posing: Posing) -> None:
    posing("print('Welcome to the board!')")

    with pytest.raises(DeviceError, match="a line that cannot be used"):
        measured(tiny_model)


def test_a_measurement_under_other_settings_is_refused(
    tiny_model: Path, posing: Posing, real_lines: list[dict[str, Any]]
) -> None:
    posing(f"print({json.dumps(real_lines[-1])!r})")

    with pytest.raises(DeviceError, match="something else than it was asked to"):
        measured(tiny_model, batch=4)


def test_an_answer_to_another_question_is_refused(
    posing: Posing, real_lines: list[dict[str, Any]]
) -> None:
    posing(f"print({json.dumps(real_lines[-1])!r})")

    with pytest.raises(DeviceError, match="answered 'result' when asked what the device is"):
        probe()


def test_a_refusal_by_the_agent_is_a_gate_that_failed(tiny_model: Path, posing: Posing) -> None:
    line = {"protocol": 3, "event": "error", "kind": "refused", "message": "tj at 101 C"}
    posing(f"print({json.dumps(line)!r})")

    with pytest.raises(Refused, match="tj at 101 C") as refused:
        measured(tiny_model)

    assert refused.value.exit_code == 1


def test_a_local_measurement_that_was_interrupted_goes_on(tiny_model: Path) -> None:
    cases = [Case(model=tiny_model, batch=n, threads=1) for n in (1, 2, 4)]
    settings: dict[str, Any] = {"rounds": 4, "seconds": 0.4, "warmup_seconds": 0.02}

    def interrupt(progress: dict[str, str | float]) -> None:
        if progress["phase"] == "timing" and float(progress["done"]) > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        profile(cases, on_progress=interrupt, **settings)
    found = profile(cases, **settings)

    assert 1 <= found.earlier_slices < 12
    assert [len(each.slices) for each in found.measurements] == [4, 4, 4]
    assert profile(cases, **settings).earlier_slices == 0


def test_an_interrupt_stops_the_agent(tiny_model: Path, posing: Posing, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    line = {"protocol": 3, "event": "progress", "phase": "load", "done": 0, "total": 1, "unit": "x"}
    posing(
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid()));"
        f" print({json.dumps(line)!r}, flush=True); sys.stdin.read()"
    )

    def interrupt(progress: dict[str, str | float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measured(tiny_model, on_progress=interrupt)

    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
