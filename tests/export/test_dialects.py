"""One trained network in three encodings: each gives the fake-quantized network's answers."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torchvision
from onnx import TensorProto, numpy_helper
from torch import Tensor, fx, nn

from edgestill.export.dialects import write_dialect
from edgestill.export.fusion import fusion_report
from edgestill.export.graph import constants, producers, readers
from edgestill.export.targets import TARGETS
from edgestill.export.to_onnx import onnx_from_model
from edgestill.models.errors import BadInput
from edgestill.models.fake_quant import calibrate, prepare, set_grid
from edgestill.models.fold import fold_batch_norm
from edgestill.models.ranges import Ranges, ranges_of
from edgestill.models.student import build
from edgestill.models.wideresnet import WideResNet

SHAPE = (3, 16, 16)
ORT_TARGETS = ("ort-x86", "ort-arm64")
Array = np.ndarray[Any, Any]


def patterns(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images (B, C, H, W) of ten smooth patterns under noise, and which pattern each is."""
    fixed = torch.randn((10, 3, 4, 4), generator=torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (count,), generator=generator)
    smooth = nn.functional.interpolate(fixed, size=16, mode="bilinear")
    return smooth[labels] + 0.5 * torch.randn((count, *SHAPE), generator=generator), labels


@pytest.fixture(scope="module")
def trained() -> fx.GraphModule:
    """A WRN-10 that tells the patterns apart, fake-quantized."""
    spec = WideResNet(blocks=(1, 1, 1), widths=(8, 16, 32), image_size=16)
    student = build(spec, seed=0).train()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9)
    for step in range(40):
        x, labels = patterns(32, seed=step)
        loss = nn.functional.cross_entropy(student(x), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's annotation is missing
        optimizer.step()
    prepared = prepare(fold_batch_norm(student))
    calibrate(prepared, [patterns(64, seed=100)[0]])
    return prepared


@pytest.fixture(scope="module")
def marked(trained: fx.GraphModule) -> onnx.ModelProto:
    return onnx_from_model(trained, SHAPE)


@pytest.fixture(scope="module")
def ranges(trained: fx.GraphModule) -> Ranges:
    return ranges_of(trained)


def run(model: onnx.ModelProto, x: Tensor, *, names: list[str] | None = None) -> list[Array]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: list[Array] = session.run(names or ["logits"], {"images": x.numpy()})
    return found


def simulated(trained: nn.Module, target: Any, x: Tensor) -> Array:
    model = copy.deepcopy(trained)
    set_grid(model, target)
    with torch.no_grad():
        return np.asarray(model(x).numpy())


@pytest.mark.parametrize("target", ORT_TARGETS)
def test_all_of_a_wide_residual_network_runs_in_int8(
    marked: onnx.ModelProto, ranges: Ranges, target: str, tmp_path: Path
) -> None:
    onnx.save(write_dialect(marked, ranges, target), tmp_path / "model.onnx")

    found = fusion_report(tmp_path / "model.onnx", target)

    assert (found.int8, found.total) == (11, 11)
    # One node quantizes the images; the classifier's product gives float logits itself.
    assert (found.qdq_left, found.float_islands) == (1, ())


# Of every kind of block that the network has, one, and a row of two: expansion, width, repeats,
# stride. The other thirteen are no different.
FEW_BLOCKS = {"inverted_residual_setting": [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 1, 2]]}


def warmed(name: str, settings: dict[str, Any]) -> nn.Module:
    """A torchvision network with running statistics of its own random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        build_network = getattr(torchvision.models, name)
        model: nn.Module = build_network(weights=None, num_classes=10, **settings)
        model.train()
        with torch.no_grad():
            for _ in range(3):
                model(torch.randn(8, 3, 32, 32))
    return model.eval()


@pytest.mark.parametrize(
    ("name", "settings", "layers"), [("resnet18", {}, 21), ("mobilenet_v2", FEW_BLOCKS, 14)]
)
def test_torchvisions_networks_are_written_for_all_targets(
    name: str, settings: dict[str, Any], layers: int, tmp_path: Path
) -> None:
    prepared = prepare(fold_batch_norm(warmed(name, settings)))
    x = torch.randn((8, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    calibrate(prepared, [x])
    marked, ranges = onnx_from_model(prepared, (3, 32, 32)), ranges_of(prepared)

    for target in TARGETS:
        dialect = write_dialect(marked, ranges, target)
        onnx.checker.check_model(dialect, full_check=True)
        onnx.save(dialect, tmp_path / f"{target}.onnx")
        found = fusion_report(tmp_path / f"{target}.onnx", target)

        assert (found.int8, found.total, found.float_islands) == (layers, layers, ())
        assert found.qdq_left == (None if target == "tensorrt" else 1)
        # Random networks of this depth double a perturbation every few layers: that the codes are
        # right is tested on the trained one, here that nothing is grossly off.
        (logits,) = run(dialect, x)
        expected = simulated(prepared, target, x)
        assert np.corrcoef(logits.ravel(), expected.ravel())[0, 1] > 0.9


def test_tensorrt_gets_symmetric_int8_and_float_biases(
    marked: onnx.ModelProto, ranges: Ranges
) -> None:
    graph = write_dialect(marked, ranges, "tensorrt").graph

    zeros = [tensor for tensor in graph.initializer if tensor.name.endswith("zero_point")]
    assert {tensor.data_type for tensor in zeros} == {TensorProto.INT8}
    assert not any(numpy_helper.to_array(tensor).any() for tensor in zeros)
    known = constants(graph)
    biases = [known[node.input[2]] for node in graph.node if node.op_type in ("Conv", "Gemm")]
    assert {tensor.data_type for tensor in biases} == {TensorProto.FLOAT}


def test_tensorrt_gets_q_dq_on_one_branch_of_each_addition(
    marked: onnx.ModelProto, ranges: Ranges
) -> None:
    graph = write_dialect(marked, ranges, "tensorrt").graph
    made_by = producers(graph)

    additions = [node for node in graph.node if node.op_type == "Add"]
    assert len(additions) == 3
    for node in additions:
        sources = Counter(made_by[name].op_type for name in node.input)
        assert sources == {"Conv": 1, "DequantizeLinear": 1}


def test_tensorrt_gets_no_quantized_convolution_output_that_no_layer_reads(
    marked: onnx.ModelProto, ranges: Ranges
) -> None:
    graph = write_dialect(marked, ranges, "tensorrt").graph
    read_by = readers(graph)

    activations = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    for node in activations:
        (dequantize,) = read_by[node.output[0]]
        kinds = {reader.op_type for reader in read_by[dequantize.output[0]]}
        assert kinds <= {"Conv", "Gemm", "Add"}, node.name


def test_the_codes_of_a_value_after_relu_start_at_the_lowest(
    marked: onnx.ModelProto, ranges: Ranges
) -> None:
    zeros = {}
    for target in TARGETS:
        known = constants(write_dialect(marked, ranges, target).graph)
        zeros[target] = tuple(
            int(numpy_helper.to_array(known[f"{point}.zero_point"])) for point in ("relu", "images")
        )

    assert zeros == {"tensorrt": (0, 0), "ort-x86": (0, 128), "ort-arm64": (-128, 0)}


@pytest.mark.parametrize("target", TARGETS)
def test_writing_twice_gives_the_same_bytes_and_leaves_the_marked_graph_alone(
    marked: onnx.ModelProto, ranges: Ranges, target: str
) -> None:
    before = marked.SerializeToString()

    once = write_dialect(marked, ranges, target).SerializeToString()
    again = write_dialect(marked, Ranges.from_json(ranges.to_json()), target).SerializeToString()

    assert once == again
    assert marked.SerializeToString() == before


def test_quantized_weights_make_the_file_smaller(marked: onnx.ModelProto, ranges: Ranges) -> None:
    parameters = sum(
        numpy_helper.to_array(tensor).size
        for tensor in marked.graph.initializer
        if tensor.name.endswith(".weight")
    )

    held = Counter[int]()
    for tensor in write_dialect(marked, ranges, "ort-x86").graph.initializer:
        held[tensor.data_type] += len(tensor.raw_data)

    # One byte a weight and one zero point a channel; floats only for steps.
    assert parameters <= held[TensorProto.INT8] < 1.1 * parameters
    assert held[TensorProto.FLOAT] < 0.2 * parameters


def test_an_unknown_target_is_refused_with_the_known_ones(
    marked: onnx.ModelProto, ranges: Ranges
) -> None:
    with pytest.raises(BadInput, match=r"'coreml'.*tensorrt, ort-x86, ort-arm64"):
        write_dialect(marked, ranges, "coreml")


def test_a_float_graph_is_refused(ranges: Ranges) -> None:
    plain = onnx_from_model(nn.Sequential(nn.Flatten(), nn.Linear(768, 2)), SHAPE)

    with pytest.raises(BadInput, match="no markers"):
        write_dialect(plain, ranges, "tensorrt")


def test_ranges_of_another_network_are_refused(marked: onnx.ModelProto) -> None:
    with pytest.raises(BadInput, match="another network"):
        write_dialect(marked, Ranges(activations={}, weights={}), "tensorrt")
