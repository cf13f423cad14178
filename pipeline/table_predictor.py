"""Predictions from a latency table: a fit to blocks that were measured on the device itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..deploy.latency_fit import Fit, fitted
from ..deploy.latency_table import LatencyTable, TableError, read_table
from ..models.errors import BadInput
from .events import JSON
from .timed_layers import timed_layers

if TYPE_CHECKING:
    from ..models.layer import Layer
    from .traced_layers import Traced


def from_table(path: Path, precision: str | None) -> Fitted:
    """The predictions of the table in `path`.

    precision: in which the network is to run; None: in the table's.

    Raises:
        BadInput: the table was measured in another precision.
        TableError: it is no table, or has not what a network is predicted from.
    """
    table = read_table(path)
    if precision is not None and precision != table.precision:
        raise BadInput(
            f"{path} was measured in {table.precision}, not in {precision}; calibrate once more"
            f" with --precision {precision}, or leave it out"
        )
    try:
        return Fitted(table, fitted(table))
    except TableError as error:
        raise TableError(f"{path}: {error}") from None


@dataclass(frozen=True)
class Fitted:
    """A device as a table knows it."""

    table: LatencyTable
    fit: Fit

    @property
    def name(self) -> str:
        mode = f"@{self.table.power_mode}" if self.table.power_mode else ""
        return f"{self.table.device}{mode}"

    @property
    def estimated(self) -> bool:
        return False

    @cached_property
    def source(self) -> str:
        table = self.table
        threads = f", {table.threads} thread{'s' * (table.threads > 1)}" if table.threads else ""
        return (
            f"predicted for {table.engine} {table.engine_version}, {table.precision}, batch"
            f" {table.batch}{threads}, from {len(table.singles)} blocks measured there;"
            f" {self.fit.record.networks} networks that the fit had not seen were off by"
            f" {self.fit.record.median_error:.0%} (half of them), {self.fit.level:.0%} are to be"
            f" within x/÷ {self._factor:.2f}; energy: {table.energy_source}"
        )

    @property
    def why_no_energy(self) -> str:
        return f"not all of its blocks have an energy ({self.table.energy_source})"

    def functions(self) -> dict[str, Callable[[Sequence[Layer]], Any]]:
        found: dict[str, Callable[[Sequence[Layer]], Any]] = {
            "latency_ms": lambda layers: self.fit.ms(timed_layers(layers))
        }
        if self.fit.record.energy_mj is not None:
            found["energy_mj"] = lambda layers: self.fit.energy_mj(timed_layers(layers))
        return found

    def told(self, layers: Sequence[Layer]) -> dict[str, JSON]:
        timed = timed_layers(layers)
        ms, energy_mj = float(self.fit.ms(timed)), self.fit.energy_mj(timed)
        low, high = self.fit.interval(ms)
        beyond: list[JSON] = list(self.fit.extrapolates(timed))
        told: dict[str, JSON] = {"estimated": False, "extrapolates": beyond}
        return {
            "latency_ms": {
                "value": ms,
                "low": low,
                "high": high,
                "level": self.fit.level,
                "text": f"{two_digits(ms)} ms, x/÷ {self._factor:.2f}, predicted",
                **told,
            },
            # How far energies may be off was not judged: the table's error is of latencies.
            "energy_mj": None
            if energy_mj is None
            else {
                "value": float(energy_mj),
                "low": None,
                "high": None,
                "level": None,
                "text": f"{two_digits(float(energy_mj))} mJ, predicted",
                **told,
            },
        }

    def told_of(self, traced: Traced) -> dict[str, JSON]:
        if traced.others:
            raise BadInput(
                f"what {traced.others[0]} takes is not in the table of {self.name}, so that the"
                " network cannot be held to a latency there; name a module, as orin-nano@15W, or"
                " give another network"
            )
        return self.told(traced.layers)

    @property
    def _factor(self) -> float:
        return 1 + self.fit.record.error


def two_digits(value: float) -> str:
    """A time or an energy with two significant digits.

    >>> two_digits(2.1312), two_digits(0.0317), two_digits(217.0)
    ('2.1', '0.032', '217')
    """
    return f"{value:,.{max(0, 1 - math.floor(math.log10(value)))}f}"
