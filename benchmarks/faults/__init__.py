"""Seeded faults for benchmarks/check_catches.py, and what it holds them against.

inputs weights layers numbers interface files quantization: the faults, one a function
registry        what a fault is, and the list of all
bases           the known-good exports that they are planted in
good_builds     other right builds of the same networks, which must pass
networks        the seeded networks
exporters       torch's two exporters, ONNX Runtime's quantizer and optimiser
edits           small edits of a graph
judges          the tools that judge
comparison      what they said, as counts and tables
speed           how long a check takes
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .registry import Fault


def all_faults() -> list[Fault]:
    """Every fault, group by group."""
    from . import files, inputs, interface, layers, numbers, quantization, weights
    from .registry import FAULTS

    groups = (inputs, weights, layers, numbers, interface, files, quantization)
    order = [group.__name__.rpartition(".")[2] for group in groups]
    return sorted(FAULTS, key=lambda fault: order.index(fault.group))
