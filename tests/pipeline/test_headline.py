"""The answer in one sentence: right figures, nothing guessed, and the unpleasant said too."""

from __future__ import annotations

from typing import Any

import pytest

from edgestill.pipeline.findings import unsteady
from edgestill.pipeline.headline import compared_bytes, headline, interval95
from edgestill.pipeline.summary import Summary


def test_the_sentence_gives_the_four_answers(summary: Summary) -> None:
    assert headline(summary).sentence == (
        "The INT8 student (ort-x86) keeps 98.0 % of the teacher's accuracy,"
        " is 12 times smaller and 6.0 times faster, and meets its budget."
    )


def test_what_was_not_measured_is_left_out_and_its_reason_given(
    summary_json: dict[str, Any],
) -> None:
    summary_json["latency_ms"] = dict.fromkeys(summary_json["latency_ms"])
    summary_json["not_measured"]["latency_ms.teacher"] = "the exporter refused it"

    answer = headline(Summary.model_validate(summary_json))

    assert answer.faster is None
    assert "faster" not in answer.sentence
    assert answer.why_not_faster == "the exporter refused it"


def test_times_from_two_machines_are_not_compared(summary_json: dict[str, Any]) -> None:
    other = summary_json["measured"]["ort-x86"] | {"machine": "another board"}
    summary_json["measured"]["ort-x86"] = other

    answer = headline(Summary.model_validate(summary_json))

    assert answer.faster is None
    assert "different conditions" in answer.why_not_faster


def test_a_slower_student_and_a_missed_budget_are_said(summary_json: dict[str, Any]) -> None:
    summary_json["latency_ms"]["ort-x86"] = {"p50": 3.6, "p90": 3.7, "p99": 3.8}
    summary_json["budget"]["macs"] = {"limit": 1_000_000, "value": 2_812_416, "met": False}

    sentence = headline(Summary.model_validate(summary_json)).sentence

    assert "2.0 times slower" in sentence
    assert sentence.endswith(", but misses its budget.")


def test_a_limit_that_nobody_measured_is_not_called_met(summary_json: dict[str, Any]) -> None:
    summary_json["budget"]["latency_ms"] = {"limit": 2.0}

    answer = headline(Summary.model_validate(summary_json))

    assert answer.budget_met is None
    assert answer.why_no_budget == "not measured: latency_ms"
    assert "budget" not in answer.sentence


def test_int8_that_is_slower_than_float32_gets_a_caution(summary_json: dict[str, Any]) -> None:
    assert headline(Summary.model_validate(summary_json)).caution == ""

    summary_json["latency_ms"]["ort-x86"] = {"p50": 0.9, "p90": 1.0, "p99": 1.1}

    caution = headline(Summary.model_validate(summary_json)).caution
    assert "p50 0.600 ms against 0.900 ms (Test CPU, 2 cores" in caution


def test_unsteady_times_are_said_once_with_the_widest_spread(summary_json: dict[str, Any]) -> None:
    summary_json["unsteady"] = {"teacher": 0.38, "student": 0.2}

    caution = headline(Summary.model_validate(summary_json)).caution

    assert caution == "The times are unsteady (spread up to 38 %): read ratios with care."


def test_only_files_of_a_grave_spread_are_unsteady() -> None:
    figures = {"teacher": {"spread": 0.38}, "student": {"spread": 0.09}}

    assert unsteady(figures) == {"teacher": 0.38}


def test_the_fastest_int8_file_is_the_subject(summary_json: dict[str, Any]) -> None:
    summary_json["accuracy"]["int8"]["tensorrt"] = 0.95
    summary_json["latency_ms"]["tensorrt"] = {"p50": 0.1, "p90": 0.1, "p99": 0.1}
    summary_json["measured"]["tensorrt"] = summary_json["measured"]["ort-x86"]

    assert headline(Summary.model_validate(summary_json)).subject == "tensorrt"


def test_a_file_that_only_a_further_device_timed_is_compared_there(
    summary_json: dict[str, Any],
) -> None:
    timed = {"machine": "Orin", "engine": "tensorrt 10.3", "runs": 500}
    for name, p50 in (("teacher@orin", 4.0), ("student@orin", 0.4), ("tensorrt@orin", 0.5)):
        summary_json["latency_ms"][name] = {"p50": p50, "p90": p50, "p99": p50}
        summary_json["measured"][name] = timed
    summary_json["accuracy"]["int8"]["tensorrt"] = 0.95

    answer = headline(Summary.model_validate(summary_json))

    assert (answer.subject, answer.place, answer.faster) == ("tensorrt", "orin", 8.0)
    assert "8.0 times faster on orin" in answer.sentence
    assert "p50 0.400 ms against 0.500 ms (Orin, tensorrt 10.3, batch 1)" in answer.caution


def test_files_are_compared_before_counted_weights(summary_json: dict[str, Any]) -> None:
    weights = compared_bytes(Summary.model_validate(summary_json), "ort-x86")
    summary_json["file_bytes"] = {"teacher": 800_000, "ort-x86": 100_000}
    files = compared_bytes(Summary.model_validate(summary_json), "ort-x86")

    assert weights is not None and (weights.kind, weights.teacher / weights.own) == ("weights", 12)
    assert files is not None and (files.kind, files.teacher / files.own) == ("file", 8)


def test_nothing_measured_claims_nothing() -> None:
    answer = headline(Summary(recipe="empty"))

    assert (answer.kept, answer.smaller, answer.faster, answer.budget_met) == (None,) * 4
    assert answer.sentence == "The FP32 student was not measured."


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_interval_holds_its_share_and_stays_a_share(share: float) -> None:
    low, high = interval95(share, 20)

    assert 0 <= low <= share <= high <= 1
    assert high - low > 0.1  # 20 images never pin a share down to a tenth
