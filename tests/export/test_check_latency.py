"""The lines about time: verdicts from what was measured, and real models timed in turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgestill.export import check_latency
from edgestill.export.check_latency import latency, latency_max_ms, look_over_baseline
from edgestill.export.check_report import Fail, Line, Skip
from edgestill.export.check_subject import Subject, open_subject
from edgestill.export.contract import Contract
from edgestill.export.machine_fingerprint import machine_fingerprint
from edgestill.export.paired_latency import FEWEST_ROUNDS, Estimate, Paired
from edgestill.models.errors import BadInput

from .work_clock import NODE_MS, timed_by_work

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a chain of `layers` products (rows, 128) -> (rows, 128) and gives its path."""

    def chain(
        name: str, layers: int, *, rows: int | str = 16, width: int = 128, dtype: str = "float32"
    ) -> Path:
        chance = np.random.default_rng(0)
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        x, y = (
            helper.make_tensor_value_info(name, kind, [rows, width]) for name in ("x", f"x{layers}")
        )
        weights = [
            numpy_helper.from_array(
                (chance.normal(size=(width, width)) / 12).astype(dtype), f"w{i}"
            )
            for i in range(layers)
        ]
        names = ["x", *(f"x{i + 1}" for i in range(layers))]
        nodes = [
            helper.make_node("MatMul", [names[i], f"w{i}"], [names[i + 1]]) for i in range(layers)
        ]
        graph = helper.make_graph(nodes, "chain", [x], [y], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        path = tmp_path / f"{name}.onnx"
        onnx.save(model, path)
        return path

    return chain


def subject_of(path: Path, baseline: Path, *, target: str | None = None, **limits: Any) -> Subject:
    settings = {"baseline": str(baseline), "seconds": 3.0, **limits}
    contract = Contract.model_validate({"latency": settings})
    return open_subject(
        path,
        contract=contract,
        target=target,
        reference=None,
        samples=None,
        labels=None,
        threads=1,
    )


@pytest.mark.parametrize(
    ("own", "theirs", "threads", "verdict"),
    [
        (8, 8, 1, "pass"),
        (24, 8, 1, "fail"),
        (8, 24, 1, "pass"),
        (9, 8, 1, "fail"),
        (24, 8, 2, "fail"),
    ],
)
def test_the_ratio_of_real_sessions_is_that_of_their_work(
    own: int, theirs: int, threads: int, verdict: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, baseline = write("main", own), write("light", theirs)
    timed_by_work(monkeypatch)

    line = latency(subject_of(path, baseline, threads=threads))

    assert line.verdict == verdict
    assert line.expected == "at most 1.05 times as long as light.onnx"
    ratio = own / theirs
    told = {name: line.figures[name] for name in ("ratio", "low", "high", "control")}
    assert told == pytest.approx({"ratio": ratio, "low": ratio, "high": ratio, "control": 1.0})
    assert line.figures["candidate_ms"] == pytest.approx(own * NODE_MS)
    assert line.figures["baseline_ms"] == pytest.approx(theirs * NODE_MS)
    assert line.figures["rounds"] >= FEWEST_ROUNDS


def found(ratio: float, *, low: float, high: float, control: float = 1.0) -> Paired:
    near = Estimate(value=control, low=control - 0.01, high=control + 0.01)
    return Paired(
        ratio=Estimate(value=ratio, low=low, high=high),
        control=near,
        candidate_ms=Estimate(value=2 * ratio, low=2 * low, high=2 * high),
        p50_ms=(2.0, 2 * ratio),
        rounds=30,
        seconds=19.6,
    )


Measured = Callable[[Paired], None]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """What the rounds will have come to."""

    def set_to(result: Paired) -> None:
        monkeypatch.setattr(check_latency, "paired_latency", lambda *a, **k: result)

    return set_to


@pytest.mark.parametrize(
    ("result", "verdict", "says"),
    [
        (found(1.01, low=0.99, high=1.03), "pass", "ratio 1.01 [0.99, 1.03] after 20 s"),
        (found(1.20, low=1.18, high=1.22), "fail", "ratio 1.20 [1.18, 1.22] after 20 s"),
        (
            found(1.04, low=1.01, high=1.08),
            "undecided",
            "cannot tell on this machine: ratio 1.04 [1.01, 1.08] after 20 s",
        ),
    ],
)
def test_the_verdict_is_where_the_interval_lies(
    result: Paired, verdict: str, says: str, write: Write, measured: Measured
) -> None:
    path = write("main", 1)
    measured(result)

    line = latency(subject_of(path, path))

    assert (line.verdict, line.found) == (verdict, f"{says} and 30 rounds")
    assert line.figures["baseline_ms"] == 2.0
    assert line.figures["candidate_ms"] == result.p50_ms[1]  # type: ignore[index]  # it has one


def test_a_baseline_that_differs_from_itself_is_told(write: Write, measured: Measured) -> None:
    path = write("main", 1)
    measured(found(1.0, low=0.9, high=1.1, control=1.06))

    assert "the baseline against itself is 1.06" in latency(subject_of(path, path)).why


def test_too_few_rounds_are_undecided(write: Write, measured: Measured) -> None:
    path = write("main", 1)
    nothing = replace(found(1.0, low=1.0, high=1.0), ratio=None, control=None, rounds=2)
    measured(replace(nothing, candidate_ms=None, p50_ms=None))

    line = latency(subject_of(path, path))

    assert line.verdict == "undecided"
    assert line.found.startswith("cannot tell on this machine: 2 rounds in 19.6 s")


def test_a_model_too_slow_for_the_time_given_is_undecided_at_once(write: Write) -> None:
    path = write("main", 8)

    line = latency(subject_of(path, path, seconds=1e-3))

    assert line.verdict == "undecided"
    assert "one inference takes" in line.found
    assert line.figures == {}


@pytest.mark.parametrize("target", ["tensorrt", "ort-arm64", "ort-x86"])
def test_a_file_for_another_kind_of_machine_is_undecided(
    target: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    path = write("main", 1)

    line = latency(subject_of(path, path, target=target))

    assert line.verdict == "undecided"
    assert line.found.startswith("cannot tell on this machine: the file is for ")


def pinned(path: Path, machine: str, max_ms: float) -> Line:
    return latency_max_ms(subject_of(path, path, max_ms=max_ms, machine=machine))


@pytest.mark.parametrize(("max_ms", "verdict"), [(2.5, "pass"), (1.5, "fail"), (2.0, "undecided")])
def test_a_time_is_judged_on_the_machine_that_it_is_for(
    max_ms: float, verdict: str, write: Write, measured: Measured
) -> None:
    measured(found(1.0, low=0.98, high=1.02))

    line = pinned(write("main", 1), machine_fingerprint(), max_ms)

    assert line.verdict == verdict
    assert line.found.endswith("2.00 [1.96, 2.04] ms after 20 s and 30 rounds")
    assert line.expected == f"at most {max_ms:g} ms, 1 thread"


def test_a_time_is_not_judged_on_another_machine(write: Write) -> None:
    with pytest.raises(Skip) as caught:
        pinned(write("main", 1), "aarch64 Cortex-A78AE, 6 cores, onnxruntime 1.23.2 #0a1b2c", 2.0)

    assert "aarch64 Cortex-A78AE" in str(caught.value)
    assert machine_fingerprint() in str(caught.value)


def test_both_lines_are_of_one_measurement(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []

    def measure(time_round: object, *, max_ms: float | None, **rest: object) -> Paired:
        asked.append(max_ms)
        return found(1.0, low=0.99, high=1.01)

    monkeypatch.setattr(check_latency, "paired_latency", measure)
    path = write("main", 1)
    subject = subject_of(path, path, max_ms=3.0, machine=machine_fingerprint())

    assert latency(subject).verdict == latency_max_ms(subject).verdict == "pass"
    assert asked == [3.0]


def test_the_same_inputs_are_fed_in_each_ones_own_type(write: Write) -> None:
    half, whole = write("half", 2, dtype="float16"), write("whole", 2)

    own, theirs = check_latency._feeds(subject_of(half, whole), whole)

    assert [str(fed["x"].dtype) for fed in (own, theirs)] == ["float16", "float32"]
    assert own["x"].shape == theirs["x"].shape == (16, 128)
    np.testing.assert_array_equal(own["x"], theirs["x"].astype(np.float16))


def test_a_free_batch_is_timed_with_the_baselines_size(write: Write) -> None:
    free, fixed = write("free", 1, rows="N"), write("fixed", 1, rows=4)

    own, theirs = check_latency._feeds(subject_of(free, fixed), fixed)
    alone, _ = check_latency._feeds(subject_of(free, free), free)

    assert own["x"].shape == theirs["x"].shape == (4, 128)
    assert alone["x"].shape == (1, 128)


@pytest.mark.parametrize("other", [{"width": 64}, {"rows": 8}])
def test_a_baseline_with_other_inputs_fails_the_line(write: Write, other: dict[str, int]) -> None:
    path, baseline = write("main", 1), write("other", 1, **other)

    with pytest.raises(Fail, match="the baseline does not take the same inputs: "):
        latency(subject_of(path, baseline))


@pytest.mark.parametrize("content", [None, b"no model"])
def test_a_baseline_that_cannot_be_opened_is_the_callers_mistake(
    content: bytes | None, write: Write, tmp_path: Path
) -> None:
    path, baseline = write("main", 1), tmp_path / "gone.onnx"
    if content is not None:
        baseline.write_bytes(content)

    with pytest.raises(BadInput, match=r"gone\.onnx"):
        look_over_baseline(subject_of(path, baseline).contract.latency)
    look_over_baseline(None)


def test_without_a_limit_there_is_nothing_to_judge(write: Write) -> None:
    path = write("main", 1)

    with pytest.raises(Skip, match="sets no max_ms"):
        latency_max_ms(subject_of(path, path))
