"""A sweep as points: top-1 against a cost, runs that differ in their seed alone as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .sweep_results import Figures, Sweep


@dataclass(frozen=True, kw_only=True)
class Point:
    """Runs that differ in their seed alone, as one point of a picture."""

    label: str
    """What was varied besides the seed: "macs=5M"; empty if nothing was."""
    cost: tuple[float, ...]
    """One for each run: MACs, milliseconds or bytes."""
    top1: tuple[float, ...]
    images: int
    """Held-out images that each top-1 was counted on."""
    frontier: bool = False
    """Whether no other point has as much top-1 for less."""

    @property
    def mean_cost(self) -> float:
        return sum(self.cost) / len(self.cost)

    @property
    def mean_top1(self) -> float:
        return sum(self.top1) / len(self.top1)


Axis = Literal["macs", "latency", "bytes"]


def points(sweep: Sweep, axis: Axis) -> tuple[Point, ...]:
    """Top-1 of the shipped file against one cost, cheapest first; runs without both are absent."""
    groups: dict[str, list[tuple[float, float, int]]] = {}
    for label, figures in _labelled(sweep):
        top1 = figures.top1.get(sweep.shipped)
        cost = {
            "macs": figures.macs,
            "latency": figures.latency_ms.get(sweep.shipped),
            "bytes": figures.weight_bytes.get(sweep.shipped),
        }[axis]
        if top1 is not None and cost is not None and figures.held_out_images is not None:
            groups.setdefault(label, []).append((cost, top1, figures.held_out_images))
    found = [
        Point(
            label=label,
            cost=tuple(cost for cost, _, _ in group),
            top1=tuple(top1 for _, top1, _ in group),
            images=min(images for _, _, images in group),
        )
        for label, group in groups.items()
    ]
    return frontier(found)


def frontier(found: Sequence[Point]) -> tuple[Point, ...]:
    """The points, cheapest first, those marked that none beats in both mean cost and mean top-1."""
    best = float("-inf")
    marked = []
    for point in sorted(found, key=lambda each: (each.mean_cost, -each.mean_top1)):
        marked.append(replace(point, frontier=point.mean_top1 > best))
        best = max(best, point.mean_top1)
    return tuple(marked)


def _labelled(sweep: Sweep) -> Iterator[tuple[str, Figures]]:
    for run in sweep.runs:
        if run.figures is not None:
            varied = {key: value for key, value in run.overrides.items() if key != "seed"}
            words = (f"{key.rpartition('.')[2]} {value}" for key, value in varied.items())
            yield ", ".join(words), run.figures
