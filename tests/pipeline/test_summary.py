"""summary.json: exact keys, null for what was not measured, nothing measured without its label."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from edgestill.pipeline.rows import COLUMNS, TIMED_COLUMNS, rows, timed_rows
from edgestill.pipeline.summary import Summary
from edgestill.pipeline.table import closing_table

PROMISED = {
    "recipe": None,
    "stages": None,
    "accuracy": {"teacher", "student", "int8"},
    "cost": {"macs", "params", "bytes_fp32", "bytes_int8", "peak_activation_bytes"},
    "budget": None,
    "latency_ms": None,
    "energy_mj": None,
    "energy_source": None,
    "fusion": None,
    "artifacts": None,
    "estimated": None,
}


def test_the_promised_keys_are_all_there_even_when_nothing_was_measured() -> None:
    written = json.loads(Summary(recipe="empty").model_dump_json())

    assert set(PROMISED) <= set(written)
    for key, inner in PROMISED.items():
        assert inner is None or set(written[key]) == inner


def test_a_figure_that_was_not_measured_is_null_in_json(summary: Summary) -> None:
    written = json.loads(summary.model_dump_json())

    assert written["latency_ms"]["tensorrt"] is None
    assert written["energy_mj"] == dict.fromkeys(summary.energy_mj)


def test_people_read_why_a_limit_has_no_value(
    summary_json: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    summary_json["budget"]["latency_ms"] = {"limit": 2.0, "value": None, "met": None}
    summary_json["not_measured"]["budget.latency_ms"] = "not there; 1.9 ms, x/÷ 1.6, estimated"

    closing_table(Summary.model_validate(summary_json))

    out = capsys.readouterr().out
    assert "budget macs: 2,812,416 of 3,000,000, met" in out
    assert "budget latency_ms: unknown of 2 ms, not measured: not there; 1.9 ms, x/÷ 1.6" in out


def test_json_makes_the_same_summary_again(summary: Summary) -> None:
    assert Summary.model_validate_json(summary.model_dump_json()) == summary


@pytest.mark.parametrize("zero", [0, float("nan"), float("inf")])
def test_a_latency_or_an_energy_that_cannot_be_is_refused(
    summary_json: dict[str, Any], zero: float
) -> None:
    for table, value in (("latency_ms", {"p50": zero, "p90": 1, "p99": 1}), ("energy_mj", zero)):
        wrong = summary_json | {table: summary_json[table] | {"student": value}}

        with pytest.raises(ValidationError, match=table):
            Summary.model_validate(wrong)


def test_a_latency_without_machine_and_n_is_refused(summary_json: dict[str, Any]) -> None:
    del summary_json["measured"]["student"]

    with pytest.raises(ValidationError, match="measured without machine and n: student"):
        Summary.model_validate(summary_json)


def test_an_accuracy_without_its_n_is_refused(summary_json: dict[str, Any]) -> None:
    summary_json["held_out_images"] = None

    with pytest.raises(ValidationError, match="held_out_images"):
        Summary.model_validate(summary_json)


def test_the_table_has_teacher_student_and_a_row_for_each_int8_file(summary: Summary) -> None:
    table = rows(summary)

    assert [row.label for row in table] == ["teacher", "student", "INT8 ort-x86", "INT8 tensorrt"]
    assert all(len(row.cells()) == len(COLUMNS) for row in table)
    assert table[2].cells() == (
        "INT8 ort-x86",
        "96.0 %",
        "2.81 M",
        "58.1 k",
        "60 kB",
        "0.300 / 0.350 / 0.400",
        "not measured",
        "20/21",
    )


def test_every_null_of_the_table_has_its_reason(summary: Summary) -> None:
    teacher, _, _, tensorrt = rows(summary)

    assert tensorrt.cells()[5] == "not measured"
    assert set(tensorrt.reasons) == {"top1", "latency", "energy_mj"}
    assert set(tensorrt.reasons.values()) == {"needs an NVIDIA device"}
    assert teacher.reasons == {"energy_mj": "no readable counter"}


def test_a_summary_of_nothing_still_makes_a_table() -> None:
    teacher, student = rows(Summary(recipe="empty"))

    assert teacher.cells()[1:7] == student.cells()[1:7] == ("not measured",) * 6


def on_a_board(summary_json: dict[str, Any]) -> Summary:
    """The run, its teacher and TensorRT file timed on a second device too."""
    timed = {"machine": "Orin", "engine": "tensorrt 10.3", "runs": 500}
    for name, p50 in (("teacher@orin", 4.0), ("tensorrt@orin", 0.5)):
        summary_json["latency_ms"][name] = {"p50": p50, "p90": p50, "p99": p50}
        summary_json["measured"][name] = timed
        summary_json["energy_mj"][name] = None
    summary_json["energy_mj"]["tensorrt@orin"] = 2.5
    summary_json["energy_source"]["teacher@orin"] = "the rail vanished"
    return Summary.model_validate(summary_json)


def test_a_further_device_has_rows_of_its_own(summary_json: dict[str, Any]) -> None:
    summary = on_a_board(summary_json)

    teacher, tensorrt = timed_rows(summary, "orin")

    assert summary.places == ("orin",)
    assert [row.label for row in rows(summary)] == [
        "teacher", "student", "INT8 ort-x86", "INT8 tensorrt",
    ]  # fmt: skip
    assert tensorrt.cells() == ("INT8 tensorrt", "0.500 / 0.500 / 0.500", "2.50", "500")
    assert len(tensorrt.cells()) == len(TIMED_COLUMNS)
    assert (teacher.energy_mj, teacher.why_no_energy) == (None, "the rail vanished")
    assert tensorrt.conditions.setting == "Orin, tensorrt 10.3, batch 1"


def test_one_device_alone_leaves_no_trace_of_others(summary: Summary) -> None:
    assert summary.places == ()
    assert "@" not in summary.model_dump_json()
