"""What the two figures of learning show."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
from PIL import Image

from edgestill.pipeline.learning_plots import similarity_graphs, training_curves
from edgestill.pipeline.material import Epoch, Graphs, Material


def words(svg: str | None) -> str:
    assert svg is not None
    return " ".join(" ".join(ElementTree.fromstring(svg).itertext()).split())


def test_curves_name_stages_terms_and_the_last_top1(material: Material) -> None:
    shown = words(training_curves(material.histories))

    for label in ("distill: loss", "cross_entropy", "gkd", "sum", "90.0 %"):
        assert label in shown


def test_a_stage_that_was_only_calibrated_leaves_no_row(material: Material) -> None:
    shown = words(training_curves(material.histories | {"quantize": []}))

    assert "quantize" not in shown
    assert training_curves({"quantize": []}) is None


def test_one_epoch_without_terms_or_top1_is_drawn() -> None:
    shown = words(training_curves({"teacher": [Epoch(epoch=1, loss=0.0)]}))

    assert "not measured" in shown


def test_graphs_are_sorted_by_class() -> None:
    labels = np.array([0, 1] * 8)
    same = (labels[:, None] == labels[None]).astype(float)
    svg = similarity_graphs(
        Graphs.model_validate(
            {"labels": labels, "blocks": [{"name": "pool", "teacher": same, "student": same}]}
        )
    )

    assert svg is not None
    encoded = re.findall(r"data:image/png;base64,\s*([^\"]+)", svg)[0]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("L"))
    half, edge = len(picture) // 2, len(picture) // 16
    inside, across = picture[:half, :half], picture[:half, half:]
    # Sorted, the classes are two bright squares; in the order given it would be a chessboard.
    assert np.ptp(inside[edge:-edge, edge:-edge]) == 0
    assert inside[edge, edge] > across[edge, edge] + 50


def test_the_correlation_of_equal_graphs_is_one(material: Material) -> None:
    assert "student, r = 1.00" in words(similarity_graphs(material.graphs))


def test_graphs_that_are_constant_do_not_break_the_picture() -> None:
    flat = np.zeros((3, 3))
    block = {"name": "dead", "teacher": flat, "student": flat}

    shown = words(
        similarity_graphs(Graphs.model_validate({"labels": [0, 1, 2], "blocks": [block]}))
    )

    assert "dead" in shown
    assert "r =" not in shown


def test_no_graphs_is_no_picture() -> None:
    assert similarity_graphs(None) is None
    assert similarity_graphs(Graphs(labels=[])) is None
