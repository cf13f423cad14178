"""`edgestill profile` on this machine, with real files in a real ONNX Runtime."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from edgestill.deploy.errors import DeviceError, RequestError
from edgestill.deploy.session import Device
from edgestill.models.errors import BadInput
from edgestill.pipeline.profile_command import profile_command, split

from .onnx_files import write_convolution

QUICK: dict[str, Any] = {"seconds": 0.1, "warmup": 0.1, "runs": 20}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_convolution(tmp_path / "small.onnx", channels=4)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    return write_convolution(tmp_path / "large.onnx", channels=512)


def test_one_file_is_one_row_and_one_round(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile_command([small], **QUICK)

    shown = capsys.readouterr().out
    assert "small" in shown and "p50 ms" in shown and "images/s" in shown
    assert "rounds" not in shown


def test_two_files_at_two_batches_take_turns_and_are_compared(
    small: Path, large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"

    profile_command(
        [small, large], batch="1,4", rounds=4, out=out, csv=tmp_path / "a.csv", as_json=True,
        **QUICK,
    )  # fmt: skip

    told = json.loads(capsys.readouterr().out)
    (profile,) = told["profiles"]
    assert [each["label"] for each in profile["measurements"]] == [
        "small batch 1", "small batch 4", "large batch 1", "large batch 4",
    ]  # fmt: skip
    for each in profile["measurements"]:
        assert [one["round"] for one in each["slices"]] == [0, 1, 2, 3]
        assert len(each["samples_ms"]) == each["runs"] >= 20
    latency = [each for each in told["comparisons"] if each["figure"] == "latency"]
    assert [(each["subject"], each["baseline"]) for each in latency] == [
        ("large batch 1", "small batch 1"),
        ("large batch 4", "small batch 4"),
    ]
    assert all(each["rounds"] == 4 and each["low"] > 1 for each in latency)  # 128 times the work
    assert json.loads((out / "measurements.json").read_text()) == told
    with (tmp_path / "a.csv").open() as file:
        assert [row["batch"] for row in csv.DictReader(file)] == ["1", "4", "1", "4"]


def test_several_files_take_seven_turns_by_themselves(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile_command([small, small], **QUICK)  # a file against itself

    shown = capsys.readouterr().out
    assert "small #2 against small: " in shown
    assert "n = 7 rounds" in shown


def test_layers_come_from_a_pass_of_their_own(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile_command([small], layers=True, as_json=True, **QUICK)

    (profile,) = json.loads(capsys.readouterr().out)["profiles"]
    assert profile["measurements"][0]["layers"]


def test_a_mode_of_a_board_without_modes_is_refused(small: Path) -> None:
    with pytest.raises((RequestError, DeviceError)) as refused:
        profile_command([small], power_mode="15W", **QUICK)

    assert refused.value.exit_code in (2, 3)
    assert "\n" not in str(refused.value)


def test_what_was_measured_before_a_failure_is_told(
    small: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = Device.profile

    def without_the_second(self: Device, *cases: Any, **settings: Any) -> Any:
        if settings.pop("power_mode") == "25W":
            raise DeviceError("the board is gone")
        return measure(self, *cases, **settings)

    monkeypatch.setattr(Device, "profile", without_the_second)  # no board here has modes

    with pytest.raises(DeviceError, match="the board is gone"):
        profile_command([small], power_mode="15W,25W", as_json=True, **QUICK)

    (kept,) = json.loads(capsys.readouterr().out)["profiles"]
    assert kept["measurements"][0]["runs"] >= 20


def test_a_file_that_cannot_be_measured_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed = write_convolution(tmp_path / "fixed.onnx", batch=2)

    with pytest.raises(BadInput, match="fixed at 2"):
        profile_command([fixed], on="ssh://nobody@192.0.2.1", **QUICK)


@pytest.mark.parametrize("text", ["", "1,", "1,1", ",1"])
def test_a_list_has_each_value_once(text: str) -> None:
    with pytest.raises(BadInput, match="--batch"):
        split("--batch", text)


@pytest.mark.parametrize("text", ["0", "x", "1.5", "-1"])
def test_a_batch_is_a_whole_number(small: Path, text: str) -> None:
    with pytest.raises(BadInput, match="expected whole numbers from 1"):
        profile_command([small], batch=text)


@pytest.mark.parametrize(
    ("text", "said"),
    [("01,1", "each once"), ("9" * 5000, "from 1 to 65536"), ("65537", "from 1 to 65536")],
)
def test_a_batch_is_compared_and_limited_as_a_number(small: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        profile_command([small], batch=text)

    assert len(str(refused.value)) < 120


@pytest.mark.parametrize(
    ("option", "where", "said"),
    [
        ("csv", "/proc/nope/x.csv", "not writable"),
        ("csv", ".", "is a folder"),
        ("csv", "small.onnx/x.csv", "small.onnx is a file"),
        ("out", "small.onnx", "is a file"),
        ("out", "/proc/nope", "not writable"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_measuring(
    small: Path, option: str, where: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Device, "profile")
    outputs: dict[str, Any] = {option: small.parent / where}

    with pytest.raises(BadInput, match=said):
        profile_command([small], **outputs)

    assert list(small.parent.iterdir()) == [small]


def test_what_was_measured_is_printed_although_its_file_cannot_be_written(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = tmp_path / "both"  # a folder cannot be made where the CSV lies

    with pytest.raises(FileExistsError):
        profile_command([small], out=both, csv=both, as_json=True, **QUICK)

    assert json.loads(capsys.readouterr().out)["profiles"]
    assert both.read_text().startswith("model,")
