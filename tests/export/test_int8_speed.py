"""An INT8 file that does not pay on this machine is said to be so, with the figure."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnxruntime.quantization import QuantType

from edgestill.export import int8_speed
from edgestill.export.int8_speed import Speed, speed_note

from .conftest import Write


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine of the kind that ort-x86 means."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return monkeypatch


def test_the_speed_is_measured_on_the_real_files(good: Path) -> None:
    found = int8_speed.int8_speed(good, good)

    # The same file twice: no promise about a busy machine, but an order and numbers.
    assert 0 < found.lowest <= found.median <= found.highest


def test_a_slower_file_is_named_with_its_figures(here: pytest.MonkeyPatch, good: Path) -> None:
    here.setattr(int8_speed, "int8_speed", lambda *_: Speed(median=0.8, lowest=0.7, highest=0.9))

    found = speed_note(good, good, "ort-x86")

    assert found == (
        "ort-x86: INT8 is not faster than FP32 here, it runs 0.80 times as fast (0.70 to 0.90; "
        "batch 1, 1 thread); prefer good.onnx on this machine"
    )


def test_narrow_layers_are_counted_as_the_reason(
    here: pytest.MonkeyPatch, good: Path, quantize: Write
) -> None:
    here.setattr(int8_speed, "int8_speed", lambda *_: Speed(median=1.0, lowest=1.0, highest=1.0))

    found = speed_note(good, quantize(good, QuantType.QUInt8), "ort-x86")

    assert ": 1 of 1 convolutions have fewer than 16 output channels" in found


def test_a_faster_file_and_another_machine_say_nothing(
    here: pytest.MonkeyPatch, good: Path
) -> None:
    here.setattr(int8_speed, "int8_speed", lambda *_: Speed(median=1.05, lowest=1.0, highest=2.0))

    assert speed_note(good, good, "ort-x86") == ""
    assert speed_note(good, good, "ort-arm64") == ""
    assert speed_note(good, good, "tensorrt") == ""
