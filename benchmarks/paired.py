"""Errors of several ways, paired by seed: means, deviations, differences with intervals."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def compared(
    errors: Sequence[Mapping[str, float]], references: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Of each way n, mean and deviation of the error in %, and differences to `references`."""
    found: dict[str, dict[str, Any]] = {}
    for name in errors[0]:
        own = [each[name] for each in errors]
        others = [other for other in references if other in errors[0] and other != name]
        found[name] = {
            "n": len(own),
            "mean": statistics.fmean(own),
            "deviation": statistics.stdev(own) if len(own) > 1 else None,
            "minus": {
                other: paired([each[name] - each[other] for each in errors]) for other in others
            },
        }
    return found


def paired(differences: Sequence[float]) -> dict[str, float | None]:
    """Mean of paired differences and half the width of its 95 % interval by Student's t."""
    from scipy.stats import t

    count, half_width = len(differences), None
    if count > 1:
        error = statistics.stdev(differences) / count**0.5
        half_width = float(t.ppf(0.975, count - 1)) * error
    return {"mean": statistics.fmean(differences), "half_width": half_width}


def print_table(found: Mapping[str, Mapping[str, Any]], title: str) -> None:
    """What `compared` found, the worst first."""
    from rich.console import Console
    from rich.table import Table

    references = list(dict.fromkeys(name for row in found.values() for name in row["minus"]))
    shown = Table(title=title, caption="difference to: mean [95 % interval], paired by seed")
    shown.add_column("losses")
    for column in ("error %", "deviation", *(f"to {name}" for name in references)):
        shown.add_column(column, justify="right")
    for name, row in sorted(found.items(), key=lambda item: -float(item[1]["mean"])):
        deviation = "" if row["deviation"] is None else f"{row['deviation']:.2f}"
        differences = [interval(row["minus"].get(other)) for other in references]
        shown.add_row(name, f"{row['mean']:.2f}", deviation, *differences)
    Console(width=140).print(shown)


def interval(difference: Mapping[str, float | None] | None) -> str:
    """A difference of `paired` in words; "" for none."""
    if difference is None:
        return ""
    mean, half = difference["mean"], difference["half_width"]
    if half is None or mean is None:
        return f"{mean:+.2f}"
    return f"{mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}]"
