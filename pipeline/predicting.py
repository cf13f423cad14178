"""What a network would take on a device: estimated for a module, or fitted to a table of it.

A device is named as in a recipe's budget: "orin-nano@15W", whose latency is estimated from data
sheets and published measurements, or the path of a table that `edgestill calibrate` wrote. Neither
is a measurement of the network; what is told of it says so, with how far it may be off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..deploy.latency_estimate import (
    BYTES,
    ENERGY_NOT_KNOWN,
    Estimate,
    columns_ms,
    estimate,
    fitted,
)
from ..deploy.power_modes import Device, device_named, names_a_table
from ..models.errors import BadInput
from ..models.families import spec_from_json
from .events import JSON
from .layer_work import network_work

if TYPE_CHECKING:
    from ..deploy.measured_rows import NetworkWork
    from ..models.budget import Budget
    from ..models.layer import Layer
    from .traced_layers import Traced

PRECISION = "int8"
"""Of an estimate where nothing else is asked for: what a recipe makes."""


class Predictor(Protocol):
    """A device, and what networks would take on it."""

    @property
    def name(self) -> str:
        """The device, for people: "orin-nano-8gb@15W", or what its table says it is."""

    @property
    def estimated(self) -> bool:
        """True: from data sheets and published rows; False: from a fit to its measured blocks."""

    @property
    def source(self) -> str:
        """What the figures rest on, for people."""

    @property
    def why_no_energy(self) -> str:
        """The reason, where `functions` has no energy_mj."""

    def functions(self) -> dict[str, Callable[[Sequence[Layer]], Any]]:
        """{"latency_ms": f} and, where it is known, "energy_mj": layers -> a number, or a column
        (R,) where the layers have columns."""

    def told(self, layers: Sequence[Layer]) -> dict[str, JSON]:
        """{"latency_ms": {"value", "low", "high", "level", "text", "estimated", "extrapolates"},
        "energy_mj": the same or None} of one network."""

    def told_of(self, traced: Traced) -> dict[str, JSON]:
        """The same of a network that is no family's."""


def predictor(device: str, *, precision: str | None = None) -> Predictor:
    """The predictions for a device: "module@mode" or the path of a latency table.

    precision: fp32, fp16 or int8, in which the network is to run; None: int8, or the table's own.

    Raises:
        BadInput: an unknown precision, or one that the table was not measured in.
        DeployError: no such module or mode, or a table that cannot be used.
    """
    if precision is not None and precision not in BYTES:
        raise BadInput(f"precision {precision!r}: expected one of {', '.join(BYTES)}")
    if names_a_table(device):
        from .table_predictor import from_table

        return from_table(Path(device), precision)
    return Roofline(device_named(device), precision or PRECISION)


def predictor_for(
    budget: Budget, device: str | None, *, precision: str | None = None
) -> Predictor | None:
    """The predictions that hold networks to `budget`; None where it names no device.

    Raises:
        BadInput: the budget limits what is not known of the device; or as `predictor`.
    """
    found = None if device is None else predictor(device, precision=precision)
    known = () if found is None else found.functions()
    if budget.latency_ms is not None and "latency_ms" not in known:
        raise BadInput("a budget of latency_ms needs a device, as orin-nano@15W")
    if budget.energy_mj is not None and "energy_mj" not in known:
        raise BadInput(_no_energy(found))
    return found


def told_of_network(found: Predictor | None, description: Mapping[str, Any]) -> dict[str, JSON]:
    """`Predictor.told` of the network that a student.json describes; {} without a predictor.

    A family's network is not built; another one is, and run on one image.
    """
    if found is None:
        return {}
    if "spec" in description:
        spec = spec_from_json(description["spec"])
        return found.told(spec.layers(spec))
    from .networks import build_network, size_of
    from .traced_layers import traced

    size = size_of(description)
    return found.told_of(traced(build_network(description), (3, size, size)))


def values_of(told: Mapping[str, JSON]) -> dict[str, float]:
    """{"latency_ms": number} of what a predictor tells; what it does not know is left out.

    >>> values_of({"latency_ms": {"value": 2.1, "estimated": True}, "energy_mj": None})
    {'latency_ms': 2.1}
    """
    return {
        name: float(each["value"])  # type: ignore[arg-type]
        for name, each in told.items()
        if isinstance(each, dict)
    }


def _no_energy(found: Predictor | None) -> str:
    if found is None:
        return "a budget of energy_mj needs a device: a table that edgestill calibrate wrote"
    return (
        f"a budget of energy_mj cannot be held on {found.name}: {found.why_no_energy}; measure with"
        " edgestill calibrate on a device that has an energy counter, and give its table as device"
    )


@dataclass(frozen=True)
class Roofline:
    """A module in a power mode: deploy/latency_estimate.py, with its cross-validated factor."""

    device: Device
    precision: str

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def estimated(self) -> bool:
        return True

    @property
    def source(self) -> str:
        return f"estimated for TensorRT, {self.precision}, one image; {fitted()['source']}"

    @property
    def why_no_energy(self) -> str:
        return ENERGY_NOT_KNOWN

    def functions(self) -> dict[str, Callable[[Sequence[Layer]], Any]]:
        return {
            "latency_ms": lambda layers: columns_ms(
                network_work(layers), self.device, self.precision
            )
        }

    def told(self, layers: Sequence[Layer]) -> dict[str, JSON]:
        return self._told(network_work(layers))

    def told_of(self, traced: Traced) -> dict[str, JSON]:
        return self._told(traced.work)

    def _told(self, work: NetworkWork) -> dict[str, JSON]:
        found = estimate(work, self.device, self.precision)
        return {"latency_ms": _estimated(found), "energy_mj": None}


def _estimated(found: Estimate) -> dict[str, JSON]:
    return {
        "value": found.ms,
        "low": found.ms / found.factor,
        "high": found.ms * found.factor,
        "level": 0.68,
        "text": found.label,
        "estimated": True,
        "extrapolates": list(found.extrapolates),
    }
