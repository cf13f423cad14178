"""A line of the agent is used whole or not at all: every field of a real one is broken in turn."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from edgestill.deploy.errors import DeviceError
from edgestill.deploy.wire import Failure, Progress, Result, event_from

FREE = {"request", "unread", "engines"}  # maps whose keys are not ours to know
PROGRESS = {
    "protocol": 1,
    "event": "progress",
    "phase": "timing",
    "done": 1,
    "total": 2.5,
    "unit": "runs",
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


def test_a_real_result_is_taken(real_result: dict[str, Any]) -> None:
    event = event_from(encode(real_result))

    assert isinstance(event, Result)
    assert event.samples_ns == real_result["samples_ns"]


def test_a_value_of_the_wrong_type_is_refused_everywhere(real_result: dict[str, Any]) -> None:
    odd: dict[str, list[object]] = {"odd": [{}]}

    for path in places(real_result):
        line = copy.deepcopy(real_result)
        holder(line, path)[path[-1]] = odd
        assert refused(line), path


def test_a_missing_key_is_refused_everywhere(real_result: dict[str, Any]) -> None:
    for path in places(real_result):
        if isinstance(path[-1], int) or (len(path) > 1 and path[-2] in FREE):
            continue
        line = copy.deepcopy(real_result)
        del holder(line, path)[path[-1]]
        assert refused(line), path


def test_an_unknown_key_is_refused_everywhere(real_result: dict[str, Any]) -> None:
    records = {path[:-1] for path in places(real_result) if isinstance(path[-1], str)}

    for path in records:
        if path and path[-1] in FREE:
            continue
        line = copy.deepcopy(real_result)
        holder(line, (*path, ""))["surplus"] = 1
        assert refused(line), path


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1, True, "1"])
def test_a_number_that_cannot_be_is_refused(real_result: dict[str, Any], number: object) -> None:
    for path in [("window_s",), ("latency_ms", "p50"), ("load_ms",), ("samples_ns", 3), ("runs",)]:
        line = copy.deepcopy(real_result)
        holder(line, path)[path[-1]] = number
        assert refused(line), path


def test_a_percentile_that_its_samples_do_not_give_is_refused(real_result: dict[str, Any]) -> None:
    line = copy.deepcopy(real_result)
    line["latency_ms"]["p90"] *= 0.99

    with pytest.raises(DeviceError, match="latency p90 is"):
        event_from(encode(line))


def test_samples_that_do_not_fit_into_their_window_are_refused(real_result: dict[str, Any]) -> None:
    line = copy.deepcopy(real_result)
    line["window_s"] = sum(line["samples_ns"]) / 2e9

    with pytest.raises(DeviceError, match="longer than the window"):
        event_from(encode(line))


def test_energy_is_measured_in_all_figures_or_in_none(real_result: dict[str, Any]) -> None:
    line = copy.deepcopy(real_result)
    line["energy"] |= {"energy_mj": 1.0, "above_idle_mj": None}

    with pytest.raises(DeviceError, match="some energy figures are null"):
        event_from(encode(line))


def test_an_energy_of_nought_is_refused(real_result: dict[str, Any]) -> None:
    line = copy.deepcopy(real_result)
    line["energy"] |= {
        "energy_mj": 0,
        "above_idle_mj": 0,
        "power_mw": 1,
        "idle_power_mw": 1,
    }

    assert refused(line)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"hello\n", "cannot be used: Invalid JSON"),
        (b"[1, 2]\n", "cannot be used"),
        (b"\xff\xfe\n", "cannot be used"),
        (encode(PROGRESS | {"event": "news"}), "'news'"),
        (encode(PROGRESS | {"protocol": 2}), "another protocol than 1"),
        (encode(PROGRESS | {"protocol": True}), "another protocol than 1"),
        (encode(PROGRESS | {"done": -1}), "at progress.done"),
    ],
)
def test_a_line_of_something_else_is_refused_in_one_line(line: bytes, found: str) -> None:
    with pytest.raises(DeviceError) as raised:
        event_from(line)

    assert found in str(raised.value)
    assert "\n" not in str(raised.value)


def test_progress_and_errors_are_taken() -> None:
    error = {"protocol": 1, "event": "error", "kind": "missing", "message": "no onnxruntime"}

    assert isinstance(event_from(encode(PROGRESS)), Progress)
    assert isinstance(event_from(encode(error)), Failure)
