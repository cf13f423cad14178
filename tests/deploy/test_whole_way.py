"""From here to a board and back: a real SSH server, the real agent, ONNX Runtime, a fake board."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from edgestill.deploy.agent_process import AgentProcess
from edgestill.deploy.errors import DeviceError, Refused, RequestError
from edgestill.deploy.session import Case, Device
from edgestill.deploy.transport_ssh import Ssh

from .agent.set_boards import calls, limits, mode, until
from .fake_boards import BOARDS
from .sshd import Sshd, sshd

__all__ = ["sshd"]  # a fixture

FakeBoards: TypeAlias = Callable[..., Path]
BOARD = "orin-nano-super"
QUICK: dict[str, Any] = {"rounds": 3, "seconds": 1.2, "min_runs": 30, "warmup_seconds": 0.05}
LONGER = {**QUICK, "seconds": 2.0}
"""So that what lies between a meter's window and the runs is little of it."""


class OnBoard(Ssh):
    """The way to a device whose /proc, /sys and programs are those of a fake board."""

    root: Path

    def start(self, arguments: Sequence[str], request: str = "") -> AgentProcess:
        return super().start([*arguments, "--root", str(self.root)], request)


@pytest.fixture
def reach(sshd: Sshd, fake_board: FakeBoards) -> Callable[[], OnBoard]:
    """Gives the way to it, as often as is asked."""
    root = fake_board(BOARD)

    def to_board() -> OnBoard:
        transport = OnBoard(sshd.target(sshd.this_python), sshd.options)
        transport.root = root
        return transport

    return to_board


@pytest.fixture
def cases(tiny_model: Path) -> list[Case]:
    return [Case(model=tiny_model, label=f"batch {n}", batch=n, threads=1) for n in (1, 8)]


def test_a_board_is_set_measured_with_its_energy_and_set_back(
    reach: Callable[[], OnBoard], cases: list[Case]
) -> None:
    transport = reach()
    found = limits(transport.root)

    with transport:
        profile = Device(BOARD, transport).profile(
            cases, power_mode="15w", lock_clocks=True, **LONGER
        )

    one, eight = profile.measurements
    assert (one.power_mode, one.clocks_locked) == ("15W", True)
    assert [each.round for each in eight.slices] == [0, 1, 2]
    # The board of the tree draws a constant power, whatever runs. The meter's window opens some
    # microseconds before the first run.
    drawn_mw = BOARDS[BOARD].monitors[0].rails[0].mw
    used_mj = drawn_mw * one.window_s / one.runs
    assert one.energy_mj == pytest.approx(used_mj, rel=1e-3)
    assert one.energy_above_idle_mj == pytest.approx(0, abs=1e-3 * used_mj)
    assert one.energy_bound_mj is not None
    assert 0 < one.energy_bound_mj < used_mj
    assert one.energy_rule == "VDD_IN, the whole module"
    assert profile.power is not None
    assert profile.power["mw"] == pytest.approx([drawn_mw] * len(profile.power["mw"]))
    assert profile.board["jetson"]["module"].startswith("Orin Nano")
    assert (mode(transport.root), limits(transport.root)) == (1, found)
    assert calls(transport.root)[0] == "nvpmodel -m 0"
    assert calls(transport.root)[-1] == "nvpmodel -m 1"


def test_an_interrupt_sets_the_board_back_and_the_next_call_goes_on(
    reach: Callable[[], OnBoard], cases: list[Case]
) -> None:
    transport = reach()

    def interrupt(progress: dict[str, str | float]) -> None:
        if progress["phase"] == "timing" and float(progress["done"]) > 0.9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), transport:
        Device(BOARD, transport).profile(cases, power_mode="15W", on_progress=interrupt, **QUICK)
    until(lambda: mode(transport.root) == 1)
    with reach() as again:
        found = Device(BOARD, again).profile(cases, power_mode="15W", **QUICK)

    assert 1 <= found.earlier_slices < 6
    assert [len(each.slices) for each in found.measurements] == [3, 3]


def test_a_cut_line_sets_the_board_back_and_loses_nothing_that_was_measured(
    reach: Callable[[], OnBoard], cases: list[Case], sshd: Sshd
) -> None:
    transport = reach()

    def cut(progress: dict[str, str | float]) -> None:
        if progress["phase"] == "timing" and float(progress["done"]) > 0.9:
            sshd.signal(signal.SIGKILL)

    with pytest.raises(DeviceError, match="the same command") as lost, transport:
        Device(BOARD, transport).profile(cases, power_mode="15W", on_progress=cut, **QUICK)
    until(lambda: mode(transport.root) == 1)
    with reach() as again:
        found = Device(BOARD, again).profile(cases, power_mode="15W", **QUICK)

    assert "\n" not in str(lost.value)
    assert 1 <= found.earlier_slices < 6
    assert [len(each.slices) for each in found.measurements] == [3, 3]


def test_a_throttled_board_is_flagged_and_refused_when_strict(
    reach: Callable[[], OnBoard], cases: list[Case]
) -> None:
    transport = reach()
    counter = next(transport.root.rglob("oc3_event_cnt"))

    def throttle(progress: dict[str, str | float]) -> None:
        if progress["phase"] == "timing":
            partial = counter.with_name("partial")
            partial.write_text("27\n")
            partial.replace(counter)  # at no moment empty: the agent may be reading it

    with transport:
        device = Device(BOARD, transport)
        flagged = device.profile(cases[:1], on_progress=throttle, **QUICK)
        counter.write_text("0\n")
        with pytest.raises(Refused, match="over-current slowed the board") as refused:
            device.profile(cases[:1], on_progress=throttle, strict=True, **QUICK)

    (flag,) = (flag for flag in flagged.measurements[0].flags if flag.kind == "throttled")
    assert flag.grave
    assert f"oc3 by {27 - BOARDS[BOARD].oc_events[2]}" in flag.text
    assert refused.value.exit_code == 1


def test_an_unknown_power_mode_is_refused_with_those_that_there_are(
    reach: Callable[[], OnBoard], cases: list[Case]
) -> None:
    with reach() as transport, pytest.raises(RequestError, match="known: 15W, 25W, MAXN_SUPER"):
        Device(BOARD, transport).profile(cases, power_mode="40W", **QUICK)
