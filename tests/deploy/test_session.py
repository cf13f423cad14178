"""A real model measured on this machine by the real agent, and agents not to be trusted."""

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
from edgestill.deploy.errors import DeviceError, RequestError, TargetError
from edgestill.deploy.session import probe, profile
from edgestill.deploy.transport import Local

PythonThat: TypeAlias = Callable[[str], str]
Posing: TypeAlias = Callable[[str], None]
QUICK: dict[str, Any] = {"threads": 1, "seconds": 0.05, "warmup_seconds": 0.02}


@pytest.fixture
def posing(python_that: PythonThat, monkeypatch: pytest.MonkeyPatch) -> Posing:
    """Lets the given code pose as the agent."""

    def pose(code: str) -> None:
        monkeypatch.setattr(session, "transport_to", lambda target: Local(python_that(code)))

    return pose


def test_a_model_is_measured_on_this_machine(tiny_model: Path) -> None:
    found = profile(tiny_model, batch=2, **QUICK)

    assert found.runs == len(found.samples_ms) >= 200
    assert found.latency_ms == pytest.approx(summary_ms([round(1e6 * s) for s in found.samples_ms]))
    assert found.throughput_per_s == pytest.approx(2 * found.runs / found.window_s)
    assert found.model_sha256 == hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    assert (found.engine, found.provider) == ("onnxruntime", "CPUExecutionProvider")
    assert (found.target, found.batch, found.threads) == ("local", 2, 1)


def test_energy_is_a_figure_with_a_source_or_null_with_a_reason(tiny_model: Path) -> None:
    found = profile(tiny_model, **QUICK)

    assert found.energy_source
    assert found.energy_mj is None or found.energy_mj > 0
    assert (found.energy_mj is None) == (found.power_mw is None)


def test_a_measurement_is_json_that_all_can_read(tiny_model: Path) -> None:
    found = profile(tiny_model, **QUICK).to_json()

    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_progress_goes_from_load_to_the_last_run(tiny_model: Path) -> None:
    heard: list[dict[str, str | float]] = []

    found = profile(tiny_model, on_progress=heard.append, **QUICK)

    assert heard[0] == {"phase": "load", "done": 0, "total": 1, "unit": "models"}
    assert heard[-1] == {
        "phase": "timing",
        "done": found.runs,
        "total": found.runs,
        "unit": "runs",
    }


def test_probe_says_what_this_machine_is() -> None:
    import onnxruntime

    board = probe()

    assert board["engines"]["onnxruntime"]["version"] == onnxruntime.__version__
    assert board["cpu"]["cores_usable"] >= 1


def test_the_same_machine_has_one_fingerprint(tiny_model: Path) -> None:
    assert profile(tiny_model, **QUICK).board["fingerprint"] == probe()["fingerprint"]


def test_an_unknown_device_is_refused(tiny_model: Path) -> None:
    with pytest.raises(TargetError, match="only 'local'"):
        profile(tiny_model, target="ssh://user@board")


def test_an_absent_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no model file"):
        profile(tmp_path / "absent.onnx")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"threads": -1}, "threads is -1"),
        ({"seconds": float("nan")}, "seconds is nan"),
        ({"min_runs": 0}, "min_runs is 0"),
        ({"engine": ""}, "engine must be text"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_anything_starts(
    tiny_model: Path, posing: Posing, change: dict[str, Any], found: str
) -> None:
    posing("sys.exit('started')")

    with pytest.raises(RequestError, match=found):
        profile(tiny_model, **change)


def test_a_broken_model_is_refused_in_one_line_with_exit_2(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")

    with pytest.raises(RequestError, match=r"cannot load broken\.onnx") as refused:
        profile(path)

    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_missing_provider_is_the_device_with_exit_3(tiny_model: Path) -> None:
    with pytest.raises(DeviceError, match="has no NoSuchProvider") as refused:
        profile(tiny_model, provider="NoSuchProvider")

    assert refused.value.exit_code == 3


def test_an_agent_that_crashes_is_told_in_one_line(tiny_model: Path, posing: Posing) -> None:
    posing("raise MemoryError('no memory left')")

    with pytest.raises(DeviceError) as raised:
        profile(tiny_model)

    assert str(raised.value) == (
        "the agent ended without a result: it exited with 1: MemoryError: no memory left"
    )


def test_an_agent_that_dies_in_the_middle_of_a_line_gives_no_result(
    tiny_model: Path, posing: Posing, real_result: dict[str, Any]
) -> None:
    posing(f"print({json.dumps(real_result)[:500]!r}, end='', flush=True); os.kill(os.getpid(), 9)")

    with pytest.raises(DeviceError, match="killed by signal 9"):
        profile(tiny_model)


def test_noise_among_the_lines_is_refused(tiny_model: Path, posing: Posing) -> None:
    posing("print('Welcome to the board!')")

    with pytest.raises(DeviceError, match="a line that cannot be used"):
        profile(tiny_model)


def test_a_measurement_of_another_file_is_refused(
    tiny_model: Path, posing: Posing, real_result: dict[str, Any]
) -> None:
    real_result = real_result | {"model": {"sha256": "0" * 64, "bytes": 1}}
    posing(f"print({json.dumps(real_result)!r})")

    with pytest.raises(DeviceError, match="measured another file"):
        profile(tiny_model)


def test_a_measurement_under_other_settings_is_refused(
    tiny_model: Path, posing: Posing, real_result: dict[str, Any]
) -> None:
    # Right file, right shape of answer, and another batch than was asked for.
    posing(f"print({json.dumps(real_result)!r})")

    with pytest.raises(DeviceError, match="something else than it was asked to"):
        profile(tiny_model, batch=4)


def test_an_answer_to_another_question_is_refused(
    posing: Posing, real_result: dict[str, Any]
) -> None:
    posing(f"print({json.dumps(real_result)!r})")

    with pytest.raises(DeviceError, match="answered with 'result' when asked what the device is"):
        probe()


def test_an_interrupt_stops_the_agent(tiny_model: Path, posing: Posing, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    line = {"protocol": 1, "event": "progress", "phase": "load", "done": 0, "total": 1, "unit": "x"}
    posing(
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid()));"
        f" print({json.dumps(line)!r}, flush=True); time.sleep(600)"
    )

    def interrupt(progress: dict[str, str | float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        profile(tiny_model, on_progress=interrupt)

    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
