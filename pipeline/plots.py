"""The two figures of what a run reached: accuracy against MACs, and the latency distribution.

Each returns an <svg>, or None where there is nothing to draw. Colour means the same in every
figure: teacher, student, INT8; a second cue (marker, position, label) says it without colour.
How it was learned is drawn in learning_plots.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .headline import interval95
from .material import Candidate
from .rows import Row, rows
from .summary import Summary
from .svg import LIGHT, figure_of_height, file_colour, inline_svg, plot_style
from .wording import count, number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

_INT8_MARKERS = "sD^vPX"
_DODGE_PX = 10
"""INT8 files have the student's MACs: their markers stand left of it, not on it, and so never
beyond a budget that holds."""


def accuracy_against_macs(summary: Summary, candidates: Sequence[Candidate] = ()) -> str | None:
    """Top-1 over MACs, with 95 % intervals; below it every architecture that was weighed."""
    points = [row for row in rows(summary) if row.top1 is not None and row.macs]
    if not points:
        return None
    with plot_style():
        figure = figure_of_height(340)
        axes = figure.add_subplot()
        _draw_budget(axes, summary)
        _draw_rug(axes, candidates)
        places = dict.fromkeys((row.name for row in points), 0)
        int8 = [row for row in points if row.precision == "INT8"]
        places |= {row.name: -_DODGE_PX * (1 + index) for index, row in enumerate(int8)}
        for row in points:
            marker = _INT8_MARKERS[int8.index(row) % 6] if row in int8 else "o"
            _draw_point(axes, row, marker, _shifted(axes, places[row.name]))
        _scale_axes(axes, summary, points, candidates)
        _draw_labels(axes, int8, places, side=-1)
        for row in points:
            if row not in int8:
                _draw_labels(axes, [row], places, side=1 if row.name == "student" else -1)
        return inline_svg(
            figure,
            name="accuracy",
            title="Accuracy against MACs",
            description="; ".join(
                f"{row.label}: {percent(row.top1, row.images)} at {count(row.macs)} MACs"
                for row in points
            ),
        )


def latency_distribution(
    summary: Summary, samples_ms: Mapping[str, Sequence[float]], place: str = ""
) -> str | None:
    """One histogram of single-inference latencies for each file, from 0, with p50 and p99.

    The two marks are the summary's figures, so that the picture and the table agree. `place`: one
    of the summary's; empty for the first device.
    """
    import numpy as np

    timed = {
        key.partition("@")[0]: (np.asarray(samples_ms[key], dtype=float), latency)
        for key, latency in summary.latency_ms.items()
        if latency is not None and len(samples_ms.get(key, ())) and key.partition("@")[2] == place
    }
    if not timed:
        return None
    end = 1.12 * max(latency.p99 for _, latency in timed.values())
    with plot_style():
        figure = figure_of_height(64 + 62 * len(timed))
        axes = figure.add_subplot()
        for line, (name, (ms, latency)) in enumerate(timed.items()):
            height, edges = np.histogram(ms, bins=160, range=(0, end))
            tops = 0.52 * height / max(1, height.max()) - line
            axes.stairs(
                tops, edges, baseline=-line, fill=True, color=file_colour(name), linewidth=0
            )
            _draw_percentiles(axes, -0.13 - line, latency.p50, latency.p99, file_colour(name), end)
        axes.set_yticks(
            [-line for line in range(len(timed))],
            [f"{name}\nn = {len(ms):,}" for name, (ms, _) in timed.items()],
        )
        axes.tick_params("y", length=0, labelcolor=LIGHT["ink"])
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set(xlim=(0, end), ylim=(0.55 - len(timed), 0.7))
        axes.set_xlabel("milliseconds per inference")
        return inline_svg(
            figure,
            name=f"latency-{summary.places.index(place)}" if place else "latency",
            title="Latency distribution",
            description="; ".join(
                f"{name}: p50 {number(latency.p50)} ms, p99 {number(latency.p99)} ms, n {len(ms)}"
                for name, (ms, latency) in timed.items()
            ),
        )


def _draw_budget(axes: Axes, summary: Summary) -> None:
    if "macs" not in summary.budget:
        return
    limit = summary.budget["macs"].limit
    axes.axvline(limit, color=LIGHT["muted"], linewidth=1, dashes=(4, 3))
    axes.annotate(
        f"budget {count(limit)}",
        (limit, 0.99),
        xycoords=("data", "axes fraction"),
        xytext=(-4, 0),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=10,
        color=LIGHT["muted"],
    )


def _draw_rug(axes: Axes, candidates: Sequence[Candidate]) -> None:
    """A tick on the axis for each candidate: dark where it fits, tall where it was chosen."""
    across = axes.get_xaxis_transform()
    for fits, colour in ((False, LIGHT["faint"]), (True, LIGHT["muted"])):
        # Closer than a hundredth of a decade two ticks are one: thousands of candidates stay small.
        macs = {
            round(math.log10(candidate.macs), 2): candidate.macs
            for candidate in candidates
            if candidate.fits is fits and candidate.macs > 0
        }
        axes.vlines(list(macs.values()), 0, 0.04, transform=across, color=colour, linewidth=0.8)
    chosen = [candidate.macs for candidate in candidates if candidate.chosen and candidate.macs]
    axes.vlines(chosen, 0, 0.09, transform=across, color=LIGHT["student"], linewidth=2)


def _draw_point(axes: Axes, row: Row, marker: str, place: Transform) -> None:
    if row.top1 is None or row.images is None or row.macs is None:
        return
    low, high = (100 * share for share in interval95(row.top1, row.images))
    style: dict[str, Any] = {"color": file_colour(row.name), "transform": place}
    axes.plot((row.macs, row.macs), (low, high), linewidth=1, alpha=0.7, **style)
    axes.plot(
        row.macs, 100 * row.top1, marker, markersize=9, markeredgecolor=LIGHT["surface"], **style
    )


def _scale_axes(
    axes: Axes, summary: Summary, points: Sequence[Row], candidates: Sequence[Candidate]
) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    shares = [interval95(row.top1 or 0, row.images or 1) for row in points]
    low, high = (100 * bound for bound in (min(shares)[0], max(high for _, high in shares)))
    room = max(high - low, 0.5)
    axes.set_ylim(max(low - 0.2 * room, -3), min(high + 0.2 * room, 101))
    axes.set_ylabel("top-1 on held-out images, %")

    own = [math.log10(row.macs or 1) for row in points]
    shown = [*own, *(math.log10(candidate.macs) for candidate in candidates if candidate.macs > 0)]
    shown += [math.log10(summary.budget["macs"].limit)] if "macs" in summary.budget else []
    left, right = min(shown) - 0.15, max(shown) + 0.15
    # Left of the student stand the names of its INT8 files, which need half of the width.
    left = min(left, (min(own) - 0.47 * right) / 0.53)
    right = max(right, (min(own) - 0.3 * left) / 0.7)
    axes.set_xscale("log")
    axes.set_xlim(10**left, 10**right)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("MACs per image (log)")


def _draw_labels(
    axes: Axes, points: Sequence[Row], places: Mapping[str, int], *, side: int
) -> None:
    """Names at one side of the points; those too close are moved apart and led back by a line."""
    low, high = axes.get_ylim()
    line_height = (high - low) / 17
    away = 16 - min((places[row.name] for row in points), default=0)
    at = _spread([100 * (row.top1 or 0) for row in points], line_height)
    for row, y in zip(points, at, strict=True):
        axes.annotate(
            f"{row.label} {percent(row.top1, row.images)}",
            (row.macs or 0, 100 * (row.top1 or 0)),
            xycoords=_shifted(axes, places[row.name]),
            xytext=(row.macs or 0, y),
            textcoords=_shifted(axes, side * away),
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=10,
            bbox={"facecolor": LIGHT["surface"], "linewidth": 0, "pad": 1.5},
            arrowprops={"arrowstyle": "-", "color": LIGHT["faint"], "shrinkB": 6, "lw": 0.8},
        )


def _draw_percentiles(
    axes: Axes, y: float, p50: float, p99: float, colour: str, end: float
) -> None:
    axes.plot((p50, p99), (y, y), color=colour, linewidth=1.5)
    axes.plot(p50, y, "o", color=colour, markersize=6)
    axes.plot(p99, y, "|", color=colour, markersize=9, markeredgewidth=1.5)
    leftwards = p50 > end / 2
    axes.annotate(
        f"p50 {number(p50)}, p99 {number(p99)} ms",
        (p50 if leftwards else p99, y),
        xytext=(-9 if leftwards else 9, 0),
        textcoords="offset points",
        ha="right" if leftwards else "left",
        va="center",
        fontsize=10,
    )


def _shifted(axes: Axes, right_px: float) -> Transform:
    from matplotlib.transforms import ScaledTranslation

    inches = axes.get_figure(root=True).dpi_scale_trans  # type: ignore[union-attr]
    return axes.transData + ScaledTranslation(right_px / 72, 0, inches)


def _spread(values: Sequence[float], gap: float) -> list[float]:
    """`values` moved apart to at least `gap`, keeping their order and their mean.

    >>> _spread([5.0, 1.0, 5.0], 3.0)
    [4.0, 0.0, 7.0]
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    placed = list(values)
    for below, above in pairwise(order):
        placed[above] = max(placed[above], placed[below] + gap)
    shift = (sum(placed) - sum(values)) / max(1, len(values))
    return [value - shift for value in placed]
