"""The published latencies of TensorRT engines on Jetson modules, joined with what their networks
cost: what the estimate of latency_estimate.py was fitted on, and judged by.

The rows are those of public sources that time one engine on the GPU alone, one batch at a time;
`kind` says how. Where a source gives images per second of such runs, ms is 1000 x batch / (images
per second). Left out: multi-stream, offline and DLA runs, other runtimes, networks whose cost was
not counted. Where a source does not state the power mode, the module's fastest is assumed, and
`mode_stated` is False. MLPerf's logs do not state a precision: NVIDIA's submissions are taken to be
INT8. benchmarks/measured_networks.py counted the networks.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from .power_modes import Device, device_named

THROUGH_TENSORFLOW = "through TensorFlow"
"""The kind of the rows that hold TensorFlow's own time as well: nothing is fitted on them."""


@dataclass(frozen=True, kw_only=True)
class NetworkWork:
    """What one image through a network takes, at whatever precision."""

    macs: int
    """Multiply-accumulates, those of depthwise convolutions included."""
    depthwise_macs: int
    params: int
    activations: int
    """Elements that its layers read and write, weights apart."""
    layers: int
    """As TensorRT runs them: batch norm, activation functions and residual sums fused."""


@dataclass(frozen=True, kw_only=True)
class MeasuredRow:
    """One published latency."""

    device: Device
    mode_stated: bool
    network: str
    family: str
    """Networks of one architecture: resnet18 and resnet50 are both of "resnet"."""
    input_hw: str
    precision: str
    batch: int
    ms: float
    kind: str
    source: str
    work: NetworkWork

    @property
    def fitted(self) -> bool:
        """Whether the estimate is fitted on it."""
        return self.kind != THROUGH_TENSORFLOW


@cache
def measured_rows() -> tuple[MeasuredRow, ...]:
    """All rows, as they are shipped."""
    networks = {(row["network"], row["input_hw"]): row for row in _table("measured_networks.csv")}
    return tuple(
        _row(row, networks[row["network"], row["input_hw"]])
        for row in _table("measured_latency.csv")
    )


def fitted_rows() -> list[MeasuredRow]:
    """Those that the estimate is fitted on."""
    return [row for row in measured_rows() if row.fitted]


def _row(row: dict[str, str], network: dict[str, str]) -> MeasuredRow:
    return MeasuredRow(
        device=device_named(f"{row['device']}@{row['mode']}"),
        mode_stated=row["mode_stated"] == "yes",
        network=row["network"],
        family=network["family"],
        input_hw=row["input_hw"],
        precision=row["precision"],
        batch=int(row["batch"]),
        ms=float(row["ms"]),
        kind=row["kind"],
        source=row["source"],
        work=NetworkWork(
            macs=int(network["macs"]),
            depthwise_macs=int(network["depthwise_macs"]),
            params=int(network["params"]),
            activations=int(network["activations"]),
            layers=int(network["layers"]),
        ),
    )


def _table(name: str) -> list[dict[str, str]]:
    text = (resources.files(__package__) / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
