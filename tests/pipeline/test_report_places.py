"""The report of a run that was measured on two devices: each in a section of its own."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from edgestill.deploy.measurement import Flag
from edgestill.pipeline.comparison import compared
from edgestill.pipeline.material import Material
from edgestill.pipeline.measured import Place, conditions_of, place_piece, places_of
from edgestill.pipeline.networks import write_json
from edgestill.pipeline.report import render
from edgestill.pipeline.summary import Summary

from .profiles import BOARD, measurement, profile

HOT = Flag(kind="hot", text="it reached 93 degrees", remedy="cool it", grave=True)
BUSY = Flag(kind="busy", text="another process ran", remedy=None, grave=False)
ORIN = {**BOARD, "machine": "aarch64", "jetson": None, "cpu": {"model": "A78", "cores_online": 6}}


@pytest.fixture
def places(tmp_path: Path) -> tuple[Place, ...]:
    """What the profile stage leaves of this machine and of a board with a power trace."""
    here = profile(measurement("teacher", [1.8] * 3), measurement("student", [0.6] * 3))
    there = profile(
        measurement("teacher", [4.0] * 3, rounds_mj=[20.0] * 3, power_mode="15W", flags=(HOT,)),
        measurement(
            "tensorrt", [0.5] * 3, rounds_mj=[2.0] * 3, power_mode="15W", flags=(HOT, BUSY)
        ),
        power=True,
        board=ORIN,
    )
    targets = {}
    for name, taken in (("local", here), ("orin@15W", there)):
        first, *others = taken.measurements
        targets[name] = {
            "settings": {"target": "local" if name == "local" else "ssh://orin"},
            "files": {each.label: each.to_json() for each in taken.measurements},
            "comparisons": [each.to_json() for other in others for each in compared(other, first)],
            "power": taken.power,
        }
    write_json(tmp_path / "measurements.json", {"order": list(targets), "targets": targets})
    write_json(tmp_path / "board.json", {"local": here.board, "orin@15W": there.board})
    return places_of(tmp_path)


@pytest.fixture
def rendered(
    places: tuple[Place, ...], summary_json: dict[str, Any], material: Material, tmp_path: Path
) -> tuple[str, str]:
    """The page and the Markdown."""
    samples = dict(material.latency_samples_ms)
    orin = places[1]
    for name, figures in orin.files.items():
        key = f"{name}{orin.suffix}"
        summary_json["latency_ms"][key] = {
            q: figures["latency_ms"][q] for q in ("p50", "p90", "p99")
        }
        summary_json["measured"][key] = conditions_of(orin, name)
        summary_json["energy_mj"][key] = figures["energy_mj"]
        summary_json["energy_source"][key] = figures["energy_source"]
        samples[key] = figures["samples_ms"]
    told = material.model_copy(
        update={
            "places": tuple(place_piece(place) for place in places),
            "latency_samples_ms": samples,
        }
    )
    html, markdown = render(Summary.model_validate(summary_json), told, tmp_path)
    return html.read_text(encoding="utf-8"), markdown.read_text(encoding="utf-8")


def test_targets_keep_the_order_of_the_recipe(places: tuple[Place, ...]) -> None:
    assert [(place.name, place.suffix) for place in places] == [
        ("local", ""),
        ("orin@15W", "@orin@15W"),
    ]
    assert places[1].machine == "A78 (aarch64), 6 cores, 15W"


def test_conditions_have_the_mode_and_the_runs(places: tuple[Place, ...]) -> None:
    told = conditions_of(places[1], "tensorrt")

    assert told["machine"].endswith("15W")
    assert told["runs"] == places[1].files["tensorrt"]["runs"]


def test_flags_of_all_files_are_told_once_and_others_name_theirs(
    places: tuple[Place, ...],
) -> None:
    piece = place_piece(places[1])

    assert [(flag.text, flag.files, flag.grave) for flag in piece.flags] == [
        ("it reached 93 degrees", [], True),
        ("another process ran", ["tensorrt"], False),
    ]


def test_every_target_has_its_section_with_facts_flags_and_ratios(
    rendered: tuple[str, str],
) -> None:
    for text in rendered:
        assert text.index("Measured on local") < text.index("Measured on orin@15W")
        board = text[text.index("Measured on orin@15W") :]
        for told in (
            "8.00x faster",
            "it reached 93 degrees",
            "cool it",
            "another process ran",
            "A78 (aarch64), 6 cores",
            "INA3221 in sysfs",
            "4.20 W",
        ):
            assert told in board


def test_a_further_target_has_its_figures_in_a_table(rendered: tuple[str, str]) -> None:
    html, markdown = rendered

    assert re.search(r"\| INT8 tensorrt \| 0\.500 / 0\.\d+ / 0\.\d+ \| 2 \| 180 \|", markdown)
    assert "A78 (aarch64), 6 cores, 15W, onnxruntime 1.32.0, batch 1, 1 thread" in html
    tables = re.findall(r"(?:^\|.*\n)+", markdown, flags=re.MULTILINE)
    assert all(len({line.count("|") for line in table.splitlines()}) == 1 for table in tables)


def test_its_latencies_and_its_power_are_drawn(rendered: tuple[str, str]) -> None:
    html, _ = rendered

    drawn = {
        ElementTree.fromstring(svg)[0].text: svg for svg in re.findall(r"<svg.*?</svg>", html, re.S)
    }

    assert len(drawn) == 5  # both latency distributions have one title
    power = drawn["Power on orin@15W"]
    assert "idle 4.20 W" in power
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))


def test_a_window_of_an_earlier_call_is_not_drawn_on_this_ones_axis(
    places: tuple[Place, ...],
) -> None:
    places[1].told["files"]["teacher"]["slices"][0]["earlier"] = True

    piece = place_piece(places[1])

    assert [len(windows) for windows in piece.windows.values()] == [2, 3]
