"""An ONNX file on an emulated arm64 processor: ONNX Runtime's own arm64 kernels, under qemu.

It tells what the kernels compute, not how fast: emulation is 10 to 100 times slower than a board.
"""

# N images, C channels, H rows, W columns, K classes

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..deploy.agent import infer as script
from ..models.errors import BadInput, EdgestillError
from .arm64_root import PYTHON, Arm64Root

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .runtime import Signature

CPUS = {
    "cortex-a53": "no dot product: Raspberry Pi 3",
    "cortex-a72": "no dot product: Raspberry Pi 4",
    "cortex-a76": "dot product: Raspberry Pi 5; as Jetson Orin's A78AE",
    "cortex-a710": "8-bit matrix products (i8mm)",
}
"""Processors by qemu's names, and what of it matters to INT8 kernels."""
CPU = "cortex-a76"
TIMEOUT_S = 900.0


class EmulatorFault(EdgestillError):
    """The emulator, not the model, failed."""

    exit_code = 3


@dataclass(frozen=True, kw_only=True)
class Arm64:
    """An emulated machine: its files, its processor, and how long one model may take."""

    files: Arm64Root
    cpu: str = CPU
    timeout_s: float = TIMEOUT_S

    def __str__(self) -> str:
        versions = self.files.versions
        return f"{self.cpu} in qemu {versions['qemu']}, ONNX Runtime {versions['onnxruntime']}"

    def infer(
        self, model: Path, images: NDArray[Any], *, takes: Signature, classes: int
    ) -> NDArray[np.float32]:
        """Logits (N, K) of images (N, C, H, W) for a model that `takes` them, one at a time.

        A fixed batch axis gets batches of its size, the last filled up with repeats. `BadInput` if
        ONNX Runtime refuses the model there, `EmulatorFault` if there is no answer in time, or one
        of another shape or type.
        """
        import numpy as np

        rows = takes.shape[0] or 1
        filled = -len(images) % rows
        padded = np.concatenate([images, np.repeat(images[-1:], filled, axis=0)])
        batches = padded.reshape(-1, rows, *images.shape[1:]).astype(takes.dtype, copy=False)
        with tempfile.TemporaryDirectory(prefix="edgestill-arm64-") as folder:
            inputs, outputs = Path(folder, "inputs.npy"), Path(folder, "outputs.npy")
            np.save(inputs, batches, allow_pickle=False)
            # A copy: Python puts the folder of its script before its own library.
            program = Path(folder, "infer.py")
            program.write_bytes(Path(script.__file__).read_bytes())
            self._run([program, model.resolve(), inputs, outputs, 1])
            logits = _logits(outputs, (len(batches), rows, classes))
        return logits.reshape(-1, classes)[: len(images)]

    def _run(self, words: list[object]) -> None:
        try:
            done = subprocess.run(
                [*self.python(), *map(str, words)],
                env={},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise EmulatorFault(
                f"no answer from {self} within {self.timeout_s:g} s; give fewer or smaller images"
            ) from None
        try:
            told = json.loads(done.stdout)
        except ValueError:
            said = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise EmulatorFault(
                f"{self} broke (exit code {done.returncode}): {said}; if it does so for every"
                f" model, remove {self.files.machine.parent} and have it made again"
            ) from None
        if "error" in told:
            raise BadInput(str(told["error"]))

    def python(self) -> list[str]:
        """The words that start the Python of the machine."""
        root = self.files.root
        library = f"{root}/usr/lib/aarch64-linux-gnu:{root}/lib/aarch64-linux-gnu"
        environment = {
            "PYTHONHOME": f"{root}/usr",
            "PYTHONPATH": str(self.files.site),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LD_LIBRARY_PATH": library,
        }
        given = [word for name in environment for word in ("-E", f"{name}={environment[name]}")]
        # -L: the files of the machine stand before the host's of the same path.
        emulator = [str(self.files.qemu), "-cpu", self.cpu, "-L", str(root), *given]
        return [*emulator, f"{root}/usr/bin/python{PYTHON}", "-s"]


def _logits(file: Path, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """What the emulated side wrote, if it is what was asked for."""
    import numpy as np

    try:
        # Mapped, not read: a wrong header may promise more than there is memory.
        found = np.load(file, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise EmulatorFault(f"the emulated machine left no logits: {error}") from error
    if found.shape != shape or found.dtype.kind != "f":
        raise EmulatorFault(
            f"the emulated machine gave {found.dtype} of shape {found.shape}; expected floating"
            f" point of shape {shape}"
        )
    return np.array(found, dtype=np.float32)
