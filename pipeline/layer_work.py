"""From the layers of a spec to what the latency estimate weighs: their totals; no torch.

Counted as benchmarks/measured_networks.py counts the networks that the estimate was fitted on:
parameters with those of batch norm, elements that each layer reads and writes, and a layer for
each thing that TensorRT runs by itself. Residual sums, batch norm and ReLU are fused: they count
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..deploy.measured_rows import NetworkWork

if TYPE_CHECKING:
    from ..models.layer import Layer, Whole

COMPUTE = ("conv", "depthwise", "linear")
"""The kinds that multiply; what a global pool adds up counts as memory alone."""


def network_work(layers: Sequence[Layer]) -> NetworkWork:
    """The totals of a network; columns (R,) where any layer has columns, a row for each network."""
    macs: Whole = 0
    depthwise_macs: Whole = 0
    params: Whole = 0
    activations: Whole = 0
    count: Whole = 0
    for layer in layers:
        if layer.kind in COMPUTE:
            macs = macs + layer.macs * layer.count
        if layer.kind == "depthwise":
            depthwise_macs = depthwise_macs + layer.macs * layer.count
        params = params + layer.part().params
        activations = activations + (layer.elements_in + layer.elements_out) * layer.count
        count = count + layer.count
    return NetworkWork(
        macs=macs,
        depthwise_macs=depthwise_macs,
        params=params,
        activations=activations,
        layers=count,
    )
