"""sweep.json: figures come from each run's summary, and what was not measured is null."""

from __future__ import annotations

import json
from pathlib import Path

from edgestill.pipeline.sweep_results import Sweep, figures_of, write_sweep

from .sweeps import done, figures, two_budgets_three_seeds


def test_figures_are_those_of_the_summary(finished: Path) -> None:
    folder = finished / "runs/smoke"
    told = json.loads((folder / "summary.json").read_text())

    found = figures_of(folder)

    accuracy = told["accuracy"]
    files = {"teacher": accuracy["teacher"], "student": accuracy["student"], **accuracy["int8"]}
    assert found.top1 == files
    assert found.macs == told["cost"]["macs"]
    assert found.weight_bytes["ort-x86"] == told["cost"]["bytes_int8"]
    assert found.latency_ms == {
        file: each and each["p50"] for file, each in told["latency_ms"].items()
    }
    assert None in found.latency_ms.values()  # TensorRT times nothing here
    assert found.budget_met is True
    assert found.stages["teacher"]["key"] == told["stages"]["teacher"]["key"]


def test_the_shipped_file_is_the_one_that_most_runs_counted_and_timed() -> None:
    counted_here = done("a", {"k": "1"}, figures(0.8))
    nowhere = done("b", {"k": "2"}, figures(None))

    assert Sweep(name="s", over=("k",), runs=(counted_here, nowhere)).shipped == "ort-x86"
    assert Sweep(name="s", over=("k",), runs=(nowhere,)).shipped == "student"


def test_the_file_says_what_the_sweep_is_and_replaces_the_last_one(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text("an older one")

    write_sweep(two_budgets_three_seeds(), tmp_path)

    told = json.loads((tmp_path / "sweep.json").read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.json"]
    assert (told["sweep"], told["status"], told["shipped"]) == ("digits", "finished", "ort-x86")
    assert told["over"] == ["budget.macs", "seed"]
    assert told["runs"][0]["overrides"] == {"budget.macs": "5M", "seed": "0"}
    assert told["runs"][0]["figures"]["energy_mj"] == {"ort-x86": None}
