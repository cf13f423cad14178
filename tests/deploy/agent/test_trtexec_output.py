"""trtexec's text and files, as its versions print and write them, whole and damaged."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest

from edgestill.deploy.agent.trtexec_output import (
    Summary,
    parse_profile,
    parse_summary,
    parse_times,
)

V10_9 = """\
[04/07/2025-23:59:50] [I] === Performance summary ===
[04/07/2025-23:59:50] [I] Throughput: 691.435 qps
[04/07/2025-23:59:50] [I] Latency: min = 1.4209 ms, max = 3.047 ms, mean = 1.48372 ms, median = \
1.43823 ms, percentile(90%) = 1.45624 ms, percentile(95%) = 1.71796 ms, percentile(99%) = 2.61597 ms
[04/07/2025-23:59:50] [I] Enqueue Time: min = 0.208801 ms, max = 0.461304 ms, mean = 0.263621 ms, \
median = 0.259033 ms, percentile(90%) = 0.293823 ms, percentile(95%) = 0.311768 ms, \
percentile(99%) = 0.402832 ms
[04/07/2025-23:59:50] [I] GPU Compute Time: min = 1.38855 ms, max = 3.00439 ms, mean = 1.44357 ms, \
median = 1.39775 ms, percentile(90%) = 1.40308 ms, percentile(95%) = 1.67834 ms, \
percentile(99%) = 2.57642 ms
[04/07/2025-23:59:50] [I] Total Host Walltime: 3.0039 s
[04/07/2025-23:59:50] [I] Total GPU Compute Time: 2.9983 s
[04/07/2025-23:59:50] [W] * GPU compute time is unstable, with coefficient of variance = 13.1794%.
[04/07/2025-23:59:50] [W]   If not already in use, locking GPU clock frequency or adding \
--useSpinWait may improve the stability.
&&&& PASSED TensorRT.trtexec [TensorRT v100900] [b34] # trtexec --onnx=resnet50/model.onnx
"""
WHOLE_ROWS = """\
[05/27/2024-16:38:42] [I] Average on 10 runs - GPU latency: 30.3272 ms - Host latency: 30.7521 ms \
(enqueue 30.3453 ms)
[05/27/2024-16:38:42] [I] Throughput: 32.7261 qps
[05/27/2024-16:38:42] [I] Latency: min = 30.1348 ms, max = 30.887 ms, mean = 30.7571 ms, median = \
30.7585 ms, percentile(90%) = 30.8303 ms, percentile(95%) = 30.8396 ms, percentile(99%) = 30.8523 ms
[05/27/2024-16:38:42] [I] H2D Latency: min = 0.243774 ms, max = 0.261108 ms, mean = 0.247712 ms, \
median = 0.247559 ms, percentile(90%) = 0.24939 ms, percentile(95%) = 0.249756 ms, \
percentile(99%) = 0.255188 ms
[05/27/2024-16:38:42] [I] GPU Compute Time: min = 29.8193 ms, max = 30.4572 ms, mean = 30.3322 ms, \
median = 30.333 ms, percentile(90%) = 30.4037 ms, percentile(95%) = 30.4156 ms, \
percentile(99%) = 30.4204 ms
[05/27/2024-16:38:42] [I] D2H Latency: min = 0.0695801 ms, max = 0.187988 ms, mean = 0.177211 ms, \
median = 0.177734 ms, percentile(90%) = 0.182312 ms, percentile(95%) = 0.184814 ms, \
percentile(99%) = 0.1875 ms
[05/27/2024-16:38:42] [I] Total Host Walltime: 3.08622 s
"""
V8_2 = """\
&&&& RUNNING TensorRT.trtexec [TensorRT v8201] # /usr/src/tensorrt/bin/trtexec --onnx=m.onnx
[11/02/2022-10:11:12] [I] Average on 10 runs - GPU latency: 33.6895 ms - Host latency: 35.1783 ms \
(end to end 35.1835 ms, enqueue 34.6011 ms)
[11/02/2022-10:11:12] [I] Throughput: 28.3 qps
[11/02/2022-10:11:12] [I] Latency: min = 34.9 ms, max = 36.1 ms, mean = 35.2 ms, median = 35.1 ms, \
percentile(99%) = 36 ms
[11/02/2022-10:11:12] [I] End-to-End Host Latency: min = 35 ms, max = 36.2 ms, mean = 35.3 ms, \
median = 35.2 ms, percentile(99%) = 36.1 ms
&&&& PASSED TensorRT.trtexec [TensorRT v8201] # /usr/src/tensorrt/bin/trtexec --onnx=m.onnx
"""
DEVICE = """\
[12/02/2023-10:00:00] [I] === Device Information ===
[12/02/2023-10:00:00] [I] Selected Device: Orin
[12/02/2023-10:00:00] [I] Compute Capability: 8.7
[12/02/2023-10:00:00] [I] SMs: 16
[12/02/2023-10:00:00] [I] Compute Clock Rate: 1.275 GHz
[12/02/2023-10:00:00] [I] Memory Clock Rate: 1.275 GHz
[12/02/2023-10:00:00] [I] TensorRT version: 8.4.12
"""


ENQUEUE_BOUND = """\
[12/11/2025-10:00:29] [I] Throughput: 12.9581 qps
[12/11/2025-10:00:29] [I] Latency: min = 75.9753 ms, max = 76.4476 ms, mean = 76.3344 ms, median = \
76.3436 ms, percentile(90%) = 76.4209 ms, percentile(95%) = 76.446 ms, percentile(99%) = 76.4476 ms
[12/11/2025-10:00:29] [I] Enqueue Time: min = 75.5111 ms, max = 76.2788 ms, mean = 75.8652 ms, \
median = 75.8631 ms, percentile(90%) = 76.0249 ms, percentile(95%) = 76.0399 ms, \
percentile(99%) = 76.2788 ms
[12/11/2025-10:00:29] [W] * Throughput may be bound by Enqueue Time rather than GPU Compute and \
the GPU may be under-utilized.
"""
V8_6 = """\
[02/27/2024-10:00:00] [I] Average on 10 runs - GPU latency: 4.78064 ms - Host latency: 4.83948 ms \
(enqueue 0.356567 ms)
[02/27/2024-10:00:00] [I] Throughput: 208.729 qps
[02/27/2024-10:00:00] [I] Latency: min = 4.81763 ms, max = 4.86572 ms, mean = 4.83767 ms, median = \
4.83752 ms, percentile(90%) = 4.84772 ms, percentile(95%) = 4.85034 ms, percentile(99%) = 4.85547 ms
"""
OPTIONS = """\
[02/27/2024-10:00:00] [I] Iterations: 10
[02/27/2024-10:00:00] [I] Duration: 3s (+ 200ms warm up)
[02/27/2024-10:00:00] [I] Data transfers: Enabled
[02/27/2024-10:00:00] [I] Spin-wait: Disabled
"""


def test_the_summary_of_tensorrt_10_is_read() -> None:
    told = parse_summary(V10_9)

    assert (told.version, told.passed) == ((10, 9, 0), True)
    assert (told.throughput_per_s, told.walltime_s, told.compute_s) == (691.435, 3.0039, 2.9983)
    assert told.rows_ms["latency"] == {
        "min": 1.4209,
        "max": 3.047,
        "mean": 1.48372,
        "median": 1.43823,
        "p90": 1.45624,
        "p95": 1.71796,
        "p99": 2.61597,
    }
    assert set(told.rows_ms) == {"latency", "enqueue", "compute"}
    assert told.rows_ms["compute"]["median"] == 1.39775
    assert told.warnings == ["unstable"]


def test_latency_is_the_sum_of_its_rows_in_a_whole_block() -> None:
    rows = parse_summary(WHOLE_ROWS).rows_ms

    parts = sum(rows[name]["mean"] for name in ("h2d", "compute", "d2h"))
    assert rows["latency"]["mean"] == pytest.approx(parts, rel=1e-5)  # six digits are printed


def test_a_run_that_the_host_holds_up_is_noticed() -> None:
    told = parse_summary(ENQUEUE_BOUND)

    assert told.warnings == ["enqueue-bound"]
    assert told.rows_ms["enqueue"]["p99"] == 76.2788


def test_a_block_without_a_footer_is_neither_passed_nor_failed() -> None:
    told = parse_summary(V8_6)

    assert (told.passed, told.version) == (None, None)
    assert told.rows_ms["latency"]["p99"] == 4.85547


def test_the_form_of_8_2_has_one_percentile_and_a_row_of_its_own() -> None:
    told = parse_summary(V8_2)

    assert told.version == (8, 2, 1)
    assert told.rows_ms["latency"]["p99"] == 36.0
    assert "p90" not in told.rows_ms["latency"]
    assert told.rows_ms["end_to_end"]["median"] == 35.2


@pytest.mark.parametrize(
    "text", [DEVICE, DEVICE.replace("Compute Clock", "Application Compute Clock")]
)
def test_the_device_block_tells_how_many_sms_are_switched_on(text: str) -> None:
    told = parse_summary(text)

    assert (told.device, told.sm_count, told.clock_ghz) == ("Orin", 16, 1.275)


def test_what_it_took_of_the_flags_is_read() -> None:
    assert parse_summary(OPTIONS).options == {"transfers": True, "spin_wait": False}


def test_a_failure_is_told_by_its_last_errors() -> None:
    errors = [f"[01/01/2025-00:00:00] [E] error {number}\n" for number in range(5)]
    text = "".join(errors) + "&&&& FAILED TensorRT.trtexec [TensorRT v8502] # trtexec --onnx=x"

    told = parse_summary(text)

    assert (told.passed, told.version) == (False, (8, 5, 2))
    assert told.errors == ["error 2", "error 3", "error 4"]


def test_a_row_that_contradicts_itself_is_absent() -> None:
    swapped = V10_9.replace("min = 1.4209 ms", "min = 9.4209 ms")

    assert set(parse_summary(swapped).rows_ms) == {"enqueue", "compute"}


def test_a_row_with_a_hole_is_absent() -> None:
    holed = V10_9.replace(" 1.48372 ms, median =", "")  # the median's number, as the mean

    assert "latency" not in parse_summary(holed).rows_ms


def test_damaged_text_gives_only_figures_that_stand_in_it() -> None:
    chance = random.Random(0)
    whole = DEVICE + OPTIONS + V10_9 + ENQUEUE_BOUND + V8_2
    for _ in range(2000):
        text = mutated(whole, chance)
        written = {float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e[+-]\d+)?", text)}
        told = parse_summary(text)
        for row in told.rows_ms.values():
            assert set(row.values()) <= written
            assert row["min"] <= row["median"] <= row["max"]
        singles = (told.throughput_per_s, told.walltime_s, told.compute_s, told.sm_count)
        assert {float(each) for each in singles if each is not None} <= written


def test_a_text_without_end_is_cut_and_its_ends_are_read() -> None:
    told = parse_summary(DEVICE + "x" * 5_000_000 + "\n" * 200_000 + V10_9)

    assert (told.sm_count, told.throughput_per_s) == (16, 691.435)


def query(start_ms: float, **changes: Any) -> dict[str, Any]:
    """One of 2 ms: 0.25 in, 1.5 of computing, 0.25 out."""
    return {
        "startEnqMs": start_ms,
        "endEnqMs": start_ms + 0.1,
        "startH2dMs": start_ms,
        "endH2dMs": start_ms + 0.25,
        "startComputeMs": start_ms + 0.25,
        "endComputeMs": start_ms + 1.75,
        "startD2hMs": start_ms + 1.75,
        "endD2hMs": start_ms + 2.0,
        "h2dMs": 0.25,
        "computeMs": 1.5,
        "d2hMs": 0.25,
        "latencyMs": 2.0,
        **changes,
    }


def test_the_times_of_each_query_are_read() -> None:
    first, second = parse_times(json.dumps([query(0), query(2.5, endToEndMs=2.1)]))

    assert (first.latency_ms, first.compute_ms, first.h2d_ms, first.d2h_ms) == (2, 1.5, 0.25, 0.25)
    assert first.enqueue_ms == pytest.approx(0.1)
    assert (second.start_ms, second.start_compute_ms, second.end_ms) == (2.5, 2.75, 4.5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "{}",
        "[1]",
        "[{}]",
        "[" * 100_000,
        json.dumps([query(0)])[:-4],
        json.dumps([query(0, latencyMs="2")]),
        json.dumps([query(0, latencyMs=True)]),
        json.dumps([query(0, latencyMs=20.0)]),
        json.dumps([query(0, computeMs=-1.5)]),
        json.dumps([query(0, computeMs=float("nan"))]),
        json.dumps([query(0, endD2hMs=1.0)]),
        json.dumps([query(5), query(0)]),
    ],
)
def test_times_that_are_cut_off_or_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_times(text)


def test_a_query_that_the_host_was_held_up_in_is_no_error() -> None:
    (held,) = parse_times(json.dumps([query(0, endD2hMs=50.0)]))

    assert (held.latency_ms, held.end_ms) == (2.0, 50.0)


def test_six_digits_are_enough_after_an_hour() -> None:
    rounded = {key: float(f"{value:.6g}") for key, value in query(3_600_001.7).items()}

    assert parse_times(json.dumps([rounded]))[0].latency_ms == 2.0


def test_damaged_times_are_refused_or_add_up() -> None:
    chance = random.Random(1)
    whole = json.dumps([query(2.5 * number) for number in range(4)])
    for _ in range(2000):
        try:
            queries = parse_times(mutated(whole, chance))
        except ValueError:
            continue
        for each in queries:
            parts = each.h2d_ms + each.compute_ms + each.d2h_ms
            assert each.latency_ms == pytest.approx(parts, rel=2e-4, abs=2e-4)


def test_a_profile_gives_each_layers_mean() -> None:
    layers = [
        {"name": "conv + relu", "timeMs": 30.0, "averageMs": 1.5, "medianMs": 1.4, "percentage": 99}
    ]

    assert parse_profile(json.dumps([{"count": 20}, *layers])) == [
        {"name": "conv + relu", "ms": 1.5}
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", "[{}]", '[{"count": 1}, {"name": "conv"}]'])
def test_a_profile_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_profile(text)


def test_nothing_is_read_from_nothing() -> None:
    assert parse_summary("") == Summary()


def mutated(text: str, chance: random.Random) -> str:
    """The text with one to four places cut out, doubled or overwritten, or its end missing."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text))
        length = chance.choice((1, 1, 3, 40))
        what = chance.randrange(4)
        if what == 0:
            text = text[:at] + text[at + length :]
        elif what == 1:
            text = text[:at] + text[at : at + length] + text[at:]
        elif what == 2:
            text = text[:at] + chance.choice("0123456789.,-e%=:[]\n\0é") + text[at + 1 :]
        elif chance.random() < 0.2:
            text = text[:at]
        text = text or " "
    return text
