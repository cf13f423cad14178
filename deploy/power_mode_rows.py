"""What each power mode of each known module leaves on: SMs, clocks, memory, CPU cores.

A row is one mode as its documents have it; a figure that none of them states is None, and a figure
that was taken over from another mode, or from a page that no data sheet confirmed, is named in
`unverified`. A mode whose GPU clock is not documented has no row: MODES_WITHOUT_CLOCKS names it.

SMs follow from the mask of TPCs that a mode switches off (TPC_PG_MASK), two SMs a TPC.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CONF = "LineageOS/android_device_nvidia_concord@54e4953, nvpmodel/*.conf of {}"
NANO_CONF = "LineageOS/android_device_nvidia_concord, lineage-23, Super conf of p3767-0003"
NX_CONF = CONF.format("p3767-0000")
AGX_CONF = CONF.format("p3701-0000")
TABLE = "comparison table of Ultralytics' Jetson guide"
JETPACK_4 = "Linux for Tegra developer guide, JetPack 4"
THOR = "RidgeRun's Thor wiki; NVIDIA's blog on JetPack 7.1 (T4000)"


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One power mode of one module."""

    module: str
    """As in deploy/boards.py."""
    name: str
    """As nvpmodel writes it."""
    default: bool = False
    """Whether the module starts in it; a module without such a row starts in one not known here."""
    sm_count: int
    gpu_mhz: float
    emc_mhz: float | None = None
    """The memory's clock."""
    bandwidth_gb_s: float
    """Nominal, of the memory in this mode."""
    cpu_cores: int | None = None
    source: str
    unverified: tuple[str, ...] = field(default=())


ROWS = (
    Mode(
        module="Nano",
        name="MAXN",
        sm_count=1,
        gpu_mhz=921,
        emc_mhz=1600,
        bandwidth_gb_s=25.6,
        cpu_cores=4,
        source=JETPACK_4,
    ),
    Mode(
        module="Nano",
        name="5W",
        sm_count=1,
        gpu_mhz=640,
        emc_mhz=1600,
        bandwidth_gb_s=25.6,
        cpu_cores=2,
        source=JETPACK_4,
    ),
    *(
        Mode(
            module="TX2",
            name=name,
            sm_count=2,
            gpu_mhz=gpu_mhz,
            bandwidth_gb_s=59.7,
            source="gist ZekunZh; huggingface.co/hardware/jetson-tx2 (59.7 GB/s)",
            unverified=() if name == "MAXN" else ("bandwidth_gb_s",),
        )
        for name, gpu_mhz in (
            ("MAXN", 1300),
            ("MAXQ", 850),
            ("MAXP_CORE_ALL", 1120),
            ("MAXP_CORE_ARM", 1120),
            ("MAXP_CORE_DENVER", 1120),
        )
    ),
    *(
        Mode(
            module="Xavier NX",
            name=name,
            sm_count=6,
            gpu_mhz=1100,
            bandwidth_gb_s=59.7,
            source=TABLE,
            unverified=("gpu_mhz", "bandwidth_gb_s"),
        )
        for name in ("15W", "20W")
    ),
    Mode(
        module="AGX Xavier",
        name="MAXN",
        sm_count=8,
        gpu_mhz=1377,
        emc_mhz=2133,
        bandwidth_gb_s=136.5,
        cpu_cores=8,
        source=TABLE + "; a tegrastats line of the module",
    ),
    Mode(
        module="Orin Nano 4GB",
        name="10W",
        sm_count=4,
        gpu_mhz=625,
        bandwidth_gb_s=34,
        source=TABLE,
        unverified=("gpu_mhz", "bandwidth_gb_s"),
    ),
    Mode(
        module="Orin Nano 8GB",
        name="7W",
        sm_count=4,
        gpu_mhz=408,
        emc_mhz=2133,
        bandwidth_gb_s=68,
        cpu_cores=4,
        source=CONF.format("p3767-0003"),
    ),
    Mode(
        module="Orin Nano 8GB",
        name="15W",
        sm_count=8,
        gpu_mhz=612,
        emc_mhz=2133,
        bandwidth_gb_s=68,
        source=NANO_CONF,
    ),
    Mode(
        module="Orin Nano 8GB",
        name="25W",
        default=True,
        sm_count=8,
        gpu_mhz=918,
        emc_mhz=3199,
        bandwidth_gb_s=102,
        source=NANO_CONF,
    ),
    Mode(
        module="Orin Nano 8GB",
        name="MAXN_SUPER",
        sm_count=8,
        gpu_mhz=1020,
        emc_mhz=3199,
        bandwidth_gb_s=102,
        cpu_cores=6,
        source=NANO_CONF + "; a tegrastats log of the module",
    ),
    Mode(
        module="Orin NX 8GB",
        name="MAXN",
        sm_count=8,
        gpu_mhz=765,
        bandwidth_gb_s=102.4,
        source=TABLE,
        unverified=("gpu_mhz",),
    ),
    Mode(
        module="Orin NX 8GB",
        name="20W",
        sm_count=8,
        gpu_mhz=408,
        bandwidth_gb_s=102.4,
        source=CONF.format("p3767-0001"),
        unverified=("sm_count", "bandwidth_gb_s"),
    ),
    Mode(
        module="Orin NX 16GB",
        name="MAXN",
        sm_count=8,
        gpu_mhz=918,
        bandwidth_gb_s=102.4,
        source=TABLE,
    ),
    Mode(
        module="Orin NX 16GB",
        name="MAXN_SUPER",
        sm_count=8,
        gpu_mhz=1173,
        bandwidth_gb_s=102.4,
        source=TABLE,
    ),
    *(
        Mode(
            module="Orin NX 16GB",
            name=name,
            default=name == "15W",
            sm_count=sm_count,
            gpu_mhz=gpu_mhz,
            bandwidth_gb_s=102.4,
            source=NX_CONF,
            unverified=("bandwidth_gb_s",),
        )
        for name, sm_count, gpu_mhz in (("10W", 4, 612), ("15W", 4, 612), ("25W", 8, 408))
    ),
    Mode(
        module="AGX Orin 32GB",
        name="MAXN",
        sm_count=14,
        gpu_mhz=930,
        bandwidth_gb_s=204.8,
        source=TABLE,
        unverified=("gpu_mhz",),
    ),
    *(
        Mode(
            module="AGX Orin 32GB",
            name=name,
            default=name == "30W",
            sm_count=sm_count,
            gpu_mhz=gpu_mhz,
            bandwidth_gb_s=204.8,
            cpu_cores=cores,
            source=CONF.format("p3701-0004"),
            unverified=("bandwidth_gb_s",),
        )
        for name, sm_count, gpu_mhz, cores in (
            ("15W", 6, 408, 4),
            ("30W", 8, 612, 8),
            ("40W", 14, 816, None),
        )
    ),
    Mode(
        module="AGX Orin 64GB",
        name="MAXN",
        sm_count=16,
        gpu_mhz=1300,
        emc_mhz=3199,
        bandwidth_gb_s=204.8,
        cpu_cores=12,
        source=TABLE + "; tegrastats lines of the module",
    ),
    *(
        Mode(
            module="AGX Orin 64GB",
            name=name,
            default=name == "30W",
            sm_count=sm_count,
            gpu_mhz=gpu_mhz,
            bandwidth_gb_s=204.8,
            cpu_cores=cores,
            source=AGX_CONF,
            unverified=("bandwidth_gb_s",),
        )
        for name, sm_count, gpu_mhz, cores in (
            ("15W", 6, 408, 4),
            ("30W", 8, 612, 8),
            ("50W", 16, 816, 12),
        )
    ),
    Mode(
        module="Thor T4000",
        name="70W",
        sm_count=12,
        gpu_mhz=1530,
        bandwidth_gb_s=273,
        source=THOR,
        unverified=("gpu_mhz", "bandwidth_gb_s"),
    ),
    *(
        Mode(
            module="AGX Thor T5000",
            name=name,
            default=name == "120W",
            sm_count=20,
            gpu_mhz=1575,
            bandwidth_gb_s=273,
            source=THOR,
            unverified=() if name == "MAXN" else ("gpu_mhz", "bandwidth_gb_s"),
        )
        for name in ("MAXN", "120W")
    ),
)
"""Orin Nano's 15W is that of JetPack 6.2; 5 and 6.0 have 625 MHz there, and start in it."""

MODES_WITHOUT_CLOCKS = {
    "Xavier NX": ("10W",),
    "AGX Xavier": ("10W", "15W", "30W", "15W_DESKTOP"),
    "Orin Nano 4GB": ("7W_AI", "7W_CPU"),
    "Orin NX 8GB": ("10W", "15W", "40W"),
    "Orin NX 16GB": ("40W",),
    "Thor T4000": ("40W",),
    "AGX Thor T5000": ("40W",),
}
"""Modes that are known by name alone."""
