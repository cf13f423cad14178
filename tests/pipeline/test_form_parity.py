"""A file with a head that gives something else than its plain file's logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgestill.export.file_form import FileForm
from edgestill.export.heads import add_head
from edgestill.models.errors import GateFailed
from edgestill.pipeline.form_parity import agrees_with_plain

CLASSES = 1000


def classifier(bias: float) -> onnx.ModelProto:
    """Images (N, 3, 2, 2) -> logits of 1000 classes, `bias` added to the first."""
    weight = np.random.default_rng(0).standard_normal((12, CLASSES)).astype(np.float32)
    first = np.zeros(CLASSES, np.float32)
    first[0] = bias
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["images"], ["flat"], "flat"),
            helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"], "head"),
        ],
        "g",
        [helper.make_tensor_value_info("images", 1, ["N", 3, 2, 2])],
        [helper.make_tensor_value_info("logits", 1, ["N", CLASSES])],
        [
            numpy_helper.from_array(weight * np.float32(0.01), "weight"),
            numpy_helper.from_array(first, "bias"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def with_softmax(model: onnx.ModelProto) -> onnx.ModelProto:
    add_head(model, "softmax")
    return model


def test_probabilities_of_many_classes_are_judged_by_their_own_size(tmp_path: Path) -> None:
    plain, right, wrong = (tmp_path / f"{name}.onnx" for name in ("plain", "right", "wrong"))
    onnx.save(classifier(0.0), plain)
    onnx.save(with_softmax(classifier(0.0)), right)
    # 0.5 % of a probability of 0.001: 5e-6.
    onnx.save(with_softmax(classifier(0.005)), wrong)
    form = FileForm(head="softmax")

    assert agrees_with_plain(plain, right, form, None, None) < 1e-8
    with pytest.raises(GateFailed, match="probabilities differs by"):
        agrees_with_plain(plain, wrong, form, None, None)
