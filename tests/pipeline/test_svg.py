"""Figures as inline SVG: well formed, themed by the page, alone in their ids, reproducible."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from edgestill.pipeline.svg import LIGHT, PALETTE, figure_of_height, inline_svg, plot_style


def drawn(label: str = "line", *, name: str = "plot") -> str:
    with plot_style():
        figure = figure_of_height(200)
        axes = figure.add_subplot()
        axes.plot((0, 1), (0, 1), color=LIGHT["teacher"], label=label)
        axes.set_title(label)
        return inline_svg(figure, name=name, title=label, description="a line")


def test_the_picture_takes_the_pages_colours_and_has_its_own_without() -> None:
    svg = drawn()

    assert f"stroke: var(--teacher, {LIGHT['teacher']})" in svg
    bare = re.sub(r"var\([^)]*\)", "", svg)
    assert not any(light in bare for light, _ in PALETTE.values())


def test_every_id_and_every_reference_carries_the_name() -> None:
    svg = drawn(name="mine")

    ids = set(re.findall(r'\bid="([^"]*)"', svg))
    used = set(re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', svg))
    assert all(each.startswith("mine-") for each in ids)
    assert {first or second for first, second in used} <= ids


def test_the_same_figure_is_the_same_bytes() -> None:
    assert drawn() == drawn()


def test_a_label_from_a_user_stays_text() -> None:
    svg = drawn("<script>$x_1$ & \\1")

    texts = "".join(ElementTree.fromstring(svg).itertext())
    assert "<script>" not in svg
    assert texts.count("<script>$x_1$ & \\1") >= 2  # the title element and the drawn title


def test_nothing_of_the_picture_leaks_into_the_page() -> None:
    svg = drawn()

    assert svg.startswith("<svg ")
    assert "<style" not in svg
    assert "<metadata" not in svg


def test_no_id_stands_twice_even_for_two_equal_pictures() -> None:
    with plot_style():
        figure = figure_of_height(200)
        for axes in figure.subplots(1, 2):
            axes.imshow([[0, 1]])
        svg = inline_svg(figure, name="twins", title="twins", description="two pictures")

    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert len(ids) == len(set(ids))
