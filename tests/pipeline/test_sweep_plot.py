"""The picture of a sweep stands alone, has a panel for each cost, and says its figures in words."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from edgestill.pipeline.sweep_plot import pareto
from edgestill.pipeline.sweep_results import Run, Sweep

from .sweeps import done, figures, two_budgets_three_seeds


def test_every_cost_has_its_panel_and_its_figures_in_words() -> None:
    svg = pareto(two_budgets_three_seeds())

    assert svg is not None
    told = ET.fromstring(svg).findtext("{http://www.w3.org/2000/svg}desc") or ""
    for words in ("MACs per image", "milliseconds per inference", "bytes of weights"):
        assert words in svg and words in told
    assert "macs 5M: 81.00 % at 5 M (mean of 3 seeds)" in told
    assert "INT8 student (ort-x86), n = 1,000 held-out images" in svg
    assert "var(" not in svg  # its colours are its own


def test_the_same_sweep_gives_the_same_picture() -> None:
    assert pareto(two_budgets_three_seeds()) == pareto(two_budgets_three_seeds())


def test_a_cost_that_was_not_measured_has_no_panel() -> None:
    run = done("a", {"k": "1"}, figures(0.8, latency_ms=None))

    svg = pareto(Sweep(name="s", over=("k",), runs=(run,)))

    assert svg is not None
    assert "milliseconds" not in svg


def test_without_figures_there_is_no_picture() -> None:
    whole = two_budgets_three_seeds()
    runs = tuple(replace(run, figures=None) for run in whole.runs)

    assert pareto(replace(whole, runs=runs)) is None
    assert pareto(Sweep(name="s", over=("k",), runs=(Run(name="a", overrides={"k": "1"}),))) is None
