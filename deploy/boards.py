"""The known modules and what each can do at most, for comparisons and estimates on the host.

Identity (name, SMs, DLA cores) is that of the agent's table. Peaks are for dense tensors: what is
advertised as "TOPS" counts zeros of sparse weights (Orin) or 4-bit floats (Thor). `unverified`
lists the columns that no data sheet or measurement confirmed here.

Sources: NVIDIA's product briefs and developer guides, the comparison table of Ultralytics' Jetson
guide. Dense peaks are derived: SMs x clock x operations per SM and clock (Orin: 4096 INT8, 2048
FP16; Xavier: 2048, 1024; Thor: 16384 INT8, half of it FP16).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .agent.jetson import MODULES as IDENTITIES
from .agent.jetson import PARTS, module_of


@dataclass(frozen=True, kw_only=True)
class Module:
    """One row of MODULES."""

    name: str
    soc: str
    gpu_mhz: float
    """The GPU's highest clock, not in Super configuration."""
    super_gpu_mhz: float | None = None
    """The same in Super configuration; None: there is none, or it is not documented."""
    bandwidth_gb_s: float
    """Of the memory, nominal; 70 to 80 % of it is what programs reach."""
    super_bandwidth_gb_s: float | None = None
    """Where Super configuration raises it."""
    int8_tops: float | None
    """Dense, GPU alone, at `gpu_mhz`; None: INT8 is not faster than FP32 there."""
    fp16_tflops: float
    """Dense, at `gpu_mhz`."""
    dla_int8_tops: float | None = None
    """Dense, all DLA cores together; None: it has none."""
    advertised: str
    power_modes: tuple[str, ...]
    """As advertised; the names that a board accepts are told by a probe of it."""
    unverified: tuple[str, ...] = field(default=())

    @property
    def parts(self) -> tuple[str, ...]:
        """Part numbers, or the number that all variants share; () where none is documented."""
        return tuple(part for part, name in PARTS.items() if name == self.name)

    @property
    def sm_count(self) -> int:
        """Streaming multiprocessors, none of them switched off."""
        return IDENTITIES[self.name].sm_count

    @property
    def dla_cores(self) -> int:
        """Deep learning accelerators."""
        return IDENTITIES[self.name].dla_cores


ROWS = (
    Module(
        name="Nano",
        soc="tegra210",
        gpu_mhz=921,
        bandwidth_gb_s=25.6,
        int8_tops=None,
        fp16_tflops=0.472,
        advertised="472 GFLOPS",
        power_modes=("5W", "10W"),
    ),
    Module(
        name="TX2",
        soc="tegra186",
        gpu_mhz=1300,
        bandwidth_gb_s=59.7,
        int8_tops=None,
        fp16_tflops=1.33,
        advertised="1.33 TFLOPS",
        power_modes=("7.5W", "15W"),
    ),
    Module(
        name="Xavier NX",
        soc="tegra194",
        gpu_mhz=1100,
        bandwidth_gb_s=59.7,
        int8_tops=13.5,
        fp16_tflops=6.8,
        dla_int8_tops=7.5,
        advertised="21 TOPS",
        power_modes=("10W", "15W", "20W"),
        unverified=("dla_int8_tops",),
    ),
    Module(
        name="AGX Xavier",
        soc="tegra194",
        gpu_mhz=1377,
        bandwidth_gb_s=136.5,
        int8_tops=22.6,
        fp16_tflops=11.3,
        dla_int8_tops=11.4,
        advertised="32 TOPS",
        power_modes=("10W", "15W", "30W"),
    ),
    Module(
        name="Orin Nano 4GB",
        soc="tegra234",
        gpu_mhz=625,
        bandwidth_gb_s=34,
        super_bandwidth_gb_s=51,
        int8_tops=10.2,
        fp16_tflops=5.1,
        advertised="20 sparse INT8 TOPS (34 Super)",
        power_modes=("7W", "10W", "25W"),
        unverified=("gpu_mhz",),
    ),
    Module(
        name="Orin Nano 8GB",
        soc="tegra234",
        gpu_mhz=625,
        super_gpu_mhz=1020,
        bandwidth_gb_s=68,
        super_bandwidth_gb_s=102,
        int8_tops=20.5,
        fp16_tflops=10.2,
        advertised="40 sparse INT8 TOPS (67 Super)",
        power_modes=("7W", "15W", "25W", "MAXN_SUPER"),
    ),
    Module(
        name="Orin NX 8GB",
        soc="tegra234",
        gpu_mhz=765,
        bandwidth_gb_s=102.4,
        int8_tops=25.1,
        fp16_tflops=12.5,
        dla_int8_tops=10,
        advertised="70 sparse INT8 TOPS (117 Super)",
        power_modes=("10W", "15W", "20W", "40W"),
        unverified=("gpu_mhz", "dla_int8_tops"),
    ),
    Module(
        name="Orin NX 16GB",
        soc="tegra234",
        gpu_mhz=918,
        super_gpu_mhz=1173,
        bandwidth_gb_s=102.4,
        int8_tops=30.1,
        fp16_tflops=15.0,
        dla_int8_tops=20,
        advertised="100 sparse INT8 TOPS (157 Super)",
        power_modes=("10W", "15W", "25W", "40W"),
    ),
    Module(
        name="AGX Orin 32GB",
        soc="tegra234",
        gpu_mhz=930,
        bandwidth_gb_s=204.8,
        int8_tops=53.3,
        fp16_tflops=26.7,
        dla_int8_tops=46,
        advertised="200 sparse INT8 TOPS",
        power_modes=("15W", "30W", "40W"),
        unverified=("gpu_mhz",),
    ),
    Module(
        name="AGX Orin 64GB",
        soc="tegra234",
        gpu_mhz=1300,
        bandwidth_gb_s=204.8,
        int8_tops=85.2,
        fp16_tflops=42.6,
        dla_int8_tops=52.5,
        advertised="275 sparse INT8 TOPS",
        power_modes=("15W", "30W", "50W", "MAXN"),
    ),
    Module(
        name="Thor T4000",
        soc="tegra264",
        gpu_mhz=1530,
        bandwidth_gb_s=273,
        int8_tops=301,
        fp16_tflops=150,
        advertised="1200 sparse FP4 TFLOPS",
        power_modes=("40W", "70W"),
        unverified=("gpu_mhz", "int8_tops", "fp16_tflops"),
    ),
    Module(
        name="AGX Thor T5000",
        soc="tegra264",
        gpu_mhz=1575,
        bandwidth_gb_s=273,
        int8_tops=516,
        fp16_tflops=258,
        advertised="2070 sparse FP4 TFLOPS",
        power_modes=("40W", "120W", "MAXN"),
        unverified=("int8_tops", "fp16_tflops"),
    ),
)
MODULES: dict[str, Module] = {module.name: module for module in ROWS}


def module(part: str) -> Module | None:
    """The module with this part number, as the device tree gives it; None if it is not known.

    >>> module("p3767-0005-super").name
    'Orin Nano 8GB'
    """
    name = module_of(part[: -len("-super")] if part.endswith("-super") else part)
    return None if name is None else MODULES.get(name)
