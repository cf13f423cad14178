"""Small real ONNX classifiers, sound and broken, for the checks of an export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_static

from edgestill.export.runtime import infer, open_session


def classifier(
    *,
    batch: str | int = "N",
    size: int | str = 8,
    opset: int = 18,
    ir: int = 10,
    classes: int = 5,
    declared: int | None = None,
    seed: int = 0,
    before: Sequence[NodeProto] = (),
    flatten: NodeProto | None = None,
    after: Sequence[NodeProto] = (),
    constants: Sequence[TensorProto] = (),
) -> ModelProto:
    """Conv, ReLU, pooling and a matrix product: images (N, 3, size, size) -> logits (N, classes).

    `before` maps images to `seen`, `after` maps `product` to `logits`, `flatten` maps `pooled`
    to `flat`.
    """
    chance = np.random.default_rng(seed)
    weights = [
        numpy_helper.from_array(chance.normal(size=(4, 3, 3, 3)).astype(np.float32), "kernel"),
        numpy_helper.from_array(chance.normal(size=(4, classes)).astype(np.float32), "matrix"),
    ]
    nodes = [
        *before,
        helper.make_node(
            "Conv", ["seen" if before else "images", "kernel"], ["wide"], "conv", pads=[1] * 4
        ),
        helper.make_node("Relu", ["wide"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        flatten or helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["product" if after else "logits"]),
        *after,
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, size, size])
    logits = helper.make_tensor_value_info(
        "logits", TensorProto.FLOAT, [batch, declared or classes]
    )
    graph = helper.make_graph(nodes, "classifier", [images], [logits], [*weights, *constants])
    imports = [helper.make_opsetid("", opset)]
    if any(node.domain for node in nodes):
        imports += [helper.make_opsetid(d, 1) for d in sorted({n.domain for n in nodes} - {""})]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir)


Write = Callable[..., Path]


@pytest.fixture
def write_classifier(tmp_path: Path) -> Write:
    """Writes `classifier(**options)` as `name`.onnx and gives its path."""

    def write(name: str = "good", **options: object) -> Path:
        path = tmp_path / f"{name}.onnx"
        onnx.save(classifier(**options), path)  # type: ignore[arg-type]  # passed through
        return path

    return write


@pytest.fixture
def good(write_classifier: Write) -> Path:
    """A sound classifier, 3x8x8 -> 5."""
    return write_classifier("good")


@pytest.fixture
def nan_on_zeros(write_classifier: Write) -> Path:
    """Divides by the largest value: NaN for an image of zeros, sound otherwise."""
    return write_classifier(
        "nan",
        before=[
            helper.make_node("ReduceMax", ["images", "pixels"], ["peak"], keepdims=1),
            helper.make_node("Div", ["images", "peak"], ["seen"]),
        ],
        constants=[numpy_helper.from_array(np.array([1, 2, 3]), "pixels")],
    )


@pytest.fixture
def rows_depend(write_classifier: Write) -> Path:
    """Subtracts the mean over the batch, as a BatchNorm left in training mode does."""
    return write_classifier(
        "rows",
        before=[
            helper.make_node("ReduceMean", ["images", "rows"], ["mean"], keepdims=1),
            helper.make_node("Sub", ["images", "mean"], ["seen"]),
        ],
        constants=[numpy_helper.from_array(np.array([0]), "rows")],
    )


@pytest.fixture
def batch_baked_in(write_classifier: Write) -> Path:
    """Declares a free batch, but reshapes to 8 rows: the classic of a traced `view`."""
    return write_classifier(
        "baked",
        flatten=helper.make_node("Reshape", ["pooled", "shape"], ["flat"]),
        constants=[numpy_helper.from_array(np.array([8, 4]), "shape")],
    )


@pytest.fixture
def quantize(images: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Write:
    """Writes a model in INT8 as ONNX Runtime's own quantizer does: (path, kind, only) -> path."""

    def quantized(path: Path, kind: QuantType, only: Sequence[str] = ()) -> Path:
        calibration = iter([{"images": images}])
        out = path.with_name(f"{path.stem}.int8.onnx")
        quantize_static(
            path,
            out,
            SimpleNamespace(get_next=lambda: next(calibration, None)),
            activation_type=kind,
            weight_type=QuantType.QInt8,
            per_channel=True,
            nodes_to_quantize=list(only) or None,
            extra_options={"ActivationSymmetric": kind == QuantType.QInt8},
        )
        return out

    return quantized


@pytest.fixture
def labels(
    good: Path, images: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The classes that the sound classifier names for the images, (64,)."""
    named: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    named = infer(open_session(good), images).argmax(axis=1)
    return named


@pytest.fixture
def images() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Images (64, 3, 8, 8), seeded noise."""
    return np.random.default_rng(5).standard_normal((64, 3, 8, 8), dtype=np.float32)
