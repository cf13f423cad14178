"""The meter over `tegrastats`, played by scripts that print recorded lines, die, or print rubbish.

Where a test needs to know when a line came, the meter's clock is a list of instants: the reading
thread asks it once for each line.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from edgestill.deploy.agent import tegrastats_process
from edgestill.deploy.agent.energy import Energy
from edgestill.deploy.agent.errors import Unmeasurable
from edgestill.deploy.agent.meter_tegrastats import Tegrastats, step_mw
from edgestill.deploy.agent.tegrastats import parse_line, rails_mw

from .tegrastats_lines import RECORDED, SAMPLES

LOG = Path(__file__).parents[4] / "shared" / "facts" / "orin_nano_tegrastats_100ms.raw"
AGX_ORIN = "cpu@40C VDD_GPU_SOC {}mW/0mW VDD_CPU_CV {}mW/0mW VIN_SYS_5V0 {}mW/0mW"
Board: TypeAlias = Callable[[str], Path]


class Instants:
    """A clock that gives each line the next of `times_ns`, once it has them."""

    def __init__(self) -> None:
        self.times_ns: Iterator[int] = iter(())

    def __call__(self) -> int:
        return next(self.times_ns, 0)


def test_replayed_energy_is_the_trapezoid_of_the_log(replayed: Callable[..., Tegrastats]) -> None:
    if not LOG.is_file():
        pytest.skip(f"no recorded log at {LOG}")
    lines = LOG.read_text().splitlines()
    times_s = 1000 + 0.1096 * np.arange(len(lines))
    power_mw = {
        name: np.array([rails_mw(parse_line(line))[name] for line in lines], dtype=float)
        for name in ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC")
    }
    meter = replayed(lines, times_s)

    for start_s, stop_s in ((1000.0, 1072.3), (1003.21, 1033.02), (1041.0, 1043.5)):
        meter.begin(round(start_s * 1e9))
        reading = meter.end(round(stop_s * 1e9))

        inside = times_s[(times_s > start_s) & (times_s < stop_s)]
        points = np.array([start_s, *inside, stop_s])
        for name, mw in power_mw.items():
            expected_mj = integral(points, np.interp(points, times_s, mw))
            assert reading.rails_mj[name] == pytest.approx(expected_mj, rel=1e-6)  # whole ns
        assert reading.used_mj == reading.rails_mj["VDD_IN"]
        assert reading.samples == len(inside)
        # One step of 40 mW all the time, and the edges.
        assert reading.bound_mj >= 40 * (stop_s - start_s)
        assert reading.bound_mj < 0.03 * reading.used_mj
    trace = meter.trace(round(times_s[0] * 1e9))
    assert trace is not None
    assert trace["mw"] == power_mw["VDD_IN"].tolist()
    np.testing.assert_allclose(trace["t_s"], times_s - times_s[0], atol=1e-6)


def test_the_mean_in_a_line_is_not_what_is_integrated(replayed: Callable[..., Tegrastats]) -> None:
    lines = [f"cpu@40C VDD_IN {mw}mW/99999mW" for mw in (1000, 1000, 3000, 3000, 3000, 3000, 3000)]
    meter = replayed(lines, np.arange(7.0))

    meter.begin(0)
    reading = meter.end(6_000_000_000)

    assert reading.used_mj == 1000 + 2000 + 4 * 3000
    assert reading.samples == 5
    # Steps of 40 mW over 6 s, no step at the edges, and a range of 2 W for a tenth of a second.
    assert reading.bound_mj == 40 * 6 + 2000 * 0.1


def test_a_board_without_a_total_is_the_sum_of_its_rails(
    replayed: Callable[..., Tegrastats],
) -> None:
    lines = [AGX_ORIN.format(2400 + 402 * (i % 2), 800, 4700) for i in range(20)]
    lines[7] = lines[7].replace("VIN_SYS_5V0 ", "VIN_SYS_5V0x ")  # so this line is no reading
    meter = replayed(lines, np.arange(20.0) / 2)

    meter.begin(0)
    reading = meter.end(4_000_000_000 - 500_000_000)

    assert meter.rule == "sum of rails, module only: VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0"
    assert meter.source == "tegrastats VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0"
    assert reading.used_mj == pytest.approx(sum(reading.rails_mj.values()))
    assert reading.rails_mj["VDD_CPU_CV"] == 800 * 3.5
    assert reading.samples == 6
    assert len((meter.trace(0) or {})["t_s"]) == 19


def test_every_recorded_board_has_a_meter(board: Board, printing: Callable[..., str]) -> None:
    for sample in SAMPLES:
        if "power_mw" in sample.fields:
            meter = Tegrastats(board(printing([sample.line])))

            assert meter.rails == [rail["rail"] for rail in sample.fields["power_mw"]]


def test_a_step_is_the_commonest_change_and_not_the_smallest() -> None:
    current = [5000, 5040, 5044, 5004] * 5  # the voltage's steps are a tenth of the current's

    assert step_mw(current) == 40
    assert step_mw([2412, 2010, 1608, 2010] * 5) == 402  # as on AGX Orin
    assert step_mw([2412, 2010]) == step_mw([]) == 40  # too few to tell
    assert step_mw([100, 103] * 20) == 40  # never better than the best monitor


def test_energy_takes_it_where_rails_cannot_be_read(board: Board) -> None:
    steady = RECORDED[4].line
    root = board(f"while :; do echo {shlex.quote(steady)}; sleep 0.05; done")
    energy = Energy(root)

    energy.measure_idle(0.6, time.sleep, lambda gone_s: None)
    start_ns = time.perf_counter_ns()
    energy.begin(start_ns)
    time.sleep(0.6)
    energy.tick()
    stop_ns = time.perf_counter_ns()
    used = energy.end(stop_ns)
    summary, trace = energy.summary(), energy.trace(start_ns)
    energy.close()

    assert summary["readable"], summary
    assert summary["source"] == "tegrastats VDD_IN"
    assert summary["rule"] == "VDD_IN, the whole module"
    assert summary["idle_power_mw"] == pytest.approx(2763)
    assert used is not None
    assert used["used_mj"] == pytest.approx(2763 * (stop_ns - start_ns) / 1e9)
    assert used["rails_mj"]["VDD_SOC"] == pytest.approx(650 * (stop_ns - start_ns) / 1e9)
    assert trace is not None
    assert set(trace["mw"]) == {2763.0}


def test_it_is_asked_for_ten_lines_a_second(board: Board, tmp_path: Path) -> None:
    root = board(f'echo "$@" > {tmp_path}/asked; {echoing(RECORDED[0].line)}; exec sleep 60')

    Tegrastats(root)

    assert (tmp_path / "asked").read_text() == "--interval 100\n"


def test_nothing_runs_before_start_and_after_close(board: Board, tmp_path: Path) -> None:
    root = board(f"echo $$ >> {tmp_path}/pids; {echoing(RECORDED[0].line)}; exec sleep 60")

    meter = Tegrastats(root)
    probed = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    meter.start()
    started = [int(pid) for pid in (tmp_path / "pids").read_text().split()][1:]
    running = alive(started[0])
    meter.close()
    meter.close()

    assert len(probed) == len(started) == 1
    assert not alive(probed[0])
    assert running
    assert not alive(started[0])


def test_it_ends_with_an_agent_that_is_killed(board: Board, tmp_path: Path) -> None:
    line = echoing(RECORDED[0].line)
    root = board(f"echo $$ >> {tmp_path}/pids; while :; do {line}; sleep 0.05; done")
    agent = (
        "import os, pathlib, sys;"
        "from edgestill.deploy.agent.meter_tegrastats import Tegrastats;"
        "Tegrastats(pathlib.Path(sys.argv[1])).start();"
        "os.kill(os.getpid(), 9)"
    )

    done = subprocess.run([sys.executable, "-c", agent, str(root)])

    assert done.returncode == -9
    pid = int((tmp_path / "pids").read_text().split()[-1])
    for _ in range(200):
        if not alive(pid):
            break
        time.sleep(0.05)
    assert not alive(pid)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", r"^tegrastats ended$"),
        ("echo no; exit 3", r"^tegrastats ended; it said 'no'$"),
        ("printf 'cpu@40C VDD_IN 100mW/1'", "tegrastats ended; it said 'cpu@40C VDD_IN"),
        ("exec sleep 60", r"^tegrastats printed no power for 0\.3 s$"),
        ("head -c 100000 /dev/zero; exec sleep 60", "prints no power rail"),
        ("while :; do echo 'RAM 1/2MB CPU [0%@9]'; done", r"prints no power rail; it said 'RAM"),
    ],
)
def test_a_program_that_gives_no_power_says_what_it_did(
    board: Board, script: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tegrastats_process, "PATIENCE_S", 0.3)

    with pytest.raises(Unmeasurable, match=reason):
        Tegrastats(board(script))


def test_a_board_without_the_program_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unmeasurable, match="tegrastats: no tegrastats on this machine"):
        Tegrastats(tmp_path)


def test_a_program_that_cannot_be_run_says_why(board: Board, tmp_path: Path) -> None:
    program = board("") / "usr/bin/tegrastats"
    program.write_bytes(b"\x7fELF for another processor")

    with pytest.raises(Unmeasurable, match="tegrastats: Exec format error"):
        Tegrastats(tmp_path)


def test_a_program_that_dies_midway_leaves_no_half_energy(
    replayed: Callable[..., Tegrastats],
) -> None:
    lines = [f"cpu@40C VDD_IN {mw}mW/0mW" for mw in range(1000, 1020)]
    meter = replayed(lines, np.arange(20.0), then="exit 1")

    meter.begin(1_000_000_000)

    with pytest.raises(Unmeasurable, match="tegrastats ended"):
        meter.end(30_000_000_000)
    assert meter.end(10_000_000_000).samples == 8  # what was read before is good


def test_a_program_that_falls_silent_in_the_window_is_no_energy(
    replayed: Callable[..., Tegrastats],
) -> None:
    lines = [f"cpu@40C VDD_IN {mw}mW/0mW" for mw in range(1000, 1020)]
    times_s = np.arange(20.0) / 2
    times_s[10:] += 60
    meter = replayed(lines, times_s)

    meter.begin(1_000_000_000)

    with pytest.raises(Unmeasurable, match=r"VDD_IN was not read for 60\.5 s"):
        meter.end(68_000_000_000)


def test_a_window_of_few_lines_is_refused(replayed: Callable[..., Tegrastats]) -> None:
    lines = [f"cpu@40C VDD_IN {mw}mW/0mW" for mw in range(1000, 1020)]
    meter = replayed(lines, np.arange(20.0) / 10)

    meter.begin(100_000_000)

    with pytest.raises(Unmeasurable, match=r"4 lines in a window of 0\.500 s, fewer than 5"):
        meter.end(600_000_000)


def test_rubbish_between_lines_is_passed_over(replayed: Callable[..., Tegrastats]) -> None:
    good = "cpu@40C VDD_IN 5000mW/0mW"
    endless = "x" * 9000 + " VDD_IN 9000mW/0mW"
    rubbish = ["", "cpu@40C VDD_IN 5 000mW/0mW", endless, "\x00\x7f", "VDD_IN 7mW"]
    lines = [good] * 4 + rubbish + [good] * 6

    meter = replayed(lines, np.arange(20.0) / 10)
    meter.begin(0)
    reading = meter.end(1_400_000_000)

    assert reading.used_mj == pytest.approx(5000 * 1.4)


def integral(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def echoing(line: str) -> str:
    return f"echo {shlex.quote(line)}"


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """A root folder whose `tegrastats` is a shell script."""

    def write(script: str) -> Path:
        program = tmp_path / "usr/bin/tegrastats"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return tmp_path

    return write


@pytest.fixture
def printing(tmp_path: Path) -> Callable[..., str]:
    """A script that prints lines at once, and then waits."""

    def write(lines: list[str], then: str = "exec sleep 60") -> str:
        (tmp_path / "lines").write_text("".join(line + "\n" for line in lines))
        return f"cat {shlex.quote(str(tmp_path / 'lines'))}; {then}"

    return write


@pytest.fixture
def replayed(board: Board, printing: Callable[..., str]) -> Iterator[Callable[..., Tegrastats]]:
    """A meter that has read lines, each at its instant (seconds of its clock)."""
    meters = []

    def replay(lines: list[str], times_s: np.ndarray, then: str = "exec sleep 60") -> Tegrastats:
        clock = Instants()
        meter = Tegrastats(board(printing(lines, then)), clock_ns=clock)
        clock.times_ns = iter([round(t * 1e9) for t in times_s.tolist()])
        meters.append(meter)
        meter.start()
        return meter

    yield replay
    for meter in meters:
        meter.close()
