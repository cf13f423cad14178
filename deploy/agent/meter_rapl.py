"""RAPL: the CPU packages' own energy counters (Intel, and AMD through the same files), summed.

Files and units: Linux, Documentation/power/powercap/powercap.rst. Since 5.10 only root may read the
counters (CVE-2020-8694). DRAM, disks, fans and the rest of the board are not in the sum.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, Callable

from .counter_samples import CounterSamples
from .errors import Unmeasurable
from .power_samples import Reading
from .programs import Programs

UPDATE_S = 0.001
"""Packages update their counters about once a millisecond (Intel SDM, volume 3, RAPL)."""


class Rapl:
    """A meter over every package below `root`; all of them are readable, or there is no meter."""

    rule: str | None = None

    def __init__(
        self,
        root: Path = Path("/"),
        programs: Programs | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        """Find and read the counters. Raises Unmeasurable: none, or one cannot be read."""
        folder = root / "sys/class/powercap"
        # `intel-rapl:0` is a package, `intel-rapl:0:1` a part of it; `psys` overlaps both.
        tops = sorted(top for top in folder.glob("intel-rapl:*") if top.name.count(":") == 1)
        names = {top: _name(top) for top in tops}
        self._packages = [top for top in tops if names[top].startswith("package")]
        if not self._packages:
            raise Unmeasurable(
                "no RAPL package in /sys/class/powercap"
                " (a virtual machine, a container that hides it, a board without, or no driver)"
            )
        self.rails = [names[package] for package in self._packages]
        self.source = f"RAPL {' + '.join(self.rails)} (CPU packages only)"
        self._start_ns = 0
        self._used_uj = 0
        """Since the meter was found."""
        self._last_uj = {package: _energy_uj(package) for package in self._packages}
        self._samples = CounterSamples(self._used_mj, clock_ns, "RAPL", UPDATE_S)
        self._samples.take()

    def start(self) -> None:
        """Begin to read, often enough that no counter wraps twice between two readings."""
        self._samples.start()

    def begin(self, start_ns: int) -> None:
        """A window opens. Raises Unmeasurable: as `tick`."""
        self._start_ns = start_ns
        self._samples.take()

    def tick(self) -> None:
        """One reading more.

        Raises:
            Unmeasurable: a counter can no longer be read, or fell without having wrapped.
        """
        self._samples.take()

    def end(self, stop_ns: int) -> Reading:
        """What the counters rose by between the edges, which may have been a while ago.

        Raises:
            Unmeasurable: as `tick`, or the counters did not move, or were not read near an edge.
        """
        self._samples.take()
        reading = self._samples.between(self._start_ns, stop_ns)
        if reading.used_mj == 0:
            raise Unmeasurable("RAPL: the counters are there and do not move")
        return reading

    def trace(self, origin_ns: int) -> dict[str, Any] | None:
        """None: it counts energy."""
        return None

    def close(self) -> None:
        """Stop reading."""
        self._samples.close()

    def _used_mj(self) -> float:
        """All packages' energy since the meter was found, over every wrap."""
        for package in self._packages:
            now, last = _energy_uj(package), self._last_uj[package]
            wrapped_uj = _range_uj(package, last, now) if now < last else 0
            self._used_uj += now - last + wrapped_uj
            self._last_uj[package] = now
        return self._used_uj / 1000


def _energy_uj(package: Path) -> int:
    try:
        return _number(package / "energy_uj")
    except PermissionError:
        raise Unmeasurable(
            f"RAPL: {package.name}/energy_uj is readable by root only;"
            " run as root, or have it made readable"
        ) from None


def _range_uj(package: Path, last_uj: int, now_uj: int) -> int:
    """Where the counter starts again at nought; asked for only after it fell."""
    limit_uj = _number(package / "max_energy_range_uj")
    if last_uj > limit_uj:
        raise Unmeasurable(
            f"RAPL: {package.name}/energy_uj fell from {last_uj} to {now_uj},"
            f" which max_energy_range_uj {limit_uj} does not explain"
        )
    return limit_uj


def _name(top: Path) -> str:
    try:
        return (top / "name").read_text().strip()
    except (OSError, ValueError) as error:
        # Left out, it could be one package of two, and the sum would be half the truth.
        raise Unmeasurable(f"RAPL: {top.name}/name: {_why(error)}") from None


def _number(path: Path) -> int:
    file = f"RAPL: {path.parent.name}/{path.name}"
    try:
        text = path.read_text().strip()
    except PermissionError:
        raise
    except (OSError, ValueError) as error:
        raise Unmeasurable(f"{file}: {_why(error)}") from None
    if not re.match(r"^[0-9]+$", text):
        raise Unmeasurable(f"{file} holds {text[:40]!r}, no number")
    return int(text)


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
