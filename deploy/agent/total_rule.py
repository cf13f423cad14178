"""Which power rails make up a board's total, and the rule by which they were chosen, for people.

A rail that feeds all others is the total by itself. Where none is measured, rails are added: the
known ones of AGX Orin and AGX Xavier, else all that there are, labelled as such. What stands
outside them (carrier, regulators, fan) is in no sum: on an AGX Orin a meter at the DC input read
twice the sum of the rails.

Rails by module: NVIDIA's developer guide; energymon's documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

NOT_CONNECTED = "NC"
"""The label of a channel that measures nothing; a board may have several."""

# The rails that feed all others, the most wanted first, and what all of it then is.
WHOLES = {
    "VDD_IN": "the whole module",  # TX2, Xavier NX, Orin Nano, Orin NX
    "POM_5V_IN": "the whole module",  # Nano
    "VIN": "the whole board",  # AGX Thor's carrier, by an INA238
    "VDD_MUX": "the whole board",  # the carrier of TX1 and TX2
}
# Not VDDQ_VDD2_1V8AO of AGX Orin: whether VIN_SYS_5V0 feeds it is not documented.
SUMS = (
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),  # AGX Orin
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),  # AGX Xavier
    ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),  # AGX Thor without its carrier's VIN
)


@dataclass(frozen=True)
class Total:
    """The rails to add up."""

    rails: tuple[str, ...]
    """Of the names given; empty if there are none."""

    rule: str
    """How they were chosen and what the sum covers."""

    whole: bool
    """Whether one rail measures the whole module or board."""


def total(names: Sequence[str]) -> Total:
    """The rails among `names` that make up the total; channels called NC are passed over.

    >>> total(["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"])
    Total(rails=('VDD_IN',), rule='VDD_IN, the whole module', whole=True)
    >>> total(["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "NC", "NC"]).rule
    'sum of rails, module only: VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0'
    """
    rails = tuple(name for name in names if name != NOT_CONNECTED)
    if not rails:
        return Total((), "no power rail", whole=False)
    for name, extent in WHOLES.items():
        if name in rails:
            return Total((name,), f"{name}, {extent}{_instead_of_the_board(name, rails)}", True)
    for known in SUMS:
        if set(known) <= set(rails):
            left = [name for name in rails if name not in known]
            without = f" (without {', '.join(left)})" if left else ""
            rule = f"sum of rails, module only: {' + '.join(known)}{without}"
            return Total(known, rule, whole=False)
    return Total(rails, f"sum of rails, of an unknown board: {' + '.join(rails)}", whole=False)


def _instead_of_the_board(name: str, rails: Sequence[str]) -> str:
    return " (VDD_MUX is the whole board)" if name == "VDD_IN" and "VDD_MUX" in rails else ""
