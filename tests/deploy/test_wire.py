"""A line of the agent is used whole or not at all: every field of a real one is broken in turn."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from edgestill.deploy.errors import DeviceError
from edgestill.deploy.wire import Failure, Progress, Result, Taken, event_from

# Maps whose keys are not ours to know.
FREE = {"request", "unread", "engines", "facts", "settings", "rails_mj", "throttle"}
PROGRESS = {
    "protocol": 3,
    "event": "progress",
    "phase": "timing",
    "done": 1,
    "total": 2.5,
    "unit": "runs",
}


LATENCY = dict.fromkeys(("p50", "p90", "p95", "p99", "mean", "min", "max"), 0.5)
READING: dict[str, Any] = {
    "used_mj": 40.0,
    "samples": 20,
    "bound_mj": 0.4,
    "rails_mj": {"VDD_IN": 40.0},
    "idle_mj": 10.0,
}
ENERGY: dict[str, Any] = {
    "energy_mj": 2.0,
    "above_idle_mj": 1.5,
    "bound_mj": 0.02,
    "power_mw": 5000.0,
    "samples": 20,
    "rails_mj": {"VDD_IN": 2.0},
}


def encode(line: dict[str, Any]) -> bytes:
    return json.dumps(line).encode() + b"\n"


def places(part: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths of every value below `part`; of a list, its first element only."""
    below: list[tuple[str | int, Any]] = []
    if isinstance(part, dict):
        below = list(part.items())
    elif isinstance(part, list):
        below = [(0, part[0])] if part else []
    for key, value in below:
        yield (*path, key)
        yield from places(value, (*path, key))


def holder(line: dict[str, Any], path: tuple[str | int, ...]) -> Any:
    part: Any = line
    for key in path[:-1]:
        part = part[key]
    return part


def refused(line: dict[str, Any]) -> bool:
    try:
        event_from(encode(line))
    except DeviceError:
        return True
    return False


@pytest.fixture(params=["slice", "result"])
def real_line(request: pytest.FixtureRequest, real_lines: list[dict[str, Any]]) -> dict[str, Any]:
    """A line of a real agent, of each kind, with every figure that it can hold."""
    line = copy.deepcopy(next(each for each in real_lines if each["event"] == request.param))
    if request.param == "slice":
        line["energy"] = copy.deepcopy(READING)
        line["device_ns"] = list(line["samples_ns"])
    else:
        line["power"] = {"t_s": [0.0, 0.1], "mw": [4984.0, 5023.0]}
        line["flags"] = [{"kind": "hot", "text": "tj 91 C", "remedy": "cool it", "grave": False}]
        line["cases"][0] |= {"energy": copy.deepcopy(ENERGY), "device_ms": LATENCY}
    return line


def test_a_real_line_is_taken(real_line: dict[str, Any]) -> None:
    event = event_from(encode(real_line))

    assert isinstance(event, (Taken, Result))
    assert event.model_dump() == real_line


def test_a_value_of_the_wrong_type_is_refused_everywhere(real_line: dict[str, Any]) -> None:
    odd: dict[str, list[object]] = {"odd": [{}]}

    for path in places(real_line):
        if any(step in ("request", "settings", "facts") for step in path):
            continue  # whatever JSON they hold; `request` is compared as a whole in results.py
        line = copy.deepcopy(real_line)
        holder(line, path)[path[-1]] = odd
        assert refused(line), path


def test_a_missing_key_is_refused_everywhere(real_line: dict[str, Any]) -> None:
    for path in places(real_line):
        if isinstance(path[-1], int) or FREE & {*path[:-1]} or path[-1] == "provider":
            continue
        line = copy.deepcopy(real_line)
        del holder(line, path)[path[-1]]
        assert refused(line), path


def test_an_unknown_key_is_refused_everywhere(real_line: dict[str, Any]) -> None:
    records = {path[:-1] for path in places(real_line) if isinstance(path[-1], str)}

    for path in records:
        if FREE & {*path}:
            continue
        line = copy.deepcopy(real_line)
        holder(line, (*path, ""))["surplus"] = 1
        assert refused(line), path


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1, True, "1"])
def test_a_number_that_cannot_be_is_refused(
    real_lines: list[dict[str, Any]], number: object
) -> None:
    kinds = {line["event"]: line for line in real_lines}
    for event, *path in [
        ("slice", "case"),
        ("slice", "samples_ns", 3),
        ("result", "cases", 0, "window_s"),
        ("result", "cases", 0, "latency_ms", "p50"),
        ("result", "cases", 0, "runs"),
        ("result", "earlier_slices"),
    ]:
        line = copy.deepcopy(kinds[str(event)])
        holder(line, tuple(path))[path[-1]] = number
        assert refused(line), (event, path)


def test_samples_that_do_not_fit_into_their_window_are_refused(
    real_lines: list[dict[str, Any]],
) -> None:
    line = copy.deepcopy(real_lines[0])
    line["stop_s"] = line["start_s"] + sum(line["samples_ns"]) / 2e9

    with pytest.raises(DeviceError, match="longer than the window"):
        event_from(encode(line))


def test_an_energy_of_nought_is_refused(real_lines: list[dict[str, Any]]) -> None:
    line = copy.deepcopy(real_lines[0])
    line["energy"] = {**READING, "used_mj": 0}

    assert refused(line)


def test_a_device_time_for_each_sample_or_none(real_lines: list[dict[str, Any]]) -> None:
    line = copy.deepcopy(real_lines[0])
    line["device_ns"] = line["samples_ns"][:-1]

    with pytest.raises(DeviceError, match="as many device times as samples"):
        event_from(encode(line))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"hello\n", "cannot be used: Invalid JSON"),
        (b"[1, 2]\n", "cannot be used"),
        (b"\xff\xfe\n", "cannot be used"),
        (encode(PROGRESS | {"event": "news"}), "'news'"),
        (encode(PROGRESS | {"protocol": 1}), "another protocol than 3"),
        (encode(PROGRESS | {"protocol": 3.5}), "another protocol than 3"),
        (encode(PROGRESS | {"done": -1}), "at progress.done"),
    ],
)
def test_a_line_of_something_else_is_refused_in_one_line(line: bytes, found: str) -> None:
    with pytest.raises(DeviceError) as raised:
        event_from(line)

    assert found in str(raised.value)
    assert "\n" not in str(raised.value)


def test_nothing_that_a_terminal_obeys_gets_through(real_lines: list[dict[str, Any]]) -> None:
    line = copy.deepcopy(real_lines[-1])
    line["board"]["device"] = "\x1b]52;c;cm0=\x07"
    line["cases"][0]["engine"]["facts"] = {"said": ["\x1b[2J"]}

    event = event_from(encode(line))

    assert isinstance(event, Result)
    assert event.board.device == "?]52;c;cm0=?"
    assert event.cases[0].engine.facts == {"said": ["?[2J"]}


def test_progress_and_errors_are_taken() -> None:
    error = {"protocol": 3, "event": "error", "kind": "missing", "message": "no onnxruntime"}

    assert isinstance(event_from(encode(PROGRESS)), Progress)
    assert isinstance(event_from(encode(error)), Failure)
