"""report.html and report.md: the answer first, then every figure with its machine and its n.

The page is one file: its style and its pictures are inside, it loads nothing and runs no script.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .check_grid import check_grid, text
from .headline import headline, interval95
from .material import Candidate, Material, PlacePiece, StagePiece
from .rows import Row, TimedRow, rows, timed_rows
from .summary import Summary
from .svg import PALETTE
from .tiles import tiles
from .trial_table import trial_table
from .wording import NOT_MEASURED, count, limit, number, percent, size

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["Material", "render"]

CANDIDATES_SHOWN = 12
LAYERS_SHOWN = 12


def render(summary: Summary, material: Material, out: Path) -> tuple[Path, Path]:
    """Writes `report.html` and `report.md` into the folder `out`; same input, same bytes."""
    html, markdown = out / "report.html", out / "report.md"
    facts = _facts(summary, material)
    html.write_text(_page(summary, material, facts), encoding="utf-8")
    markdown.write_text(_text(facts), encoding="utf-8")
    return html, markdown


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture with its title and how to read it; `svg` is None if there was nothing to draw."""

    title: str
    svg: str | None
    caption: str
    missing: str


@dataclass(frozen=True, kw_only=True)
class PlaceFacts:
    """A target as a section of the report."""

    piece: PlacePiece
    rows: tuple[TimedRow, ...]
    """Of a further target; the first one's stand in the table of results."""
    conditions: dict[str, str]


def footnotes(table: Sequence[Row]) -> dict[str, int]:
    """{reason: number} over all nulls of the table, numbered as a reader meets them."""
    reasons = dict.fromkeys(reason for row in table for reason in row.reasons.values())
    return {reason: index + 1 for index, reason in enumerate(reasons)}


def shown_candidates(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The chosen one and those nearest to it in MACs, largest first."""
    chosen = next((candidate for candidate in candidates if candidate.chosen), None)
    middle = chosen.macs if chosen else 0

    def nearness(candidate: Candidate) -> tuple[bool, float, str]:
        return not candidate.chosen, abs(candidate.macs - middle), candidate.spec

    near = sorted(candidates, key=nearness)[:CANDIDATES_SHOWN]
    return tuple(sorted(near, key=lambda candidate: (-candidate.macs, candidate.spec)))


def _facts(summary: Summary, material: Material) -> dict[str, Any]:
    answer, table = headline(summary), rows(summary)
    return {
        "summary": summary,
        "material": material,
        "answer": answer,
        "tiles": tiles(summary, answer),
        "rows": table,
        "footnotes": footnotes(table),
        "conditions": _conditions(table),
        "places": tuple(_place(summary, piece) for piece in material.places),
        "tried": trial_table(material.candidates),
        "candidates": shown_candidates(material.candidates),
        "layers_shown": LAYERS_SHOWN,
        "checks": check_grid(material.check_lines),
        "stages": material.stages or _stages(summary),
        "counted_in": _counted_in(summary),
        "verdicts": Counter(line.verdict for line in material.check_lines),
        "not_measured": NOT_MEASURED,
        "palette": PALETTE,
    }


def _page(summary: Summary, material: Material, facts: Mapping[str, Any]) -> str:
    template = _templates(escape=True).get_template("report.html.j2")
    return template.render(
        **facts,
        figures=_figures(summary, material),
        place_figures=[_place_figures(summary, material, each) for each in material.places],
    )


def _text(facts: Mapping[str, Any]) -> str:
    return _templates(escape=False).get_template("report.md.j2").render(**facts)


def _templates(*, escape: bool) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {
        "count": count,
        "size": size,
        "number": number,
        "percent": percent,
        "limit": _limit,
        "cell": _markdown_cell,
        "plus_minus": _plus_minus,
        "found": text,
        "tight": _tight,
    }
    return templates


def _limit(value: float | None, name: str) -> str:
    return limit(name, value)


def _markdown_cell(value: object) -> str:
    """Text that stays inside one cell of a Markdown table and is not read as HTML."""
    text = " ".join(str(value).split()).replace("\\", "\\\\").replace("|", "\\|")
    return re.sub(r"<(?=[a-zA-Z/!?])", "&lt;", text)


def _plus_minus(share: float, images: int) -> str:
    low, high = interval95(share, images)
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def _tight(text: str) -> str:
    """`text` with the spaces inside "97.2 %", "0.14 ms" and "n = 360" kept from breaking."""
    return re.sub(r"(?<=\d) (?=(%|ms|mJ|kB|MB)\b|%)|(?<=\bn) (?==)|(?<==) (?=\d)", "\u00a0", text)


def _stages(summary: Summary) -> tuple[StagePiece, ...]:
    return tuple(
        StagePiece(name=name, key=stage.key, seconds=stage.seconds, status=stage.status)
        for name, stage in summary.stages.items()
    )


def _counted_in(summary: Summary) -> str:
    """ "teacher in torch; student, ort-x86 in onnxruntime"."""
    runtimes: dict[str, list[str]] = {}
    for name, runtime in summary.counted_in.items():
        runtimes.setdefault(runtime, []).append(name)
    return "; ".join(f"{', '.join(names)} in {runtime}" for runtime, names in runtimes.items())


def _conditions(table: Sequence[Row | TimedRow]) -> dict[str, str]:
    """{setting: "teacher n = 4,021, student n = 3,870"}: who was timed where, and how often."""
    settings: dict[str, list[str]] = {}
    for row in table:
        if row.conditions is not None:
            runs = f"{row.name} n = {row.conditions.runs:,}"
            settings.setdefault(row.conditions.setting, []).append(runs)
    return {setting: ", ".join(runs) for setting, runs in settings.items()}


def _place(summary: Summary, piece: PlacePiece) -> PlaceFacts:
    timed = timed_rows(summary, piece.name) if piece.suffix else ()
    return PlaceFacts(piece=piece, rows=timed, conditions=_conditions(timed))


def _figures(summary: Summary, material: Material) -> tuple[Figure, ...]:
    from .learning_plots import similarity_graphs, training_curves
    from .plots import accuracy_against_macs, latency_distribution

    n = summary.held_out_images
    return (
        Figure(
            title="Accuracy against MACs",
            svg=accuracy_against_macs(summary, material.candidates),
            caption=f"Higher and further left is better. n = {n or 0:,} held-out images; bars are"
            " 95 % intervals (Wilson) of each figure by itself. INT8 files have the student's MACs"
            " and stand left of it to be seen."
            + (
                " Ticks on the axis: the candidates below, strong if they fit the budget,"
                " tall the chosen one."
                if material.candidates
                else ""
            ),
            missing="no accuracy with a known number of MACs",
        ),
        Figure(
            title="Latency distribution",
            svg=latency_distribution(summary, material.latency_samples_ms),
            caption="Every timed inference, after warm-up; each histogram is scaled to its own"
            " peak. Dot: half of the runs were faster (p50); bar: 99 of 100 were (p99)."
            f" {'; '.join(_conditions(rows(summary)))}.",
            missing="no file was timed",
        ),
        Figure(
            title="Training curves",
            svg=training_curves(material.histories),
            caption="Left: mean loss of each epoch, every term with its weight. Right: top-1 on the"
            " validation images, which are carved from the training split. One run, one seed.",
            missing="no stage trained",
        ),
        Figure(
            title="Similarity graphs, teacher and student",
            svg=similarity_graphs(material.graphs),
            caption=_graphs_caption(material),
            missing="no graphs were recorded",
        ),
    )


def _place_figures(summary: Summary, material: Material, piece: PlacePiece) -> list[Figure]:
    """Pictures of one target; the first target's latencies stand among the four of the page."""
    from .plots import latency_distribution
    from .power_plot import trace_of

    shown = []
    if piece.suffix:
        shown.append(
            Figure(
                title=f"Latency distribution on {piece.name}",
                svg=latency_distribution(summary, material.latency_samples_ms, piece.name),
                caption="Every timed inference, after warm-up; dot p50, bar p99.",
                missing="no file was timed",
            )
        )
    if piece.power is not None:
        shown.append(
            Figure(
                title=f"Power on {piece.name}",
                svg=trace_of(piece, name=f"power-{[*material.places].index(piece)}"),
                caption="Total power over time; shaded: the timed windows of each file.",
                missing="",
            )
        )
    return shown


def _graphs_caption(material: Material) -> str:
    images = len(material.graphs.labels) if material.graphs else 0
    return (
        f"How alike two images look to the network at each block: {images} images sorted by class"
        " (ticks mark where a class ends), one colour scale per row. The more the right picture"
        " looks like the left, the better the student learned the teacher's geometry; squares on"
        " the diagonal are classes told apart. r: correlation between the entries of the two"
        f" graphs, n = {images * (images - 1) // 2:,} pairs of one batch."
    )
