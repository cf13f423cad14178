"""The stage that seeks the student: held to what is predicted, and run again for another table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgestill.deploy.latency_table import write_table
from edgestill.models.errors import BadInput, GateFailed
from edgestill.models.wideresnet import WideResNet
from edgestill.pipeline.recipe_file import load_recipe
from edgestill.pipeline.run import run

from .tables import full_table, without_energy

Sought = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A space that is searched in no time."""
    axes = WideResNet.axes()
    monkeypatch.setattr(
        WideResNet, "axes", lambda: {name: choices[:6] for name, choices in axes.items()}
    )


@pytest.fixture
def sought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sought:
    """The stage's metrics and candidates, for the smoke recipe with these changes."""
    monkeypatch.chdir(tmp_path)

    def call(*changes: str) -> dict[str, Any]:
        result = run(load_recipe("smoke", changes), tmp_path / "work", until="search")
        artifact = result.artifacts["search"]
        rows = json.loads((artifact.path / "candidates.json").read_text())
        return {"key": artifact.path.name, "rows": rows, **artifact.manifest.metrics}

    return call


ORIN = ("budget.device=orin-nano@15W", "budget.macs=20M", "budget.params=1M")


def test_without_a_device_nothing_is_predicted(sought: Sought) -> None:
    found = sought("budget.macs=2M")

    assert found["predicted"] == {}
    assert all(row["predicted"] == {} for row in found["rows"])


def test_the_student_and_every_candidate_carry_their_estimate(sought: Sought) -> None:
    found = sought("budget.latency_ms=0.4", *ORIN)

    assert found["predicted"]["latency_ms"]["value"] <= 0.4
    assert found["predicted"]["latency_ms"]["estimated"] is True
    assert "estimated" in found["headline"]
    for row in found["rows"]:
        assert row["predicted"]["latency_ms"]["text"].endswith("estimated")
    over = [row for row in found["rows"] if "latency_ms" in row["why"]]
    assert over
    assert all(row["predicted"]["latency_ms"]["value"] > 0.4 for row in over)
    assert "ms over 0.4 ms" in over[0]["why"]


def test_an_estimate_that_nothing_keeps_ends_the_run(sought: Sought) -> None:
    with pytest.raises(GateFailed, match=r"budget\.latency_ms = 0\.01 ms binds"):
        sought("budget.latency_ms=0.01", *ORIN)


def test_another_table_makes_the_search_run_again(sought: Sought, tmp_path: Path) -> None:
    table = tmp_path / "board.json"
    changes = ("budget={latency_ms = 0.5, energy_mj = 1.6, device = 'board.json'}",)
    write_table(full_table(), table)

    first, again = sought(*changes), sought(*changes)
    write_table(full_table().model_copy(update={"device": "Another"}), table)
    other = sought(*changes)

    assert first["key"] == again["key"] != other["key"]
    assert first["predicted"]["energy_mj"]["value"] <= 1.6
    assert first["predicted"]["latency_ms"]["estimated"] is False


def test_an_energy_that_no_table_tells_is_refused_before_anything_is_trained(
    sought: Sought, tmp_path: Path
) -> None:
    write_table(without_energy(), tmp_path / "board.json")

    for device in ("orin-nano@15W", "board.json"):
        with pytest.raises(BadInput, match="edgestill calibrate"):
            sought(f"budget={{energy_mj = 1.6, device = '{device}'}}")


def test_limits_that_ten_classes_break_by_themselves_are_refused(sought: Sought) -> None:
    with pytest.raises(BadInput, match=r"budget\.params = 9 holds for no network: 10 classes"):
        sought("budget.params=9")


FIXED = ("student.model=torchvision:squeezenet1_1", "data.image_size=32")


def test_a_fixed_student_is_held_to_a_latency(sought: Sought) -> None:
    device = "device = 'orin-nano@15W'"

    found = sought(*FIXED, f"budget={{latency_ms = 5.0, {device}}}")

    assert 0 < found["predicted"]["latency_ms"]["value"] <= 5.0
    assert found["rows"][0]["predicted"] == found["predicted"]
    with pytest.raises(GateFailed, match=r"squeezenet1_1 does not fit .* latency_ms .* ms over"):
        sought(*FIXED, f"budget={{latency_ms = 0.01, {device}}}")


def test_a_fixed_student_whose_layers_no_table_tells_is_refused(
    sought: Sought, tmp_path: Path
) -> None:
    write_table(full_table(), tmp_path / "board.json")

    with pytest.raises(BadInput, match="is not in the table of Test board@15W"):
        sought(*FIXED, "budget={latency_ms = 5.0, device = 'board.json'}")
