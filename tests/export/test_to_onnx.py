"""The exported float graph: the network's numbers, plain names, and the same bytes every time."""

from __future__ import annotations

import copy
import hashlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from edgestill.export.markers import markers, point_of, strip_markers
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.errors import BadInput
from edgestill.models.fake_quant import calibrate, points_of, prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet

SPEC = WideResNet(blocks=(1, 1, 1), widths=(8, 8, 16), image_size=16)
SHAPE = (3, 16, 16)


def images(count: int) -> Tensor:
    return torch.randn((count, *SHAPE), generator=torch.Generator().manual_seed(0))


def logits(model: onnx.ModelProto, x: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    (found,) = session.run(["logits"], {"images": x.numpy()})
    return found


@pytest.fixture(scope="module")
def exported() -> onnx.ModelProto:
    """The network in float; look, do not touch."""
    return onnx_from_model(build(SPEC, seed=0), SHAPE)


@pytest.fixture(scope="module")
def prepared() -> nn.Module:
    """The network in 8 bits, calibrated."""
    made = prepare(fold_batch_norm(build(SPEC, seed=0)))
    calibrate(made, [images(4)])
    return made


@pytest.fixture(scope="module")
def before_and_marked(prepared: nn.Module) -> tuple[Tensor, onnx.ModelProto]:
    """What the network in 8 bits gave before it was exported, and its file with markers."""
    return prepared(images(4)), onnx_from_model(prepared, SHAPE)


@pytest.mark.parametrize("count", [1, 5])
def test_the_float_graph_gives_the_networks_logits_for_any_batch(
    exported: onnx.ModelProto, count: int
) -> None:
    onnx.checker.check_model(exported, full_check=True)
    expected = build(SPEC, seed=0).eval()(images(count)).detach().numpy()
    # Float32 rounding over 10 layers; largest difference seen 1e-6.
    np.testing.assert_allclose(logits(exported, images(count)), expected, rtol=0, atol=1e-5)


def test_pooling_over_the_whole_image_is_one_node_and_no_batch_norm_is_left(
    exported: onnx.ModelProto,
) -> None:
    kinds = {node.op_type for node in exported.graph.node}
    assert "GlobalAveragePool" in kinds
    assert not {"ReduceMean", "BatchNormalization"} & kinds


def test_layers_are_named_after_their_modules(exported: onnx.ModelProto) -> None:
    named = {node.name for node in exported.graph.node if node.op_type in ("Conv", "Gemm")}
    modules = build(SPEC, seed=0).named_modules()
    assert named == {path for path, m in modules if isinstance(m, (nn.Conv2d, nn.Linear))}


def test_every_point_of_a_prepared_network_is_marked_once(
    prepared: nn.Module, before_and_marked: tuple[Tensor, onnx.ModelProto]
) -> None:
    _, marked = before_and_marked

    names = [point_of(node) for node in markers(marked.graph)]
    assert sorted(names) == sorted(point.point for point in points_of(prepared))


def test_without_markers_a_prepared_network_is_the_float_network(
    before_and_marked: tuple[Tensor, onnx.ModelProto],
) -> None:
    _, marked = before_and_marked

    plain = strip_markers(marked)

    onnx.checker.check_model(plain, full_check=True)
    expected = build(SPEC, seed=0).eval()(images(4)).detach().numpy()
    np.testing.assert_allclose(logits(plain, images(4)), expected, rtol=0, atol=1e-5)  # as above


def test_exporting_leaves_the_prepared_network_as_it_was(
    prepared: nn.Module, before_and_marked: tuple[Tensor, onnx.ModelProto]
) -> None:
    before, _ = before_and_marked

    assert torch.equal(prepared(images(4)), before)


def test_a_fixed_batch_is_one() -> None:
    exported = onnx_from_model(build(SPEC, seed=0), SHAPE, batch=1)

    dims = exported.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims] == [1, *SHAPE]


def test_the_batch_axis_has_a_name(exported: onnx.ModelProto) -> None:
    assert exported.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    assert exported.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "N"


SCRIPT = """
import hashlib
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.fake_quant import prepare
from edgestill.models.fold import fold_batch_norm
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet
student = build(WideResNet(blocks=(1, 1, 1), widths=(8, 8, 16), image_size=16), seed=0)
marked = onnx_from_model(prepare(fold_batch_norm(student)), (3, 16, 16))
print(hashlib.sha256(marked.SerializeToString()).hexdigest())
"""


@pytest.mark.usefixtures("exported")  # what was exported before must not matter
def test_another_process_writes_the_same_bytes() -> None:
    prepared = prepare(fold_batch_norm(build(SPEC, seed=0)))

    here = onnx_from_model(prepared, SHAPE).SerializeToString()
    there = subprocess.check_output([sys.executable, "-W", "error", "-c", SCRIPT], text=True)

    assert hashlib.sha256(here).hexdigest() == there.strip()


def test_nothing_of_this_machine_is_in_the_file(exported: onnx.ModelProto) -> None:
    wordless = copy.deepcopy(exported)
    for tensor in wordless.graph.initializer:
        tensor.ClearField("raw_data")  # any bytes may occur among numbers
    text = str(wordless)

    assert not [word for word in (".py", "torch", "trace", "namespace") if word in text]
    assert "metadata_props" not in text


class Averages(nn.Module):
    """Three ways to write a global average, and a mean that is none."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        kept = x.mean((-2, -1), keepdim=True)[:, :, 0, 0]
        pooled = self.pool(x).flatten(1) + x.mean([2, 3]) + kept
        y: Tensor = self.fc(pooled) + x.mean(3).mean(2)[:, :2]
        return y


def test_all_writings_of_a_global_average_become_one_operation() -> None:
    model = Averages().eval()

    exported = onnx_from_model(model, SHAPE)

    kinds = [node.op_type for node in exported.graph.node]
    assert (kinds.count("GlobalAveragePool"), kinds.count("ReduceMean")) == (3, 2)
    expected = model(images(3)).detach().numpy()
    np.testing.assert_allclose(logits(exported, images(3)), expected, rtol=0, atol=1e-5)


def test_images_of_a_wrong_shape_are_refused_in_one_line() -> None:
    with pytest.raises(BadInput, match=r"does not accept images of \(1, 16, 16\)") as caught:
        onnx_from_model(build(SPEC, seed=0), (1, 16, 16))

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("opset", [11, 99])
def test_an_opset_that_cannot_be_written_is_refused(opset: int) -> None:
    with pytest.raises(BadInput, match=f"opset {opset}"):
        onnx_from_model(build(SPEC, seed=0), SHAPE, opset=opset)
