"""What the two figures of results show."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from typing import Any

from edgestill.pipeline.material import Candidate, Material
from edgestill.pipeline.plots import accuracy_against_macs, latency_distribution
from edgestill.pipeline.summary import Summary


def words(svg: str | None) -> str:
    assert svg is not None
    return " ".join(" ".join(ElementTree.fromstring(svg).itertext()).split())


def test_accuracy_names_every_measured_file_and_the_budget(
    summary: Summary, material: Material
) -> None:
    shown = words(accuracy_against_macs(summary, material.candidates))

    for label in ("teacher 98.0 %", "student 97.0 %", "INT8 ort-x86 96.0 %", "budget 3 M"):
        assert label in shown
    assert "tensorrt" not in shown


def test_accuracy_without_any_point_is_no_picture() -> None:
    assert accuracy_against_macs(Summary(recipe="empty")) is None


def test_thousands_of_candidates_keep_the_picture_small(summary: Summary) -> None:
    many = [
        Candidate(spec=str(macs), macs=macs, params=1, fits=macs < 3_000_000)
        for macs in range(200_000, 20_200_000, 1_000)
    ]

    svg = accuracy_against_macs(summary, many)

    assert svg is not None
    assert len(svg) < 150_000  # 40,000 bytes without candidates; a tick for each would be 2 MB


def test_latency_shows_the_figures_of_the_summary_with_n(
    summary: Summary, material: Material
) -> None:
    shown = words(latency_distribution(summary, material.latency_samples_ms))

    assert "p50 1.80, p99 2.40 ms" in shown
    assert "p50 0.300, p99 0.400 ms" in shown
    assert shown.count("n = 300") == 3


def test_latency_without_samples_is_no_picture(summary: Summary) -> None:
    assert latency_distribution(summary, {}) is None
    assert latency_distribution(summary, {"teacher": []}) is None


def test_labels_of_equal_accuracies_do_not_cover_each_other(summary_json: dict[str, Any]) -> None:
    summary_json["accuracy"]["int8"] = dict.fromkeys(("ort-x86", "ort-arm64", "tensorrt"), 0.97)

    svg = accuracy_against_macs(Summary.model_validate(summary_json))

    assert svg is not None
    heights = sorted(float(each) for each in re.findall(r'<text[^>]* y="([\d.]+)"[^>]*>INT8', svg))
    assert len(heights) == 3
    assert min(b - a for a, b in pairwise(heights)) > 10  # a line of text
