"""A budget in the summary: measured on the budget's own device, or null with its prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgestill.deploy.latency_table import write_table
from edgestill.pipeline.budget_lines import budget_lines, measured_on
from edgestill.pipeline.measured import Place
from edgestill.pipeline.recipe import Budget

from .tables import FINGERPRINT, full_table

COST = {
    "macs": 900,
    "params": 50,
    "bytes_fp32": 200,
    "bytes_int8": 60,
    "peak_activation_bytes": None,
}
TOLD = {"value": 1.9, "text": "1.9 ms, x/÷ 1.6, estimated", "estimated": True}
METRICS = {**COST, "predicted": {"latency_ms": TOLD, "energy_mj": None}}
ORIN = {
    "fingerprint": FINGERPRINT,
    "jetson": {"module": "Orin Nano 8GB", "part": "p3767-0003", "super": False, "soc": "tegra234"},
}
FIGURES = {
    "latency_ms": {"p50": 1.5},
    "energy_mj": 6.0,
    "energy_source": "VDD_IN",
    "engine": "tensorrt",
    "provider": "GPU",
    "threads": None,
    "batch": 1,
    "power_mode": "15W",
}


def place(board: dict[str, Any] = ORIN, file: str = "tensorrt", **changes: Any) -> Place:
    told = {"files": {file: {**FIGURES, **changes}}}
    return Place(name="orin", suffix="", board=board, told=told)


@pytest.fixture
def table_file(tmp_path: Path) -> str:
    write_table(full_table(), tmp_path / "board.json")
    return str(tmp_path / "board.json")


def test_what_is_counted_needs_no_device() -> None:
    found = budget_lines(
        Budget(macs=1000, bytes=50, peak_activation_bytes=10), {**COST, "predicted": {}}, [place()]
    )

    assert found.budget == {
        "macs": {"limit": 1000, "value": 900, "met": True},
        "bytes": {"limit": 50, "value": 60, "met": False},
        "peak_activation_bytes": {"limit": 10, "value": None, "met": None},
    }
    assert found.estimated == {}
    assert found.not_measured == {}


def test_a_prediction_is_never_the_value_of_a_limit() -> None:
    elsewhere = place({"fingerprint": "f" * 16, "jetson": None}, "ort-x86")
    budget = Budget(latency_ms=2.0, device="orin-nano@15W")

    found = budget_lines(budget, METRICS, [elsewhere])

    assert found.budget == {"latency_ms": {"limit": 2.0, "value": None, "met": None}}
    assert found.estimated == {"latency_ms": {"orin-nano@15W": 1.9}}
    assert found.not_measured == {
        "budget.latency_ms": "the run did not profile on orin-nano@15W; 1.9 ms, x/÷ 1.6, estimated"
    }


@pytest.mark.parametrize(("limit", "met"), [(2.0, True), (1.4, False)])
def test_what_the_run_measured_on_that_device_is_the_value(limit: float, met: bool) -> None:
    budget = Budget(latency_ms=limit, device="orin-nano@15W")

    found = budget_lines(budget, METRICS, [place(file="student"), place()])

    assert found.budget == {"latency_ms": {"limit": limit, "value": 1.5, "met": met}}
    assert found.not_measured == {}


@pytest.mark.parametrize(
    "other",
    [
        place({**ORIN, "jetson": {"module": "Orin NX 16GB"}}),
        place({**ORIN, "jetson": None}),
        place(power_mode="25W"),
        place(power_mode=None),
        place(engine="onnxruntime"),
        place(batch=4),
        place(file="teacher"),
    ],
)
def test_another_module_mode_engine_or_file_is_not_that_device(other: Place) -> None:
    assert measured_on("orin-nano@15W", [other]) is None


def test_a_tables_device_is_known_by_board_and_setting(table_file: str) -> None:
    assert measured_on(table_file, [place()]) == FIGURES
    for other in (
        place({**ORIN, "fingerprint": "f" * 16}),
        place(engine="trtexec"),
        place(batch=2),
        place(power_mode="25W"),
        place(file="ort-arm64"),
    ):
        assert measured_on(table_file, [other]) is None


def test_an_energy_that_could_not_be_metered_says_why(table_file: str) -> None:
    budget = Budget(latency_ms=2.0, energy_mj=8.0, device=table_file)
    predicted = {"latency_ms": TOLD, "energy_mj": {**TOLD, "text": "7.6 mJ, predicted"}}
    bare = place(energy_mj=None, energy_source="no power rail")

    found = budget_lines(budget, {**COST, "predicted": predicted}, [bare])

    assert found.budget["latency_ms"]["value"] == 1.5
    assert found.budget["energy_mj"] == {"limit": 8.0, "value": None, "met": None}
    assert found.not_measured == {"budget.energy_mj": "no power rail; 7.6 mJ, predicted"}
