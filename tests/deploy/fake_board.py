"""What a fake board consists of; `fake_boards.py` has them, `fake_board_tree.py` writes one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Rail:
    """One channel of a power monitor; `label` None: a channel without a label file."""

    label: str | None
    mv: int
    ma: int

    @property
    def mw(self) -> float:
        """What the rail draws."""
        return self.mv * self.ma / 1000


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """A power monitor: its driver's layout, its address on the bus, its channels in order."""

    kind: Literal["iio", "hwmon", "ina238"]
    address: str
    rails: tuple[Rail, ...]
    shunt_uohm: int = 5000


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A power mode; `tpc_mask` is written into nvpmodel.conf, and another one asks for a reboot."""

    id: int
    name: str
    gpu_hz: int
    emc_hz: int
    cores: int
    cpu_khz: int
    tpc_mask: int | None = None


@dataclass(frozen=True, kw_only=True)
class FakeBoard:
    """A board as a tree of files; the first group is what a probe must say of it."""

    name: str
    module: str
    part: str | None
    carrier: str | None
    soc: str
    l4t: str
    jetpack: str
    sm_count: int
    compute_capability: str
    dla_cores: int
    tensorrt: str
    cuda: str
    total: tuple[str, ...]
    """The rails whose sum is the total."""

    model: str
    compatible: tuple[str, ...]
    release: str
    memory_kib: int
    cores: int
    cpu_min_khz: int
    gpu_device: str
    """Folder of the GPU below the root; its devfreq has the same last name."""
    gpu_min_hz: int
    monitors: tuple[Monitor, ...]
    modes: tuple[Mode, ...]
    mode: int
    zones: dict[str, int | None]
    """Millidegrees; None: the sensor cannot be read."""
    oc_events: tuple[int, ...]
    """Over-current events, oc1 first; () on boards without the counters."""
    tegrastats: str
    """A line as this board's tegrastats prints it."""
    super: bool = False
    packages: dict[str, str] = field(default_factory=dict)
    query_noise: str = ""
    """Lines that nvpmodel prints before its answer."""

    @property
    def current(self) -> Mode:
        """The power mode that the board is in."""
        return next(mode for mode in self.modes if mode.id == self.mode)
