"""The four answers at the head of the page."""

from __future__ import annotations

from typing import Any

from edgestill.pipeline.headline import headline
from edgestill.pipeline.summary import Summary
from edgestill.pipeline.tiles import Tile, tiles


def answers(summary_json: dict[str, Any]) -> tuple[Tile, ...]:
    summary = Summary.model_validate(summary_json)
    return tiles(summary, headline(summary))


def test_every_measured_answer_carries_its_n_and_its_machine(summary_json: dict[str, Any]) -> None:
    kept, smaller, faster, budget = answers(summary_json)

    assert (kept.value, smaller.value, faster.value) == ("98.0 %", "12\u00d7", "6.0\u00d7")
    assert kept.note.endswith("n = 360 held-out images")
    assert "n = 300 runs on Test CPU, 2 cores" in faster.note
    assert (budget.value, budget.state) == ("met", "good")


def test_a_worse_figure_is_named_and_marked_as_worse(summary_json: dict[str, Any]) -> None:
    summary_json["latency_ms"]["ort-x86"] = {"p50": 3.6, "p90": 3.7, "p99": 3.8}
    summary_json["budget"]["params"] = {"limit": 10, "value": 58_114, "met": False}

    _, _, faster, budget = answers(summary_json)

    assert (faster.value, faster.label, faster.state) == ("2.0\u00d7", "slower", "bad")
    assert (budget.value, budget.note, budget.state) == (
        "missed",
        "1 of 2 limits met; over: params",
        "bad",
    )


def test_an_answer_that_is_missing_shows_the_reason() -> None:
    kept, smaller, faster, budget = answers(
        {"recipe": "empty", "not_measured": {"latency_ms.teacher": "the exporter refused it"}}
    )

    assert {kept.value, smaller.value, faster.value} == {"not measured"}
    assert faster.note == "the exporter refused it"
    assert (budget.value, budget.note) == ("none set", "the recipe sets no budget")
