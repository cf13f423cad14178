"""trtexec builds, loads and times, in each version's own words; what goes wrong is told."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from onnx import TensorProto

from edgestill.deploy.agent import engine_trtexec
from edgestill.deploy.agent.bench import bench
from edgestill.deploy.agent.engine_trtexec import Trtexec
from edgestill.deploy.agent.engines import open_engine
from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.protocol import Case, Request, event_line
from edgestill.deploy.agent.timing import Window
from edgestill.deploy.wire import Result, Taken, event_from

from .fake_trtexec import FORMS, write_trtexec

WriteModel: TypeAlias = Callable[..., Path]
QUERY_MS = 5.0
LATENCY_NS, COMPUTE_NS = 4_000_000, 3_000_000  # of the fake's query of 5 ms
VERSIONS = dict(zip(FORMS, ("8.2.1", "8.5.2", "8.6.1", "10.9.0", "10.16.0", "11.0.0"), strict=True))


class Board:
    """A root with trtexec, and the engines that were opened on it."""

    def __init__(self, root: Path, model: Path) -> None:
        self.root, self.model, self.opened = root, model, list[Trtexec]()
        self.calls = root
        self.kept = True

    def has(self, **settings: Any) -> Board:
        self.calls = write_trtexec(self.root, query_ms=QUERY_MS, **settings)
        return self

    def request(self, **changes: Any) -> Request:
        case = Case(model=str(self.model), engine="trtexec", **changes)
        state_dir = str(self.root / "state") if self.kept else None
        return Request(cases=[case], state_dir=state_dir, warmup_seconds=0.2)

    def open(self, **changes: Any) -> Trtexec:
        request = self.request(**changes)
        engine = open_engine(request.cases[0], request, self.root)
        assert isinstance(engine, Trtexec)
        self.opened.append(engine)
        return engine

    def loaded(self, **changes: Any) -> Trtexec:
        engine = self.open(**changes)
        engine.load()
        engine.feed()
        return engine

    def said(self, wanted: str) -> list[list[str]]:
        """The calls, each as its words, that had a word beginning with `wanted`."""
        calls: list[list[str]] = [json.loads(line) for line in self.calls.read_text().splitlines()]
        return [call for call in calls if any(word.startswith(wanted) for word in call)]


@pytest.fixture
def board(tmp_path: Path, tiny_model: Path) -> Iterator[Board]:
    found = Board(tmp_path / "root", tiny_model)
    yield found
    for engine in found.opened:
        engine.close()


def windowed(engine: Trtexec, begun: list[int] | None = None, **changes: Any) -> Window:
    asked: dict[str, Any] = {"seconds": 0.3, "min_runs": 20, "max_seconds": 5.0, **changes}
    asked.setdefault("tick", lambda runs, seconds: None)
    begin = (begun if begun is not None else []).append
    return engine.window(time.perf_counter_ns, begin=begin, **asked)


def warmed(engine: Trtexec, seconds: float = 0.05) -> Any:
    return engine.warm_up(time.perf_counter_ns, seconds, lambda runs, gone: None)


@pytest.mark.parametrize("number", list(FORMS))
def test_every_version_is_built_run_and_timed_alike(board: Board, number: int) -> None:
    engine = board.has(number=number).loaded()
    engine.run()
    warm = warmed(engine)
    begun: list[int] = []

    window = windowed(engine, begun)

    assert (engine.name, engine.version, engine.provider) == ("trtexec", VERSIONS[number], "Orin")
    assert (warm.settled, warm.typical_ns) == (True, pytest.approx(LATENCY_NS))
    assert set(window.samples_ns) == {LATENCY_NS}
    assert window.device_ns == [COMPUTE_NS] * len(window.samples_ns)
    assert len(window.samples_ns) >= 20
    assert begun == [window.start_ns]
    # The queries follow one another every 5 ms, and those of the window lie in it.
    assert window.seconds >= (len(window.samples_ns) - 1) * QUERY_MS / 1000
    assert {key: engine.facts[key] for key in ("sm_count", "clock_mhz", "cuda_graph")} == {
        "sm_count": 8,
        "clock_mhz": pytest.approx(1020),
        "cuda_graph": True,
    }


def test_a_whole_measurement_is_what_the_host_takes(board: Board) -> None:
    board.has()
    lines: list[str] = []
    request = Request(
        cases=[
            Case(model=str(board.model), engine="trtexec", label="one"),
            Case(model=str(board.model), engine="trtexec", label="two", batch=2),
        ],
        rounds=2,
        seconds=0.6,
        min_runs=60,
        warmup_seconds=0.05,
        idle_seconds=0.01,
        layers=True,
        state_dir=str(board.root / "state"),
    )

    content, journal = bench(
        request, lambda event, told: lines.append(event_line(event, told)), root=board.root
    )

    journal.remove()
    lines.append(event_line("result", content))
    events = [event_from(line.encode()) for line in lines]
    assert len([event for event in events if isinstance(event, Taken)]) == 4
    result = events[-1]
    assert isinstance(result, Result)
    for case in result.cases:
        assert case.runs >= 60
        assert case.latency_ms.p50 == pytest.approx(4.0)
        assert case.device_ms is not None
        assert case.device_ms.p99 == pytest.approx(3.0)
        assert [layer.name for layer in case.layers or ()] == ["conv1 + relu1", "fc"]
        assert case.engine.facts["cached"] is False
    assert len(board.said("--exportTimes")) == 2 * (1 + 1 + 2)  # first, warm-up, two windows


@pytest.mark.parametrize("number", list(FORMS))
def test_the_first_version_of_each_flag_takes_it(board: Board, number: int) -> None:
    engine = board.has(number=number).loaded(batch=2)

    assert engine.layers() == [{"name": "conv1 + relu1", "ms": 1.5}, {"name": "fc", "ms": 0.5}]
    build, run = board.said("--onnx")[0], board.said("--exportProfile")[0]
    assert "--shapes=images:2x3x8x8" in build
    assert "--shapes=images:2x3x8x8" in run


def test_the_fake_refuses_what_a_version_does_not_know(board: Board) -> None:
    engine = board.has(number=8201).loaded()

    with pytest.raises(AgentError, match=r"failed with 1: Unknown option: --skipInference"):
        engine._runner.run(["--onnx=x", "--skipInference"], 10.0)


def test_a_fixed_batch_needs_no_shapes_and_takes_no_other(
    board: Board, write_model: WriteModel
) -> None:
    write_model(1, 3, 8, 8)
    board.has().loaded()

    assert board.said("--shapes") == []
    with pytest.raises(AgentError, match="'images' has the fixed batch 1, asked for 8"):
        board.loaded(batch=8)


def test_float16_files_need_a_flag_before_networks_could_be_strongly_typed(
    board: Board, write_model: WriteModel
) -> None:
    write_model(kind=TensorProto.FLOAT16)
    board.has(number=8502).loaded()

    assert "--fp16" in board.said("--onnx")[0]


def test_a_dla_is_named_as_where_it_runs(board: Board) -> None:
    engine = board.has().loaded(dla_core=1)

    windowed(engine)

    assert {"--useDLACore=1", "--allowGPUFallback", "--fp16"} <= set(board.said("--onnx")[0])
    assert "--useDLACore=1" in board.said("--exportTimes")[0]
    assert engine.provider == "DLA 1 of Orin"


def test_an_engine_is_built_once_for_each_setting(board: Board) -> None:
    first = board.has().loaded()

    again, other = board.loaded(), board.loaded(precision="fp16")
    again.run()

    assert len(board.said("--onnx")) == 2
    assert (again.facts["cached"], other.facts["cached"]) == (True, False)
    assert again.facts["build_s"] == first.facts["build_s"] > 0
    assert "--stronglyTyped" in again.facts["command"].split()
    assert f"{board.root}/state/engines/timing-10.9.0-" in again.facts["command"]


def test_an_engine_for_other_sms_is_built_anew(board: Board) -> None:
    board.has(sm_count=8).loaded()

    engine = board.has(sm_count=4).loaded()

    assert (engine.facts["sm_count"], engine.facts["cached"]) == (4, False)
    assert len(board.said("--onnx")) == 2


def test_the_timings_of_other_sms_or_another_power_mode_are_not_taken(board: Board) -> None:
    board.has(sm_count=8)
    status = board.root / "var/lib/nvpmodel/status"
    modes = "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=25W >\n"
    for path, text in ((board.root / "etc/nvpmodel.conf", modes), (status, "pmode:0000\n")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    board.loaded()
    board.loaded(batch=2)
    status.write_text("pmode:0001\n")
    board.loaded()
    board.has(sm_count=4).loaded()

    words = [word for call in board.said("--onnx") for word in call]
    first, same, other_mode, other_sms = [word for word in words if "--timingCacheFile=" in word]

    assert first == same
    assert len({first, other_mode, other_sms}) == 3


def test_a_damaged_engine_is_built_anew(board: Board) -> None:
    board.has().loaded()
    next((board.root / "state/engines").glob("*.engine")).write_text("plan for no")

    engine = board.loaded()
    engine.run()

    assert engine.facts["cached"] is False
    assert "its bytes are not those" in engine.facts["cache"]


def test_without_a_state_folder_nothing_is_left(board: Board) -> None:
    board.kept = False
    engine = board.has().loaded()
    built = Path(engine._engine)
    assert built.is_file()

    engine.close()

    assert not built.parent.exists()
    assert board.said("--timingCacheFile") == []


def test_the_warm_up_that_8_2_writes_among_the_times_is_not_counted(board: Board) -> None:
    engine = board.has(number=8201, does="late-report").loaded()

    window = windowed(engine)

    # Laid back from the report, the window would reach 150 ms into the warm-up.
    assert len(window.samples_ns) * QUERY_MS / 1000 <= window.seconds - 0.15 + QUERY_MS / 1000


def test_queries_from_before_the_window_opened_are_not_counted(board: Board) -> None:
    engine = board.has(does="late-start").loaded()

    window = windowed(engine)

    assert len(window.samples_ns) * QUERY_MS / 1000 <= window.seconds + QUERY_MS / 1000


def test_ticks_come_while_it_is_timed(board: Board) -> None:
    engine = board.has().loaded()
    ticks: list[float] = []

    windowed(engine, seconds=0.8, tick=lambda runs, seconds: ticks.append(seconds))

    assert ticks
    assert ticks == sorted(ticks)


def test_later_warm_ups_are_left_to_the_windows(board: Board) -> None:
    engine = board.has().loaded()

    first = warmed(engine, 0.3)
    again = warmed(engine, 0.06)
    windowed(engine)

    assert again == first
    warm_up, window = board.said("--exportTimes")
    assert "--duration=0.3" in warm_up
    assert "--warmUp=300" in window


def test_a_graph_that_could_not_be_captured_is_told(board: Board) -> None:
    engine = board.has(does="no-graph").loaded()

    windowed(engine)

    assert engine.facts["cuda_graph"] is False


def test_its_own_warnings_are_kept(board: Board) -> None:
    engine = board.has(does="unstable").loaded()

    windowed(engine)

    assert engine.facts["warnings"] == ["unstable"]


@pytest.mark.parametrize(
    ("does", "reason"), [("no-times", "wrote no file of times"), ("cut-times", "cannot be used")]
)
def test_without_samples_there_are_no_figures_but_the_text_is_told(
    board: Board, does: str, reason: str
) -> None:
    engine = board.has(does=does).loaded()

    with pytest.raises(AgentError, match=f"{reason}.*text says: latency median 4 ms") as refused:
        windowed(engine)

    assert refused.value.kind == "device"


def test_a_program_that_is_cut_off_is_told(board: Board) -> None:
    engine = board.has(does="cut").loaded()

    with pytest.raises(AgentError, match="trtexec ended with 9 before it was done"):
        windowed(engine)


def test_a_program_that_takes_longer_than_it_may_is_ended(board: Board) -> None:
    engine = board.has(does="hang").loaded()

    with pytest.raises(AgentError, match=r"20 runs did not fit into 0\.3 s"):
        windowed(engine, max_seconds=0.3)

    assert not _alive(board)


def test_a_program_that_never_is_ready_is_ended(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = board.has(does="stuck").loaded()
    monkeypatch.setattr(engine_trtexec, "START_LIMIT_S", 1)

    with pytest.raises(AgentError, match="was not ready within 1 s"):
        windowed(engine)

    assert not _alive(board)


def test_an_interruption_in_the_middle_ends_the_program(board: Board) -> None:
    engine = board.has(does="hang").loaded()

    def interrupted(_runs: int, _seconds: float) -> None:
        assert _alive(board)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        windowed(engine, seconds=5.0, max_seconds=60.0, tick=interrupted)

    assert not _alive(board)


def test_closing_in_the_middle_ends_the_program(board: Board) -> None:
    engine = board.has(does="hang").loaded()

    with pytest.raises(AgentError, match="was ended by signal 9"):
        windowed(engine, max_seconds=60.0, tick=lambda runs, seconds: engine.close())

    assert not _alive(board)


def _alive(board: Board) -> bool:
    """Whether the process of the fake's last call runs."""
    number = int((board.calls.parent / "trtexec.pid").read_text())
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_model_that_cannot_be_parsed_is_told_by_the_last_errors(board: Board) -> None:
    with pytest.raises(
        AgentError,
        match=r"failed with 1: .*No importer registered for op: Foo; .*; Engine set up failed",
    ):
        board.has(does="bad-model").loaded()

    assert not list((board.root / "state/engines").glob("*.engine"))


def test_a_machine_without_a_gpu_is_told(board: Board) -> None:
    with pytest.raises(AgentError, match=r"trtexec 10\.9\.0 is here, but no CUDA device"):
        board.has(does="no-device").open()


def test_a_machine_without_trtexec_is_told_what_to_install(board: Board) -> None:
    with pytest.raises(AgentError, match=r"no trtexec .*apt-get install") as refused:
        board.open()

    assert refused.value.kind == "missing"


def test_a_program_that_is_something_else_is_told(board: Board) -> None:
    board.has()
    program = board.root / "usr/src/tensorrt/bin/trtexec"
    program.write_text("#!/bin/sh\necho 'cannot open libnvinfer.so.10' >&2\nexit 127\n")

    with pytest.raises(AgentError, match=r"of which TensorRT it is.*cannot open libnvinfer"):
        board.open()
