"""The two figures of how a run learned: training curves, and similarity graphs side by side.

Each returns an <svg>, or None where there is nothing to draw; colours and width as in plots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .material import Epoch, Graphs
from .svg import LIGHT, figure_of_height, inline_svg, plot_style
from .wording import number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from numpy.typing import NDArray

_STAGE_COLOUR = {"teacher": "teacher", "distill": "student", "quantize": "int8"}


def training_curves(histories: Mapping[str, Sequence[Epoch]]) -> str | None:
    """One row for each stage that trained: its weighted loss terms, and its validation top-1."""
    trained = {stage: list(epochs) for stage, epochs in histories.items() if epochs}
    if not trained:
        return None
    terms = dict.fromkeys(
        term for epochs in trained.values() for epoch in epochs for term in epoch.terms
    )
    colours = {term: LIGHT[f"term-{1 + index % 4}"] for index, term in enumerate(terms)}
    with plot_style():
        figure = figure_of_height(30 + 150 * len(trained))
        panels = figure.subplots(len(trained), 2, squeeze=False)
        for (stage, epochs), (left, right) in zip(trained.items(), panels, strict=True):
            _loss_panel(left, stage, epochs, colours)
            _top1_panel(right, stage, epochs)
        for panel in panels[-1]:
            panel.set_xlabel("epoch")
        handles = {line.get_label(): line for panel in panels[:, 0] for line in panel.get_lines()}
        figure.legend(
            handles.values(), handles.keys(), loc="outside upper left", ncols=4, handlelength=1.4
        )
        return inline_svg(
            figure,
            name="training",
            title="Training curves",
            description="; ".join(
                f"{stage}: {len(epochs)} epochs, last loss {number(epochs[-1].loss)},"
                f" last validation top-1 {percent(epochs[-1].top1)}"
                for stage, epochs in trained.items()
            ),
        )


def similarity_graphs(graphs: Graphs | None) -> str | None:
    """Teacher's and student's graph of one batch sorted by class, one row and scale per block."""
    if graphs is None or not graphs.blocks:
        return None
    import numpy as np

    labels = np.asarray(graphs.labels)
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order])) + 0.5
    with plot_style():
        figure = figure_of_height(6 + 186 * len(graphs.blocks))
        panels = figure.subplots(len(graphs.blocks), 3, squeeze=False, width_ratios=(1, 1, 0.05))
        for block, (left, right, scale) in zip(graphs.blocks, panels, strict=True):
            pair = [np.asarray(graph)[order][:, order] for graph in (block.teacher, block.student)]
            # The diagonal is 0 by definition and a few pairs are near copies: percentiles keep
            # both from flattening everything between.
            off = np.concatenate([graph[~np.eye(len(order), dtype=bool)] for graph in pair])
            low, high = np.percentile(off, (1, 99)) if off.size else (0.0, 1.0)
            high = high if high > low else low + 1
            for axes, graph in ((left, pair[0]), (right, pair[1])):
                _heat(axes, graph, low, high, starts)
            left.set_ylabel(block.name, color=LIGHT["ink"], fontsize=11)
            left.set_title("teacher")
            right.set_title(_title(*pair))
            _scale(scale, low, high)
        return inline_svg(
            figure,
            name="graphs",
            title="Similarity graphs",
            description=f"{len(order)} images sorted by class, at blocks "
            + ", ".join(block.name for block in graphs.blocks),
        )


def _loss_panel(
    axes: Axes, stage: str, epochs: Sequence[Epoch], colours: Mapping[str, str]
) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    at = [epoch.epoch for epoch in epochs]
    marker = "o" if len(epochs) == 1 else ""
    style: dict[str, Any] = {"marker": marker, "markersize": 5}
    drawn = []
    for term, colour in colours.items():
        values = [epoch.terms.get(term) for epoch in epochs]
        if any(value is not None for value in values):
            heights = [float("nan") if value is None else value for value in values]
            axes.plot(at, heights, color=colour, label=term, linewidth=1.6, **style)
            drawn += [value for value in values if value is not None]
    losses = [epoch.loss for epoch in epochs]
    if len(epochs[0].terms) != 1:
        style |= {"linewidth": 1.2, "dashes": (4, 2)}
        axes.plot(at, losses, color=LIGHT["ink"], label="sum", **style)
        drawn += losses
    if min(drawn) > 0 and max(drawn) > 20 * min(drawn):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(f"{stage}: loss")
    _whole_epochs(axes)


def _top1_panel(axes: Axes, stage: str, epochs: Sequence[Epoch]) -> None:
    from matplotlib.ticker import FuncFormatter

    known = [(epoch.epoch, 100 * epoch.top1) for epoch in epochs if epoch.top1 is not None]
    axes.set_title(f"{stage}: validation top-1")
    _whole_epochs(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g} %"))
    axes.margins(y=0.2)
    if not known:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center")
        return
    colour = LIGHT[_STAGE_COLOUR.get(stage, "muted")]
    axes.plot(*zip(*known, strict=True), color=colour)
    # The axis keeps room above 100 % for the label; its ticks stop at what a share can be.
    seen = axes.get_ylim()
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= 100])
    axes.set_ylim(*seen)
    axes.plot(*known[-1], "o", color=colour, markersize=6)
    axes.annotate(
        f"{known[-1][1]:.1f} %",
        known[-1],
        xytext=(3, 7),
        textcoords="offset points",
        ha="right",
        fontsize=10,
    )


def _whole_epochs(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _title(teacher: NDArray[Any], student: NDArray[Any]) -> str:
    """ "student, r = 0.83": correlation of the two graphs over all pairs of images."""
    import numpy as np

    pairs = np.triu_indices(len(teacher), 1)
    ours, theirs = student[pairs], teacher[pairs]
    if ours.size < 2 or not ours.std() or not theirs.std():
        return "student"  # a constant graph correlates with nothing
    return f"student, r = {np.corrcoef(ours, theirs)[0, 1]:.2f}"


def _heat(axes: Axes, graph: NDArray[Any], low: float, high: float, starts: NDArray[Any]) -> None:
    axes.imshow(graph, cmap=_colours(), vmin=low, vmax=high, interpolation="none")
    # Marks outside the picture where one class ends, so that nothing hides the graph itself.
    axes.set(xticks=starts, yticks=starts, xticklabels=(), yticklabels=())
    axes.tick_params(length=4, color=LIGHT["muted"])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _colours() -> Colormap:
    from matplotlib import colormaps

    # 32 steps are what an eye tells apart, and a third of the bytes of 256 in the page.
    return colormaps["viridis"].resampled(32)


def _scale(axes: Axes, low: float, high: float) -> None:
    import numpy as np

    ramp = np.linspace(0, 1, 32)[:, None]
    axes.imshow(ramp, cmap=_colours(), origin="lower", aspect="auto", extent=(0, 1, low, high))
    axes.set(xticks=(), yticks=(low, high), yticklabels=(number(low), number(high)))
    axes.yaxis.tick_right()
    axes.tick_params("y", length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
