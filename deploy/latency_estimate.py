"""A network's latency on a module and power mode that nobody has timed it on: an estimate.

    ms = layers x overhead / GHz + (compute at peak) / efficiency + (bytes at nominal) / reached

A roofline (Williams et al. 2009) whose two terms add up, with a fixed cost of each layer that goes
with the GPU's clock; depthwise convolutions are taken to run on CUDA cores. Its three parameters
are fitted on published measurements (measured_rows.py) by benchmarks/latency_estimate.py, which
also judges it by leaving out one module, or one family of networks, at a time: `factor` is the
larger of the two errors, as it falls out, or how far those fits differ over the network at hand
where that is more. They do for small networks, whose time is the overhead of their layers: few
published rows tell how large that is. Everything is of TensorRT engines on the GPU.

Energy is not estimated: the rows with a board's own power are six, of one network on one module, so
nothing can be left out to judge by.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from .errors import RequestError
from .measured_rows import NetworkWork
from .power_modes import OPERATIONS, Device

BYTES = {"fp32": 4, "fp16": 2, "int8": 1}
"""Of an element at each precision."""
PEAKS = {"fp32": "fp32_tflops", "fp16": "fp16_tflops", "int8": "int8_tops"}
ENERGY_NOT_KNOWN = (
    "energy is not known without a measurement: the published rows with a board's own power are of"
    " one network on one module"
)


@dataclass(frozen=True, kw_only=True)
class LayerWork:
    """One layer, as TensorRT runs it: batch norm, activation function and sum fused into it."""

    macs: int
    """Of one image."""
    weight_bytes: int
    """At the precision that it runs in, read once a batch."""
    activation_bytes: int
    """Of one image, read and written, at the precision that it runs in."""
    depthwise: bool = False


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What is fitted."""

    overhead_ms: float
    """Of each layer, at a GPU clock of 1 GHz."""
    efficiency: float
    """Of the dense peak that compute reaches."""
    memory: float
    """Of the nominal bandwidth that is reached."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the parameters weigh: times on a device that reaches all of its peaks."""

    layer_periods: float
    """Layers / GPU clock in GHz."""
    compute_ms: float
    memory_ms: float

    def ms(self, parameters: Parameters) -> float:
        """Their sum under these parameters."""
        return (
            self.layer_periods * parameters.overhead_ms
            + self.compute_ms / parameters.efficiency
            + self.memory_ms / parameters.memory
        )


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A latency that was not measured, and how far it may be off."""

    ms: float
    """Of one batch."""
    factor: float
    """68 % of the judged rows were within this factor, up or down; or what the fits that left
    something out differ by here, if that is more."""
    factor_90: float
    """The same for 90 %."""
    extrapolates: tuple[str, ...]
    """What of this case no measured row had. An unmeasured module of a measured generation is what
    the factors were judged on; of everything else here they say nothing."""
    unverified: tuple[str, ...]
    """Figures of the device that it rests on and that no data sheet or measurement confirmed here.
    """
    source: str
    """What it rests on."""

    @property
    def label(self) -> str:
        """2.1 ms, x/÷ 1.6, estimated"""
        digits = max(0, 1 - math.floor(math.log10(self.ms)))
        return f"{self.ms:.{digits}f} ms, x/÷ {self.factor:.1f}, estimated"

    def __str__(self) -> str:
        """The label, and what the factor does not cover."""
        return self.label + (
            f" (extrapolates: {'; '.join(self.extrapolates)})" if self.extrapolates else ""
        )


def estimate(
    work: NetworkWork | Iterable[LayerWork], device: Device, precision: str, batch: int = 1
) -> Estimate:
    """The time that a batch takes; `work`: a network's layers, or its totals.

    precision: fp32, fp16 or int8, of all layers.

    Raises:
        RequestError: an unknown precision, a batch below 1, or no layer.
    """
    if precision not in BYTES:
        raise RequestError(f"precision {precision!r}: expected one of {', '.join(BYTES)}")
    if batch < 1:
        raise RequestError(f"batch {batch}: expected 1 or more")
    layers = None if isinstance(work, NetworkWork) else list(work)
    if layers == [] or (isinstance(work, NetworkWork) and work.layers < 1):
        raise RequestError("no layer to estimate a latency of; expected one at least")
    if layers is None:
        assert isinstance(work, NetworkWork)
        macs, found = work.macs, network_terms(work, device, precision, batch)
    else:
        macs, found = (
            sum(layer.macs for layer in layers),
            layer_terms(layers, device, precision, batch),
        )
    fit = fitted()
    ms = found.ms(parameters_of(fit))
    others_ms = [found.ms(Parameters(**each)) for each in fit["left_out"]]
    spread = max(max(others_ms) / ms, ms / min(others_ms))
    used = ("sm_count", "gpu_mhz", "bandwidth_gb_s", PEAKS[precision])
    return Estimate(
        ms=ms,
        factor=max(fit["factor_68"], spread),
        factor_90=max(fit["factor_90"], spread),
        extrapolates=tuple(_beyond(fit["measured"], macs, device, precision, batch)),
        unverified=tuple(name for name in device.unverified if name in used),
        source=fit["source"],
    )


def columns_ms(work: NetworkWork, device: Device, precision: str, batch: int = 1) -> Any:
    """What `estimate` gives as ms, for many networks at once and without its factor.

    work: totals of which any may be a column (R,), one row for each network; so is what comes back.
    precision: fp32, fp16 or int8.
    """
    return network_terms(work, device, precision, batch).ms(parameters_of(fitted()))


def network_terms(work: NetworkWork, device: Device, precision: str, batch: int) -> Terms:
    """The terms of a network by its totals; of several, where the totals are columns (R,)."""
    size = BYTES[precision]
    return _terms(
        device,
        precision,
        layers=work.layers,
        dense=batch * (work.macs - work.depthwise_macs),
        depthwise=batch * work.depthwise_macs,
        moved_bytes=size * (work.params + batch * work.activations),
    )


def layer_terms(
    layers: Iterable[LayerWork], device: Device, precision: str, batch: int = 1
) -> Terms:
    """The terms of a network by its layers."""
    count = dense = depthwise = moved_bytes = 0
    for layer in layers:
        count += 1
        dense += 0 if layer.depthwise else batch * layer.macs
        depthwise += batch * layer.macs if layer.depthwise else 0
        moved_bytes += layer.weight_bytes + batch * layer.activation_bytes
    return _terms(
        device, precision, layers=count, dense=dense, depthwise=depthwise, moved_bytes=moved_bytes
    )


def peak_tera(device: Device, precision: str) -> float:
    """Dense operations per second, in 10^12, where nothing holds the device up."""
    if precision == "fp16":
        return device.fp16_tflops
    return (device.int8_tops if precision == "int8" else None) or device.fp32_tflops


@cache
def fitted() -> dict[str, Any]:
    """The fit as it is shipped: parameters, judgement, and what was measured."""
    text = (resources.files(__package__) / "latency_estimate.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def parameters_of(fit: dict[str, Any]) -> Parameters:
    """The parameters in a fit."""
    return Parameters(**fit["parameters"])


def _terms(
    device: Device, precision: str, *, layers: int, dense: int, depthwise: int, moved_bytes: int
) -> Terms:
    compute_ms = 2e-9 * (dense / peak_tera(device, precision) + depthwise / device.cuda_tflops)
    return Terms(
        layer_periods=1000 * layers / device.mode.gpu_mhz,
        compute_ms=compute_ms,
        memory_ms=1e-6 * moved_bytes / device.mode.bandwidth_gb_s,
    )


def _beyond(
    measured: dict[str, Any], macs: int, device: Device, precision: str, batch: int
) -> Iterable[str]:
    """What of a case no row had, in words."""
    mode = device.mode
    modes: dict[str, int] = measured["modes"].get(mode.module, {})
    precisions = measured["precisions"].get(device.generation)
    if precisions is None:
        yield f"no {device.generation} GPU was measured"
    elif not modes:
        yield f"no {mode.module} was measured"
    elif mode.name not in modes:
        yield f"power mode {mode.name} was not measured"
        if mode.sm_count not in modes.values():
            yield f"{mode.sm_count} SMs, measured with {_listed(sorted(set(modes.values())))}"
    if precision == "int8" and OPERATIONS[device.soc][2] is None:
        yield f"int8 is taken to be as fast as fp32 on {device.generation}"
    elif precisions is not None and precision not in precisions:
        yield f"no {precision} row on {device.generation}"
    least, most = measured["macs"]
    if not least <= macs <= most:
        yield f"{_count(macs)} MACs, measured {_count(least)} to {_count(most)}"
    least, most = measured["batch"]
    if batch > most:
        yield f"batch {batch}, measured {least} to {most}"


def _listed(numbers: Iterable[int]) -> str:
    return " and ".join(str(number) for number in numbers)


def _count(macs: int) -> str:
    """A number of MACs in words.

    >>> _count(3_400_000), _count(97_636_000_000)
    ('3.4M', '98G')
    """
    return f"{macs / 1e9:.2g}G" if macs >= 1e9 else f"{macs / 1e6:.3g}M"
