"""The picture of a sweep: top-1 against MACs, latency and weight bytes, with the frontier of each.

A point is the runs that differ in their seed alone: their mean, and bars from the least to the
most. The line joins what no other point beats in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .profile_plots import standalone
from .svg import LIGHT, figure_of_height, file_colour, inline_svg, plot_style
from .sweep_points import Axis, Point, points
from .sweep_results import Sweep
from .wording import count, limit, number, percent, size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL_PX = 250
AXES: dict[Axis, str] = {
    "macs": "MACs per image",
    "latency": "milliseconds per inference, p50",
    "bytes": "bytes of weights",
}
NAMES = {"macs": "macs", "latency": "latency_ms", "bytes": "bytes"}
"""The names of these figures in a budget, from which `limit` knows their units."""


def pareto(sweep: Sweep) -> str | None:
    """The picture as an <svg> that stands alone; None if no run came to both of any pair."""
    panels = {axis: found for axis in AXES if (found := points(sweep, axis))}
    if not panels:
        return None
    with plot_style():
        figure = figure_of_height(PANEL_PX * len(panels) + 30)
        every = figure.subplots(len(panels), squeeze=False)[:, 0]
        for axes, (axis, found) in zip(every, panels.items(), strict=True):
            _draw_panel(axes, axis, found, sweep)
        every[0].set_title(_title(sweep))
        svg = inline_svg(
            figure,
            name="pareto",
            title=f"{sweep.name}: top-1 against cost",
            description="; ".join(_told(axis, found) for axis, found in panels.items()),
        )
    return standalone(svg)


def _draw_panel(axes: Axes, axis: Axis, found: Sequence[Point], sweep: Sweep) -> None:
    colour = file_colour(sweep.shipped)
    _draw_teacher(axes, sweep)
    best = [point for point in found if point.frontier]
    line = [(point.mean_cost, 100 * point.mean_top1) for point in best]
    axes.plot(*zip(*line, strict=True), color=colour, linewidth=1.2, alpha=0.6)
    for point in found:
        x, y = point.mean_cost, 100 * point.mean_top1
        if len(point.top1) > 1:
            bar: dict[str, Any] = {"color": colour, "linewidth": 1, "alpha": 0.7}
            axes.plot((x, x), (100 * min(point.top1), 100 * max(point.top1)), **bar)
            axes.plot((min(point.cost), max(point.cost)), (y, y), **bar)
        face = colour if point.frontier else LIGHT["surface"]
        axes.plot(x, y, "o", markersize=7, markeredgecolor=colour, markerfacecolor=face)
    _scale(axes, axis, found)
    _draw_labels(axes, found)
    axes.set_ylabel("top-1, %")


def _draw_teacher(axes: Axes, sweep: Sweep) -> None:
    """A line at the mean of the teachers, each counted once, however many runs share it."""
    teachers = {
        figures.stages["teacher"]["key"] if "teacher" in figures.stages else name: top1
        for name, figures in sweep.with_figures.items()
        if (top1 := figures.top1.get("teacher")) is not None
    }
    if not teachers:
        return
    mean = 100 * sum(teachers.values()) / len(teachers)
    axes.axhline(mean, color=file_colour("teacher"), linewidth=1, dashes=(4, 3))
    axes.annotate(
        "teacher",
        (1, mean),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 2),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=9,
        color=LIGHT["muted"],
    )


def _scale(axes: Axes, axis: Axis, found: Sequence[Point]) -> None:
    """A logarithmic axis where costs lie more than three times apart, with room for labels."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    costs = [cost for point in found for cost in point.cost]
    wide = max(costs) > 3 * min(costs)
    if wide:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if wide else MaxNLocator(5))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"{AXES[axis]} (log)" if wide else AXES[axis])
    axes.margins(x=0.16, y=0.18)
    tick = {"macs": count, "latency": number, "bytes": size}[axis]
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))


def _draw_labels(axes: Axes, found: Sequence[Point]) -> None:
    """What was varied, at each point of the frontier, where its line never passes: below it."""
    for point in found:
        if point.frontier and point.label:
            axes.annotate(
                point.label,
                (point.mean_cost, 100 * point.mean_top1),
                xytext=(5, -4),
                textcoords="offset points",
                ha="left",
                va="top",
                fontsize=9,
                color=LIGHT["muted"],
            )


def _title(sweep: Sweep) -> str:
    file = "student" if sweep.shipped == "student" else f"INT8 student ({sweep.shipped})"
    images = {figures.held_out_images for figures in sweep.with_figures.values()}
    n = f", n = {images.pop():,} held-out images" if len(images) == 1 and None not in images else ""
    return f"{file}{n}"


def _told(axis: Axis, found: Sequence[Point]) -> str:
    costs = (
        f"{point.label or 'all'}: {percent(point.mean_top1, point.images)} at"
        f" {limit(NAMES[axis], point.mean_cost)}"
        + (f" (mean of {len(point.top1)} seeds)" if len(point.top1) > 1 else "")
        for point in found
    )
    return f"{AXES[axis]}: {', '.join(costs)}"
