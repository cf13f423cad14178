"""A result is believed only if it is what was asked for and follows from its own samples."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from edgestill.deploy.errors import DeviceError
from edgestill.deploy.measurement import Profile
from edgestill.deploy.results import clocks_locked, profile_from
from edgestill.deploy.wire import Result, Taken, event_from

Lines: TypeAlias = list[dict[str, Any]]


def believed(lines: Lines, **asked: Any) -> Profile:
    """The profile of these lines, where their own request was what was asked for, but `asked`."""
    events = [event_from(json.dumps(line).encode() + b"\n") for line in lines]
    result = events[-1]
    assert isinstance(result, Result)
    return profile_from(
        result,
        [event for event in events if isinstance(event, Taken)],
        asked=copy.deepcopy(result.request) | asked,
        hashes=[case.model.sha256 for case in result.cases],
        target="local",
        yardstick=result.yardstick.sha256 if result.yardstick else None,
    )


@pytest.fixture
def lines(real_lines: Lines) -> Lines:
    return copy.deepcopy(real_lines)


def test_a_real_result_becomes_a_measurement_a_case(lines: Lines) -> None:
    found = believed(lines)

    one, other = found.measurements
    assert (one.label, other.label) == ("one", "other")
    assert [each.round for each in one.slices] == [0, 1]
    assert one.runs == len(one.samples_ms) == sum(each.runs for each in one.slices) >= 20
    assert one.layers is not None
    assert sum(layer["ms"] for layer in one.layers) > 0
    assert json.loads(json.dumps(one.to_json(), allow_nan=False)) == one.to_json()


def test_samples_stand_in_running_order_however_their_lines_came(lines: Lines) -> None:
    shuffled = [*reversed(lines[:-1]), lines[-1]]

    assert believed(shuffled) == believed(lines)


TAMPERED: dict[str, tuple[Callable[[Lines], Any], str]] = {
    "a percentile": (lambda t: t[-1]["cases"][0]["latency_ms"].update(p90=99.0), "latency_ms is"),
    "the runs": (lambda t: t[-1]["cases"][1].update(runs=21), "runs is 21"),
    "the throughput": (lambda t: t[-1]["cases"][0].update(throughput_per_s=1.0), "throughput"),
    "the spread": (lambda t: t[-1]["cases"][0].update(spread=0.0), "spread is"),
    "an energy": (
        lambda t: t[-1]["cases"][0].update(
            energy={
                "energy_mj": 1.0,
                "above_idle_mj": None,
                "bound_mj": 0.0,
                "power_mw": 1.0,
                "samples": 1,
                "rails_mj": {},
            }
        ),
        "energy is",
    ),
    "the yardstick's file": (lambda t: t[-1].update(yardstick=None), "another file as a yardstick"),
    "a yardstick": (lambda t: t[0].update(yardstick_ns=None), "beside some windows only"),
    "a window that is missing": (lambda t: t.pop(0), "3 windows; expected 4"),
    "a window that came twice": (lambda t: t.insert(0, t[0]), "5 windows; expected 4"),
    "a window of no case": (lambda t: t[0].update(case=7), "one each"),
    "a sample": (lambda t: t[0]["samples_ns"].__setitem__(0, 1), "do not add up"),
    "another batch": (lambda t: t[-1]["request"]["cases"][0].update(batch=8), "something else"),
    "the label": (lambda t: t[-1]["cases"][0].update(label="other"), "answered 'other' for 'one'"),
    "the engine": (lambda t: t[-1]["cases"][0]["engine"].update(name="tensorrt"), "for 'one'"),
    "a case fewer": (lambda t: t[-1]["cases"].pop(), "something else"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_tampered_with_is_refused(lines: Lines, what: str) -> None:
    asked = copy.deepcopy(lines[-1]["request"])
    yardstick = lines[-1]["yardstick"]["sha256"]
    tamper, found = TAMPERED[what]

    tamper(lines)

    with pytest.raises(DeviceError, match=found):
        events = [event_from(json.dumps(line).encode() + b"\n") for line in lines]
        assert isinstance(events[-1], Result)
        profile_from(
            events[-1],
            [event for event in events if isinstance(event, Taken)],
            asked=asked,
            hashes=[lines[-1]["cases"][0]["model"]["sha256"]] * 2,
            target="local",
            yardstick=yardstick,
        )


def test_another_file_is_refused(lines: Lines) -> None:
    lines[-1]["cases"][1]["model"]["sha256"] = "0" * 64
    events = [event_from(json.dumps(line).encode() + b"\n") for line in lines]
    assert isinstance(events[-1], Result)

    with pytest.raises(DeviceError, match="another file for 'other'"):
        profile_from(
            events[-1],
            [event for event in events if isinstance(event, Taken)],
            asked=copy.deepcopy(lines[-1]["request"]),
            hashes=[lines[-1]["cases"][0]["model"]["sha256"]] * 2,
            target="local",
        )


def test_another_power_mode_than_was_asked_for_is_refused(lines: Lines) -> None:
    lines[-1]["request"]["power_mode"] = "15W"

    with pytest.raises(DeviceError, match="did not measure in the power mode 15W"):
        believed(lines)
    lines[-1]["conditions"]["after"]["power_mode"] = {"id": 0, "name": "15W"}
    assert believed(lines).measurements[0].power_mode == "15W"


def test_fewer_runs_than_asked_for_are_refused(lines: Lines) -> None:
    lines[-1]["request"]["min_runs"] = 100_000

    with pytest.raises(DeviceError, match="of 100000 runs"):
        believed(lines)


@pytest.mark.parametrize(
    ("locked", "expected"),
    [([], None), ([None], None), ([True, None], True), ([True, False], False)],
)
def test_clocks_are_locked_if_all_that_tell_are(
    locked: list[bool | None], expected: bool | None
) -> None:
    assert clocks_locked([{"locked": each} for each in locked]) is expected
