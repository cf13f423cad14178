"""NVIDIA's management library, for discrete GPUs: what they are, how they are set, what they used.

Functions and constants: nvml.h. On a Jetson the library loads and answers hardly anything, its
energy counter least of all, so it is never asked there.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any, Mapping

from .errors import Unmeasurable
from .files import Files

LIBRARY = "libnvidia-ml.so.1"
SM, MEMORY = 1, 2  # nvmlClockType_t
GPU_TEMPERATURE = 0
LONGEST_NAME = 96
# nvmlClocksEventReason*: why a clock is lower than it could be.
REASONS = {
    0x1: "idle",
    0x2: "clocks_setting",
    0x4: "power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake",
    0x100: "display_clocks",
}


class Nvml:
    """The library, initialised, on its first GPU or the one selected."""

    def __init__(self, library: str = LIBRARY) -> None:
        """Open it. Raises Unmeasurable: no library, no driver, no GPU."""
        try:
            self._library = ctypes.CDLL(library)
        except OSError:
            raise Unmeasurable(f"no {library}: no NVIDIA driver") from None
        self._library.nvmlErrorString.restype = ctypes.c_char_p
        self._call("nvmlInit_v2")
        self._device = ctypes.c_void_p()
        try:
            self.select(0)
        except Unmeasurable:
            self.close()
            raise

    def select(self, index: int) -> None:
        """Ask about this GPU from here on. Raises Unmeasurable: there is none of that number."""
        self._call(
            "nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(self._device)
        )

    def name(self) -> str:
        """As NVIDIA calls the GPU."""
        text = ctypes.create_string_buffer(LONGEST_NAME)
        self._call("nvmlDeviceGetName", self._device, text, ctypes.c_uint(LONGEST_NAME))
        return text.value.decode("utf-8", "replace")

    def count(self) -> int:
        """How many GPUs the library sees."""
        value = ctypes.c_uint()
        self._call("nvmlDeviceGetCount_v2", ctypes.byref(value))
        return value.value

    def energy_mj(self) -> int:
        """What the GPU has used since the driver was loaded, in millijoules; Volta and later."""
        return int(self._number("nvmlDeviceGetTotalEnergyConsumption", ctypes.c_ulonglong))

    def clock_mhz(self, kind: int) -> int:
        """The clock of SM or MEMORY now."""
        value = ctypes.c_uint()
        self._call("nvmlDeviceGetClockInfo", self._device, ctypes.c_int(kind), ctypes.byref(value))
        return value.value

    def celsius(self) -> int:
        """The GPU's temperature."""
        value = ctypes.c_uint()
        self._call(
            "nvmlDeviceGetTemperature",
            self._device,
            ctypes.c_int(GPU_TEMPERATURE),
            ctypes.byref(value),
        )
        return value.value

    def power_limit_mw(self) -> int:
        """The power that the GPU is held to."""
        return int(self._number("nvmlDeviceGetPowerManagementLimit", ctypes.c_uint))

    def throttle_reasons(self) -> list[str]:
        """Why its clock is lower than it could be, by the names of REASONS."""
        mask = self._number(
            "nvmlDeviceGetCurrentClocksEventReasons"
            if hasattr(self._library, "nvmlDeviceGetCurrentClocksEventReasons")
            else "nvmlDeviceGetCurrentClocksThrottleReasons",  # its name before driver 535
            ctypes.c_ulonglong,
        )
        return [name for bit, name in REASONS.items() if mask & bit]

    def close(self) -> None:
        """The library is not needed any more."""
        self._library.nvmlShutdown()

    def _number(self, function: str, kind: Any) -> Any:
        value = kind()
        self._call(function, self._device, ctypes.byref(value))
        return value.value

    def _call(self, function: str, *arguments: Any) -> None:
        try:
            called = getattr(self._library, function)
        except AttributeError:
            raise Unmeasurable(f"NVML has no {function}: an old driver") from None
        status = called(*arguments)
        if status:
            raise Unmeasurable(f"NVML: {function}: {self._text(status)}")

    def _text(self, status: int) -> str:
        text = self._library.nvmlErrorString(ctypes.c_int(status))
        return text.decode("utf-8", "replace") if text else f"error {status}"


def is_tegra(files: Files) -> bool:
    """Whether the machine is a Jetson or another Tegra."""
    if files.exists("etc/nv_tegra_release"):
        return True
    name = "proc/device-tree/compatible"
    return files.exists(name) and "nvidia,tegra" in (files.text(name) or "")


def cuda_gpu(count: int, environment: Mapping[str, str] = os.environ) -> int:
    """NVML's number, of `count`, for the GPU that CUDA programs use if they do not choose.

    >>> cuda_gpu(4, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "2,3"})
    2

    Raises:
        Unmeasurable: CUDA may number them otherwise: without this order, the fastest first.
    """
    first = environment.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    if count == 1:
        return 0
    if environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" and first.isdigit():
        return int(first)
    raise Unmeasurable(
        f"NVML sees {count} GPUs and not which one CUDA uses;"
        " set CUDA_DEVICE_ORDER=PCI_BUS_ID and CUDA_VISIBLE_DEVICES to its number"
    )


def gpu_facts(root: Path, library: str = LIBRARY) -> dict[str, Any] | None:
    """Name, clocks, temperature and what holds it back, of the discrete GPU that CUDA uses; None
    without one. Of several, where nothing tells which one that is, the first.

    What it does not tell is None, or no reason.
    """
    if root != Path("/") and library == LIBRARY:
        return None  # a library is the machine's own: a folder has none
    if is_tegra(Files(root)):
        return None
    try:
        nvml = Nvml(library)
    except Unmeasurable:
        return None
    try:
        _or_none(lambda: nvml.select(cuda_gpu(nvml.count())))
        return {
            "name": _or_none(nvml.name) or "NVIDIA GPU",
            "clock_mhz": _or_none(lambda: float(nvml.clock_mhz(SM))),
            "memory_clock_mhz": _or_none(lambda: float(nvml.clock_mhz(MEMORY))),
            "celsius": _or_none(lambda: float(nvml.celsius())),
            "throttle_reasons": _or_none(nvml.throttle_reasons) or [],
            "power_limit_mw": _or_none(nvml.power_limit_mw),
        }
    finally:
        nvml.close()


def _or_none(ask: Any) -> Any:
    try:
        return ask()
    except Unmeasurable:
        return None
