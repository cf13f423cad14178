"""The pictures of a measurement: latency of each case, power over time, energy against latency.

Colour is the model, the same in all of them; labels and markers say it without colour.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .power_plot import power_by_mode
from .svg import LIGHT, figure_of_height, inline_svg, model_colour, plot_style
from .wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..deploy.measurement import Measurement
    from .profile_results import Results

MARKERS = "osD^vPX"
FULL_LINE = 72
"""Characters of 10 px that fill a line."""


def pictures(results: Results) -> dict[str, str]:
    """{file name: svg that stands alone}, without those for which there is nothing to draw."""
    drawn = {
        "latency.svg": latency_by_case(results),
        "power.svg": power_by_mode(results),
        "energy_latency.svg": energy_against_latency(results),
    }
    return {name: standalone(svg) for name, svg in drawn.items() if svg is not None}


def latency_by_case(results: Results) -> str:
    """A histogram of every timed inference for each case, on one logarithmic axis."""
    import numpy as np

    measured = results.measurements
    low = 0.9 * min(each.latency_ms["min"] for each in measured)
    high = 1.25 * max(each.latency_ms["p99"] for each in measured)
    edges = np.geomspace(low, high, 161)
    with plot_style():
        figure = figure_of_height(56 + 68 * len(measured))
        axes = figure.add_subplot()
        for line, (each, colour) in enumerate(zip(measured, _colours(results), strict=True)):
            height, _ = np.histogram(each.samples_ms, bins=edges)
            tops = 0.5 * height / max(1, height.max()) - line
            axes.stairs(tops, edges, baseline=-line, fill=True, color=colour, linewidth=0)
            _draw_percentiles(axes, -0.1 - line, each, colour)
            told = _told(each, high)
            axes.annotate(
                told,
                (0, 0.56 - line),
                xycoords=("axes fraction", "data"),
                fontsize=min(10, 10 * FULL_LINE / len(told)),
            ).set_in_layout(False)  # a long name must not narrow the axes
        axes.set_yticks([])
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set(xlim=(low, high), ylim=(0.7 - len(measured), 0.8))
        _log_ticks(axes, "x")
        axes.set_xlabel("milliseconds per inference (log)")
        return inline_svg(
            figure,
            name="latency",
            title="Latency of every timed inference",
            description="; ".join(
                f"{_full_label(each)}: p50 {number(each.latency_ms['p50'])} ms,"
                f" p99 {number(each.latency_ms['p99'])} ms, n {each.runs}"
                for each in measured
            ),
        )


def energy_against_latency(results: Results) -> str | None:
    """Energy of an inference over its median latency; modes of one case joined by a line."""
    if all(each.energy_mj is None for each in results.measurements):
        return None
    with plot_style():
        cases = results.profiles[0].measurements
        figure = figure_of_height(300 + 18 * ((len(cases) + 1) // 2))
        axes = figure.add_subplot()
        for index, _ in enumerate(cases):
            colour = model_colour(results.model_of(index))
            _draw_energies(
                axes,
                [profile.measurements[index] for profile in results.profiles],
                {"color": colour, "marker": MARKERS[results.variant_of(index) % len(MARKERS)]},
            )
        axes.set(xscale="log", yscale="log")
        axes.margins(0.1)
        _log_ticks(axes, "x")
        _log_ticks(axes, "y")
        axes.set_xlabel("p50, milliseconds per inference (log)")
        axes.set_ylabel("mJ per inference (log)")
        axes.legend(loc="upper left", bbox_to_anchor=(-0.1, -0.16), ncols=2, borderaxespad=0)
        return inline_svg(
            figure,
            name="energy-latency",
            title="Energy against latency",
            description="; ".join(
                f"{_full_label(each)}: {number(each.energy_mj)} mJ at"
                f" {number(each.latency_ms['p50'])} ms"
                for each in results.measurements
                if each.energy_mj is not None
            ),
        )


def standalone(svg: str) -> str:
    """An inline picture as a file: its own colours, on its own ground, of its own size."""
    svg = re.sub(r"var\(--[\w-]+, (#[0-9a-f]{6})\)", r"\1", svg)
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert found is not None
    width, height = (round(1.5 * float(side), 1) for side in found.groups())
    svg = svg.replace("<svg ", f'<svg width="{width:g}" height="{height:g}" ', 1)
    ground = f'<rect width="100%" height="100%" fill="{LIGHT["surface"]}"/>\n'
    return svg.replace("</desc>\n", f"</desc>\n{ground}", 1) + "\n"


def _told(measured: Measurement, end_ms: float) -> str:
    """A case's figures, and how many of its runs lie beyond the axis that ends at `end_ms`."""
    p50, p99 = (number(measured.latency_ms[q]) for q in ("p50", "p99"))
    beyond = sum(ms > end_ms for ms in measured.samples_ms)
    n = f"n = {measured.runs:,}" + (f" ({beyond:,} beyond)" if beyond else "")
    return f"{_full_label(measured)}: p50 {p50}, p99 {p99} ms, {n}"


def _draw_energies(axes: Axes, modes: Sequence[Measurement], style: dict[str, Any]) -> None:
    points = [
        (each.latency_ms["p50"], each.energy_mj, each.energy_bound_mj or 0.0, each.power_mode)
        for each in modes
        if each.energy_mj is not None
    ]
    if not points:
        return
    x, y, bound, _ = zip(*points, strict=True)
    lower = [min(each, 0.99 * value) for each, value in zip(bound, y, strict=True)]
    axes.errorbar(
        x,
        y,
        yerr=(lower, bound),
        label=modes[0].label,
        markersize=8,
        markeredgecolor=LIGHT["surface"],
        linewidth=1.2,
        elinewidth=1,
        **style,
    )
    if len(modes) == 1:
        return
    for latency, energy, _, mode in points:
        axes.annotate(
            str(mode),
            (latency, energy),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            color=LIGHT["muted"],
        )


def _draw_percentiles(axes: Axes, y: float, measured: Measurement, colour: str) -> None:
    """A dot at p50, a bar at p99."""
    p50, p99 = measured.latency_ms["p50"], measured.latency_ms["p99"]
    axes.plot((p50, p99), (y, y), color=colour, linewidth=1.5)
    axes.plot(p50, y, "o", color=colour, markersize=5)
    axes.plot(p99, y, "|", color=colour, markersize=8, markeredgewidth=1.5)


def _log_ticks(axes: Axes, side: str) -> None:
    """Numbers as people write them, at 1, 2 and 5, or closer where less than a decade is shown."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    if side == "x":
        axes.set_xscale("log")
    axis = axes.xaxis if side == "x" else axes.yaxis
    low, high = sorted(axes.get_xlim() if side == "x" else axes.get_ylim())
    narrow = high < 6 * low
    axis.set_major_locator(MaxNLocator(5) if narrow else LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _full_label(measured: Measurement) -> str:
    return f"{measured.label}{f' at {measured.power_mode}' if measured.power_mode else ''}"


def _colours(results: Results) -> Iterator[str]:
    for profile in results.profiles:
        for index, _ in enumerate(profile.measurements):
            yield model_colour(results.model_of(index))
