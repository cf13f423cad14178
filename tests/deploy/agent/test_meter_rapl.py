"""RAPL over a folder that stands for the machine: sums, wraps, and a reason where it fails."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from edgestill.deploy.agent.errors import Unmeasurable
from edgestill.deploy.agent.meter_rapl import Rapl

AddPackage: TypeAlias = Callable[..., Path]
SECOND = 1_000_000_000


class Clock:
    """Stands still until it is set."""

    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_energy_is_what_the_counter_gained_since_begin(
    tmp_path: Path, add_package: AddPackage, clock: Clock
) -> None:
    counter = add_package(energy_uj=5_000)
    meter = Rapl(tmp_path / "root", clock_ns=clock)

    counter.write_text("7000\n")
    meter.begin(0)
    counter.write_text("19500\n")
    clock.now_ns = SECOND

    assert meter.end(SECOND).used_mj == 12.5


def test_the_packages_are_added_and_their_parts_and_psys_are_not(
    tmp_path: Path, add_package: AddPackage, clock: Clock
) -> None:
    counters = [
        add_package("intel-rapl:0", "package-0"),
        add_package("intel-rapl:1", "package-1"),
        add_package("intel-rapl:2", "psys"),
        add_package("intel-rapl:0:0", "core"),
        add_package("intel-rapl-mmio:0", "package-0"),
    ]
    meter = Rapl(tmp_path / "root", clock_ns=clock)

    for counter, microjoules in zip(counters, (1_000, 20_000, 300_000, 700, 1_000), strict=True):
        counter.write_text(f"{microjoules}\n")
    clock.now_ns = SECOND

    assert meter.end(SECOND).used_mj == 21
    assert meter.source == "RAPL package-0 + package-1 (CPU packages only)"
    assert meter.rails == ["package-0", "package-1"]


def test_the_bound_is_one_update_of_the_counter_at_either_edge(
    tmp_path: Path, add_package: AddPackage, clock: Clock
) -> None:
    counter = add_package(energy_uj=0)
    meter = Rapl(tmp_path / "root", clock_ns=clock)

    meter.begin(0)
    counter.write_text("800000\n")  # 800 mJ in half a second: 1.6 W
    clock.now_ns = SECOND // 2

    assert meter.end(SECOND // 2).bound_mj == pytest.approx(2 * 0.001 * 1_600)


def test_what_is_used_until_the_window_is_asked_for_is_not_in_it(
    tmp_path: Path, add_package: AddPackage, clock: Clock
) -> None:
    counter = add_package(energy_uj=0)
    meter = Rapl(tmp_path / "root", clock_ns=clock)

    meter.begin(0)
    clock.now_ns = SECOND
    counter.write_text("400000\n")
    meter.tick()
    clock.now_ns = 4 * SECOND
    counter.write_text("900000\n")

    assert meter.end(SECOND).used_mj == 400


def test_once_started_it_reads_by_itself(tmp_path: Path, add_package: AddPackage) -> None:
    counter = add_package(energy_uj=0)
    meter = Rapl(tmp_path / "root")
    meter.start()

    start = time.perf_counter_ns()
    meter.begin(start)
    for microjoules in (600_000, 200_000, 800_000, 400_000):  # 2.4 J, with two wraps
        replaced(counter, microjoules)
        time.sleep(0.3)
    found = meter.end(time.perf_counter_ns())
    meter.close()

    assert found.used_mj == pytest.approx(2_400, abs=found.bound_mj)


def test_a_counter_that_wraps_goes_on_counting(
    tmp_path: Path, add_package: AddPackage, clock: Clock
) -> None:
    counter = add_package(energy_uj=999_000)
    meter = Rapl(tmp_path / "root", clock_ns=clock)

    counter.write_text("500\n")
    clock.now_ns = SECOND

    assert meter.end(SECOND).used_mj == 1.5


def test_a_counter_that_wraps_twice_is_followed_by_ticks(
    tmp_path: Path, add_package: AddPackage, clock: Clock
) -> None:
    counter = add_package(energy_uj=0)
    meter = Rapl(tmp_path / "root", clock_ns=clock)

    for microjoules in (600_000, 200_000, 800_000, 400_000):  # 2.4 J in steps of 0.6
        counter.write_text(f"{microjoules}\n")
        clock.now_ns += SECOND // 4
        meter.tick()

    assert meter.end(SECOND).used_mj == 2_400


def test_a_counter_that_falls_without_having_wrapped_is_refused(
    tmp_path: Path, add_package: AddPackage, clock: Clock
) -> None:
    counter = add_package(energy_uj=2_000_000)  # above its own max_energy_range_uj
    meter = Rapl(tmp_path / "root", clock_ns=clock)

    counter.write_text("10\n")
    clock.now_ns = SECOND

    with pytest.raises(Unmeasurable, match="fell from 2000000 to 10"):
        meter.end(SECOND)


def test_a_counter_that_stands_still_is_no_energy_of_nought(
    tmp_path: Path, add_package: AddPackage, clock: Clock
) -> None:
    add_package(energy_uj=5)
    meter = Rapl(tmp_path / "root", clock_ns=clock)
    clock.now_ns = SECOND

    with pytest.raises(Unmeasurable, match="do not move"):
        meter.end(SECOND)


def test_a_machine_without_the_tree_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unmeasurable, match="no RAPL package in /sys/class/powercap"):
        Rapl(tmp_path)


@pytest.mark.parametrize("content", ["", "many", "-3", "1e6"])
def test_a_counter_that_holds_no_number_is_refused(
    tmp_path: Path, add_package: AddPackage, content: str
) -> None:
    add_package().write_text(content)

    with pytest.raises(Unmeasurable, match="intel-rapl:0/energy_uj holds"):
        Rapl(tmp_path / "root")


def test_one_unreadable_package_of_two_leaves_no_half_sum(
    tmp_path: Path, add_package: AddPackage
) -> None:
    add_package("intel-rapl:0", "package-0")
    counter = add_package("intel-rapl:1", "package-1")
    counter.unlink()

    with pytest.raises(Unmeasurable, match="intel-rapl:1/energy_uj: No such file"):
        Rapl(tmp_path / "root")


def test_a_package_whose_name_is_unreadable_leaves_no_half_sum(
    tmp_path: Path, add_package: AddPackage
) -> None:
    add_package("intel-rapl:0", "package-0")
    add_package("intel-rapl:1", "package-1").with_name("name").unlink()

    with pytest.raises(Unmeasurable, match="intel-rapl:1/name"):
        Rapl(tmp_path / "root")


def test_a_counter_for_root_only_says_how_to_read_it(public_root: Path) -> None:
    folder = public_root / "sys/class/powercap/intel-rapl:0"
    folder.mkdir(parents=True)
    (folder / "name").write_text("package-0\n")
    (folder / "energy_uj").write_text("1\n")
    (folder / "energy_uj").chmod(0o000)

    with as_nobody(), pytest.raises(Unmeasurable, match="energy_uj is readable by root only"):
        Rapl(public_root)


def replaced(counter: Path, microjoules: int) -> None:
    """Never empty, whenever it is read."""
    new = counter.with_name("new")
    new.write_text(f"{microjoules}\n")
    new.replace(counter)


@pytest.fixture
def public_root() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


class as_nobody:
    """Within the block root's rights are laid aside; for other users nothing changes."""

    def __enter__(self) -> None:
        self._was_root = os.geteuid() == 0
        if self._was_root:
            os.seteuid(65534)

    def __exit__(self, *_: object) -> None:
        if self._was_root:
            os.seteuid(0)
