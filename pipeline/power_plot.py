"""Power over time, with the timed windows shaded and the idle baseline as a dashed line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .svg import LIGHT, figure_of_height, file_colour, inline_svg, model_colour, plot_style
from .wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..deploy.measurement import Profile
    from .material import PlacePiece
    from .profile_results import Results


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Windows of one case on the axis of a power trace."""

    label: str
    colour: str
    windows: tuple[tuple[float, float], ...]
    """(start, stop), in seconds."""
    strength: float = 0.4
    """Of the colour, from 0 to 1; tells the cases of one model apart."""


def power_by_mode(results: Results) -> str | None:
    """Total power over time, a panel for each power mode, the timed windows shaded."""
    panels = [
        (profile.measurements[0], profile.power, _timed(results, profile))
        for profile in results.profiles
        if profile.power is not None
    ]
    if not panels:
        return None
    with plot_style():
        figure = figure_of_height(40 + 200 * len(panels))
        for axes, (first, power, timed) in zip(
            figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True
        ):
            draw_power(axes, power, first.idle_power_mw, timed)
            axes.set_title(first.power_mode or "")
        return inline_svg(
            figure,
            name="power",
            title="Power over time",
            description="total power, with the timed windows of each case shaded",
        )


def trace_of(piece: PlacePiece, *, name: str) -> str | None:
    """The trace of a target of a recipe, for the report; None where there is none."""
    if piece.power is None:
        return None
    timed = [
        Timed(label=file, colour=file_colour(file), windows=tuple(windows))
        for file, windows in piece.windows.items()
    ]
    power = {"t_s": piece.power.t_s, "mw": piece.power.mw}
    with plot_style():
        figure = figure_of_height(240)
        draw_power(figure.add_subplot(), power, piece.idle_power_mw, timed)
        return inline_svg(
            figure,
            name=name,
            title=f"Power on {piece.name}",
            description="total power over time, with the timed windows of each file shaded",
        )


def draw_power(
    axes: Axes, power: dict[str, list[float]], idle_mw: float | None, timed: Sequence[Timed]
) -> None:
    """Watts over seconds; a colour for each case's windows, a dashed line where it was idle."""
    watts = [mw / 1000 for mw in power["mw"]]
    for each in timed:
        for index, (start, stop) in enumerate(each.windows):
            axes.axvspan(
                start,
                stop,
                color=each.colour,
                alpha=each.strength,
                linewidth=0,
                label=None if index else each.label,
            )
    axes.plot(power["t_s"], watts, color=LIGHT["ink"], linewidth=1)
    top = max(watts, default=1.0)
    if idle_mw is not None:
        axes.axhline(
            idle_mw / 1000,
            color=LIGHT["muted"],
            linewidth=1.5,
            dashes=(4, 3),
            label=f"idle {number(idle_mw / 1000)} W",
        )
    axes.set_ylim(0, 1.08 * top)
    axes.set_xlabel("seconds")
    axes.set_ylabel("W")
    if idle_mw is not None or any(each.windows for each in timed):
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.22), ncols=2, borderaxespad=0)


def _timed(results: Results, profile: Profile) -> list[Timed]:
    """The windows of each case; those of an earlier call are on another axis and left out."""
    return [
        Timed(
            label=each.label,
            colour=model_colour(results.model_of(index)),
            windows=tuple((one.start_s, one.stop_s) for one in each.slices if not one.earlier),
            strength=0.45 / (1 + results.variant_of(index)),
        )
        for index, each in enumerate(profile.measurements)
    ]
