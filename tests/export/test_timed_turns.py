"""Turns of real sessions: who runs when, on which clock, and what a round comes to."""

from __future__ import annotations

import gc
import math
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgestill.export import timed_turns
from edgestill.export.timed_turns import MODELS, TooSlow, Turns, clock_for, timing_session
from edgestill.models.errors import BadInput

from .work_clock import NODE_MS, timed_by_work


def chain(path: Path, layers: int) -> Path:
    """Writes products (16, 128) -> (16, 128), one after the other."""
    chance = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(chance.normal(0, 0.1, (128, 128)).astype(np.float32), f"w{i}")
        for i in range(layers)
    ]
    nodes = [helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"x{i + 1}"]) for i in range(layers)]
    first, last = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [16, 128])
        for name in ("x0", f"x{layers}")
    )
    graph = helper.make_graph(nodes, "chain", [first], [last], weights)
    imports = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=10), path)
    return path


def turns(baseline: Path, candidate: Path, **options: Any) -> Turns:
    feeds = {"x0": np.ones((16, 128), np.float32)}
    given = {"threads": 1, "target": None, "seconds": 5.0, **options}
    return Turns(
        baseline=baseline,
        candidate=candidate,
        baseline_feeds=feeds,
        candidate_feeds=feeds,
        **given,
    )


class Counted:
    """A session that tells when it runs."""

    def __init__(self, name: str, runs: list[str]) -> None:
        self.name, self.runs = name, runs

    def run(self, wanted: None, feeds: object) -> None:
        self.runs.append(self.name)
        time.sleep(0.001)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which file ran, call by call."""
    log: list[str] = []
    monkeypatch.setattr(
        timed_turns, "timing_session", lambda path, **options: Counted(path.stem, log)
    )
    return log


def test_a_turn_comes_back_in_the_reverse_order(runs: list[str]) -> None:
    timed = turns(Path("old.onnx"), Path("new.onnx"))
    timed.round()
    del runs[:]

    slots = timed._turn()

    # Of slots with several calls each; the baseline stands for two models.
    assert runs == runs[::-1]
    assert set(runs) == {"old", "new"}
    assert {name: len(each) for name, each in slots.items()} == dict.fromkeys(MODELS, 2)


def test_each_round_opens_its_sessions_anew_unless_that_is_dear(
    runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = turns(Path("old.onnx"), Path("new.onnx"))
    timed.round()
    first = dict(timed._sessions)
    timed.round()
    assert not set(map(id, first.values())) & set(map(id, timed._sessions.values()))

    kept = dict(timed._sessions)
    timed._opening_s = 1.0  # of five seconds
    timed.round()
    assert timed._sessions == kept


def test_the_order_is_by_chance_and_the_same_again_with_the_same_seed(runs: list[str]) -> None:
    def order(seed: int) -> list[str]:
        chance = turns(Path("a.onnx"), Path("b.onnx"), seed=seed)._chance
        return [name for _ in range(20) for name in chance.sample(MODELS, 3)]

    assert order(1) == order(1) != order(2)
    assert {tuple(order(1)[i : i + 3]) for i in range(0, 60, 3)} > {MODELS}


def test_one_thread_is_timed_by_its_processor_time_and_more_by_the_wall(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert clock_for(1) is time.thread_time_ns
    assert clock_for(2) is time.perf_counter_ns

    coarse = SimpleNamespace(resolution=0.0156)
    monkeypatch.setattr(time, "get_clock_info", lambda name: coarse)
    assert clock_for(1) is time.perf_counter_ns


@pytest.mark.parametrize("threads", [1, 2])
def test_a_round_of_real_sessions(threads: int, tmp_path: Path) -> None:
    light, heavy = chain(tmp_path / "light.onnx", 4), chain(tmp_path / "heavy.onnx", 40)

    found = turns(light, heavy, threads=threads).round()

    assert math.isfinite(found.log_control)
    assert math.isfinite(found.log_ratio)
    assert found.baseline_ms > 0
    assert found.candidate_ms > 0
    assert gc.isenabled()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_round_tells_the_ratio_of_the_work(
    threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    light, heavy = chain(tmp_path / "light.onnx", 4), chain(tmp_path / "heavy.onnx", 40)
    timed_by_work(monkeypatch)

    found = turns(light, heavy, threads=threads).round()

    assert found.log_ratio == pytest.approx(math.log(10))
    assert found.log_control == pytest.approx(0)
    assert found.baseline_ms == pytest.approx(4 * NODE_MS)
    assert found.candidate_ms == pytest.approx(40 * NODE_MS)


def test_a_model_that_is_too_slow_for_four_rounds_is_told_at_once(tmp_path: Path) -> None:
    path = chain(tmp_path / "main.onnx", 4)

    with pytest.raises(TooSlow, match=r"one inference takes .* the contract gives 1e-05 s"):
        turns(path, path, seconds=1e-5).round()


def test_a_model_that_fails_or_does_not_open_is_named(tmp_path: Path) -> None:
    path = chain(tmp_path / "main.onnx", 4)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    wrong = turns(path, path)
    wrong.candidate_feeds = {"x0": np.ones((3, 128), np.float32)}

    with pytest.raises(BadInput, match=r"main\.onnx: the model fails"):
        wrong.round()
    with pytest.raises(BadInput, match=r"broken\.onnx: ONNX Runtime does not load it"):
        timing_session(broken, threads=1, target=None)
