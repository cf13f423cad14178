"""A discrete NVIDIA GPU's own energy counter: its host, fan and supply are not in it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable

from .counter_samples import CounterSamples
from .errors import Unmeasurable
from .files import Files
from .nvml import LIBRARY, Nvml, cuda_gpu, is_tegra
from .power_samples import Reading
from .programs import Programs

UPDATE_S = 0.1
"""The counter moves in steps, of about 20 to 100 ms."""
FEWEST_STEPS = 5


class NvmlEnergy:
    """A meter of the GPU that CUDA programs use."""

    rule: str | None = None

    def __init__(
        self,
        root: Path = Path("/"),
        programs: Programs | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        library: str = LIBRARY,
    ) -> None:
        """Find it and read it once.

        Raises:
            Unmeasurable: a Jetson, no driver, no counter, or several GPUs to choose from.
        """
        if is_tegra(Files(root)):
            raise Unmeasurable("NVML is not asked on a Jetson: it has no energy counter there")
        if root != Path("/") and library == LIBRARY:
            raise Unmeasurable("no NVIDIA GPU below a folder")
        self._nvml = Nvml(library)
        try:
            self._nvml.select(cuda_gpu(self._nvml.count()))
            name = self._nvml.name()
            self.source = f"NVML energy counter of {name} (the GPU only, not its host)"
            self._samples = CounterSamples(self._nvml.energy_mj, clock_ns, self.source, UPDATE_S)
            self._samples.take()
        except Unmeasurable:
            self._nvml.close()
            raise
        self.rails = [name]
        self._start_ns = 0

    def start(self) -> None:
        """Begin to read."""
        self._samples.start()

    def begin(self, start_ns: int) -> None:
        """A window opens."""
        self._start_ns = start_ns
        self._samples.take()

    def tick(self) -> None:
        """One reading more."""
        self._samples.take()

    def end(self, stop_ns: int) -> Reading:
        """What the counter rose by between the edges, which may have been a while ago.

        Raises:
            Unmeasurable: the window has too few of its steps; or it did not move, or fell; or it
                was not read near an edge.
        """
        self._samples.take()
        seconds = (stop_ns - self._start_ns) / 1e9
        if seconds < FEWEST_STEPS * UPDATE_S:
            raise Unmeasurable(
                f"{self.source}: its steps are too long for a window of {seconds:.3f} s;"
                f" measure for at least {FEWEST_STEPS * UPDATE_S:g} s"
            )
        reading = self._samples.between(self._start_ns, stop_ns)
        if reading.used_mj <= 0:
            raise Unmeasurable(f"{self.source}: it did not rise in {seconds:.2f} s")
        return reading

    def trace(self, origin_ns: int) -> dict[str, Any] | None:
        """None: it counts energy."""
        return None

    def close(self) -> None:
        """Stop reading; the library is not needed any more."""
        self._samples.close()
        self._nvml.close()
