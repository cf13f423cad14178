"""Is the INT8 file faster than the float one on this machine? Measured, and said if not.

INT8 pays by the width of a network. ONNX Runtime's direct integer convolution on x86-64 writes
sixteen output channels at a time; narrower layers copy their input into a matrix first, and every
residual addition is a node of its own that float convolutions have for nothing. WRN-10 with stages
of 8, 8 and 16 channels runs 0.8 times as fast in INT8 as in float32, WRN28-0.5 (8, 16, 32) equally
fast, ResNet-18 (64 and more) 3 to 5 times as fast (AMD EPYC with AVX512-VNNI, 1 thread, batch 1).
"""

from __future__ import annotations

import platform
import statistics
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from .targets import X86_OUTPUT_CHANNELS

ROUNDS, BLOCK_S = 7, 0.02
WORTH_HAVING = 1.05
"""Times as fast as float32; below, the noise of a measurement and INT8's error are the larger."""
MACHINES = {"ort-x86": ("x86_64", "AMD64"), "ort-arm64": ("aarch64", "arm64")}


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How many times as fast the INT8 file is as the float one: of rounds, batch 1, 1 thread."""

    median: float
    lowest: float
    highest: float


def speed_note(whole: Path, int8: Path, target: str) -> str:
    """One line if the file at `int8` is not faster here than the float one at `whole`, else "".

    "" too where this machine is not of the kind that `target` means. Takes about 0.3 s.
    """
    if platform.machine() not in MACHINES.get(target, ()):
        return ""
    speed = int8_speed(whole, int8)
    if speed.median >= WORTH_HAVING:
        return ""
    return (
        f"{target}: INT8 is not faster than FP32 here, it runs {speed.median:.2f} times as fast "
        f"({speed.lowest:.2f} to {speed.highest:.2f}; batch 1, 1 thread){_why(int8, target)}; "
        f"prefer {whole.name} on this machine"
    )


def int8_speed(whole: Path, int8: Path) -> Speed:
    """Both files by turns on one made-up image; `BadInput` if one is no classifier."""
    import numpy as np

    from .runtime import open_session, signature

    sessions = [open_session(path) for path in (whole, int8)]
    model = signature(sessions[0])
    shape = [1, *(size or 1 for size in model.shape[1:])]
    images = {model.input: np.random.default_rng(0).standard_normal(shape, dtype=np.float32)}
    ratios = []
    for _ in range(ROUNDS):
        times = []
        for session in sessions:
            session.run(None, images)
            block: list[float] = []
            while sum(block) < BLOCK_S or len(block) < 3:
                began = perf_counter()
                session.run(None, images)
                block.append(perf_counter() - began)
            times.append(statistics.median(block))
        ratios.append(times[0] / times[1])
    return Speed(median=statistics.median(ratios), lowest=min(ratios), highest=max(ratios))


def _why(int8: Path, target: str) -> str:
    import onnx

    graph = onnx.load(int8).graph
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer}
    weights = {
        node.output[0]: shapes[node.input[0]]
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in shapes
    }
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    layers = [weights[node.input[1]] for node in convolutions if node.input[1] in weights]
    narrow = sum(shape[0] < X86_OUTPUT_CHANNELS for shape in layers)
    if target != "ort-x86" or not narrow:
        return ""
    return (
        f": {narrow} of {len(layers)} convolutions have fewer than {X86_OUTPUT_CHANNELS} output "
        "channels, too few for ONNX Runtime's direct integer kernel"
    )
