"""A module in one of its power modes, by name: `device_named("orin-nano@15W")`.

The peaks are dense and derived: SMs x clock x operations per SM and clock. FP32 on Orin and Thor is
TF32 on tensor cores, which TensorRT uses for it by default; half of FP16's rate is taken, which no
data sheet confirmed here (on AGX Orin a published FP32 time is faster than its CUDA cores allow).

Sources: NVIDIA's AGX Orin brief (dense rates follow from its sparse ones), the rows' own in
power_mode_rows.py.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from .boards import MODULES
from .errors import TargetError
from .power_mode_rows import MODES_WITHOUT_CLOCKS, ROWS, Mode

# SoC -> dense operations per SM and clock: FP32, FP16, INT8 (None: not faster than FP32)
OPERATIONS: dict[str, tuple[int, int, int | None]] = {
    "tegra210": (256, 512, None),
    "tegra186": (256, 512, None),
    "tegra194": (128, 1024, 2048),
    "tegra234": (1024, 2048, 4096),
    "tegra264": (4096, 8192, 16384),
}
CUDA_OPERATIONS = {"tegra194": 128}
"""FP32 on CUDA cores per SM and clock, where it is not 256."""
GENERATIONS = {
    "tegra210": "Maxwell",
    "tegra186": "Pascal",
    "tegra194": "Volta",
    "tegra234": "Ampere",
    "tegra264": "Blackwell",
}
SHORT = {
    "orin-nano": "Orin Nano 8GB",
    "orin-nx": "Orin NX 16GB",
    "agx-orin": "AGX Orin 64GB",
    "thor": "AGX Thor T5000",
}
"""What a family's name alone stands for."""
SLUGS = {name.lower().replace(" ", "-"): name for name in MODULES}


@dataclass(frozen=True)
class Device:
    """A module in one power mode; nothing of it was measured."""

    mode: Mode

    @property
    def name(self) -> str:
        """As it is asked for: "orin-nano-8gb@15W"."""
        return f"{slug(self.mode.module)}@{self.mode.name}"

    @property
    def soc(self) -> str:
        """As the device tree names it: "tegra234"."""
        return MODULES[self.mode.module].soc

    @property
    def generation(self) -> str:
        """Of its GPU: "Ampere"."""
        return GENERATIONS[self.soc]

    @property
    def tensor_cores(self) -> bool:
        """Whether it has any."""
        return OPERATIONS[self.soc][2] is not None

    @property
    def fp32_tflops(self) -> float:
        """Dense, as TensorRT computes FP32 by default."""
        return self._tera(OPERATIONS[self.soc][0])

    @property
    def fp16_tflops(self) -> float:
        """Dense."""
        return self._tera(OPERATIONS[self.soc][1])

    @property
    def int8_tops(self) -> float | None:
        """Dense, of the GPU alone; None: INT8 is not faster than FP32 there."""
        operations = OPERATIONS[self.soc][2]
        return None if operations is None else self._tera(operations)

    @property
    def cuda_tflops(self) -> float:
        """FP32 on the CUDA cores."""
        return self._tera(CUDA_OPERATIONS.get(self.soc, 256))

    @property
    def unverified(self) -> tuple[str, ...]:
        """What no data sheet or measurement confirmed here."""
        peaks = MODULES[self.mode.module].unverified
        tf32 = ("fp32_tflops",) if OPERATIONS[self.soc][0] > 256 else ()
        own = tuple(name for name in ("int8_tops", "fp16_tflops") if name in peaks)
        return self.mode.unverified + own + tf32

    def _tera(self, operations: int) -> float:
        return self.mode.sm_count * self.mode.gpu_mhz * operations / 1e6


def device_named(name: str) -> Device:
    """The module and power mode that "module@mode" names; without a mode, the one it starts in.

    Upper and lower case are the same.

    Raises:
        TargetError: there is no such module or mode, its clocks are not documented, or no mode was
            given for a module whose first one is not known.

    >>> device_named("orin-nano").name
    'orin-nano-8gb@25W'
    """
    wanted, _, mode_name = name.strip().partition("@")
    module = SHORT.get(wanted.lower()) or SLUGS.get(wanted.lower())
    if module is None:
        raise TargetError(f"{name!r} is no known module{_near(wanted, [*SHORT, *SLUGS])}")
    modes = [mode for mode in ROWS if mode.module == module]
    known = [f"{slug(module)}@{mode.name}" for mode in modes]
    if "@" not in name:
        found = next((mode for mode in modes if mode.default), None)
        if found is None:
            raise TargetError(
                f"{name!r}: which power mode it starts in is not documented here; give one:"
                f" {', '.join(known)}"
            )
        return Device(found)
    for mode in modes:
        if mode.name.lower() == mode_name.lower():
            return Device(mode)
    if mode_name.upper() in MODES_WITHOUT_CLOCKS.get(module, ()):
        raise TargetError(
            f"{name!r}: the clocks of this power mode are not documented here;"
            f" known: {', '.join(known)}"
        )
    raise TargetError(f"{name!r}: {module} has no such power mode; known: {', '.join(known)}")


def names_a_table(device: str) -> bool:
    """Whether a device's name is the path of a latency table, by its looks.

    >>> names_a_table("orin-nano@15W"), names_a_table("orin.json"), names_a_table("tables/orin")
    (False, True, True)
    """
    return device.endswith(".json") or "/" in device


def devices() -> list[Device]:
    """Every module in every power mode whose clocks are documented, smallest module first."""
    order = list(MODULES)
    rows = sorted(ROWS, key=lambda mode: (order.index(mode.module), mode.gpu_mhz * mode.sm_count))
    return [Device(mode) for mode in rows]


def slug(module: str) -> str:
    """A module's name as part of a device's.

    >>> slug("Orin Nano 8GB")
    'orin-nano-8gb'
    """
    return module.lower().replace(" ", "-")


def _near(wanted: str, known: list[str]) -> str:
    near = difflib.get_close_matches(wanted.lower(), known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(known)}"
