"""Matplotlib figures as inline SVG: the same bytes for the same data, and the page's own colours.

A figure is drawn with the light palette. In the text of the SVG each of those colours becomes
`var(--teacher, #2a78d6)`, so that a page can redefine it for a dark theme and the picture still
stands alone.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# name -> light, dark. Three entities (teacher, student, INT8), then loss terms, then neutrals.
# Each hue keeps 3:1 against its surface where it is a line; text is always in a neutral.
PALETTE = {
    "teacher": ("#2a6fc9", "#5a9bee"),
    "student": ("#d9602b", "#ee7f4c"),
    "int8": ("#168f68", "#2db88a"),
    "term-1": ("#5a48b5", "#a297f0"),
    "term-2": ("#b57a00", "#dba52c"),
    "term-3": ("#c2477f", "#e57aa9"),
    "term-4": ("#5c7d12", "#97b94a"),
    "ink": ("#1d2329", "#e8eaed"),
    "muted": ("#5d6670", "#a3abb5"),
    "faint": ("#b4bac1", "#59616b"),
    "grid": ("#e4e7eb", "#30363d"),
    "surface": ("#fefefe", "#171b20"),
}
WIDTH_PX = 410
"""Between a phone's 350 px and a column's 480 px, so that text of 10 px is legible on both."""
LIGHT = {name: light for name, (light, _) in PALETTE.items()}

_FONTS = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
_RC = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so text is laid out alike everywhere
    "font.size": 11,
    "text.color": LIGHT["ink"],
    "text.parse_math": False,  # a "$" in a user's name is a dollar
    "axes.edgecolor": LIGHT["faint"],
    "axes.facecolor": "none",
    "axes.labelcolor": LIGHT["muted"],
    "axes.titlecolor": LIGHT["ink"],
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LIGHT["grid"],
    "grid.linewidth": 0.8,
    "xtick.color": LIGHT["faint"],
    "ytick.color": LIGHT["faint"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.labelcolor": LIGHT["muted"],
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 2,
    "figure.facecolor": "none",
    "figure.dpi": 72,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: small, selectable, read aloud
    "svg.hashsalt": "edgestill",
    "svg.image_inline": True,
}


@contextmanager
def plot_style() -> Iterator[None]:
    """Within the block, matplotlib draws in our style, whatever the user's matplotlibrc says."""
    from matplotlib import style

    with style.context(["default", _RC]):
        yield


def inline_svg(figure: Figure, *, name: str, title: str, description: str) -> str:
    """`figure` as an <svg> element that takes the width it is given; call within `plot_style`.

    `name` prefixes every id, so that several pictures can stand in one page.
    """
    text = io.StringIO()
    dateless = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(text, format="svg", metadata=dateless)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    # The style element would reach every other picture of the page; _opening says the same.
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = _named(svg, name)
    svg = svg.replace("'DejaVu Sans'", _FONTS)
    for key, colour in LIGHT.items():
        svg = svg.replace(colour, f"var(--{key}, {colour})")
    return _opening(figure, name, title, description) + svg[svg.index(">") + 1 :].strip()


def _named(svg: str, name: str) -> str:
    """`svg` with only the ids that it refers to, each beginning with `name`."""
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg))

    def kept(found: re.Match[str]) -> str:
        before, each = found.groups()
        return f'{before} id="{name}-{each}"' if each in used else before

    svg = re.sub(r'(<[^<>]*?) id="([^"]*)"', kept, svg)
    return svg.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')


def _opening(figure: Figure, name: str, title: str, description: str) -> str:
    width, height = (round(72 * inches, 1) for inches in figure.get_size_inches())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' viewBox="0 0 {width:g} {height:g}" stroke-linejoin="round" stroke-linecap="butt"'
        f' role="img" aria-labelledby="{name}-title {name}-desc">\n'
        f'<title id="{name}-title">{html.escape(title)}</title>\n'
        f'<desc id="{name}-desc">{html.escape(description)}</desc>\n'
    )


def figure_of_height(height_px: float) -> Figure:
    """An empty figure, `WIDTH_PX` wide."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH_PX / 72, height_px / 72), layout="constrained")


def file_colour(name: str) -> str:
    """The colour of a file: its own for teacher and student, one for every INT8 target."""
    return LIGHT[name if name in ("teacher", "student") else "int8"]


def model_colour(index: int) -> str:
    """A colour for each of several models, counted from 0."""
    names = ("teacher", "student", "int8", "term-1", "term-2", "term-3", "term-4")
    return LIGHT[names[index % len(names)]]
