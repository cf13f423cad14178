"""The published rows: each has a device, a network whose cost is known, and a source."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgestill.deploy.measured_rows import fitted_rows, measured_rows

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def counting() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "measured_networks", BENCHMARKS / "measured_networks.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look
    spec.loader.exec_module(module)
    return module


def test_every_row_has_a_time_a_source_and_a_precision() -> None:
    for row in measured_rows():
        assert row.ms > 0
        assert row.batch >= 1
        assert "/" in row.source
        assert row.precision in ("fp32", "fp16", "int8")
        assert 0 <= row.work.depthwise_macs < row.work.macs


def test_only_engines_by_themselves_are_fitted() -> None:
    kept = {row.kind for row in fitted_rows()}

    assert {row.kind for row in measured_rows()} - kept == {"through TensorFlow"}


# Published: NVIDIA's and MLPerf's 8.2 GOP, Ultralytics' 8.7 GFLOP, the authors' 128.5 BFLOP and
# EfficientViT's GMACs; two operations are one multiply-accumulate.
@pytest.mark.parametrize(
    ("network", "size", "gmacs"),
    [
        ("resnet50", "224x224", 4.1),
        ("yolov8n", "640x640", 4.35),
        ("yolov4", "608x608", 64.25),
        ("efficientvit-b1", "224x224", 0.52),
        ("efficientvit-b1", "288x288", 0.86),
        ("efficientvit-b3", "224x224", 4.0),
        ("efficientvit-b3", "288x288", 6.5),
    ],
)
def test_costs_are_the_published_ones(network: str, size: str, gmacs: float) -> None:
    works = {row.work for row in measured_rows() if (row.network, row.input_hw) == (network, size)}

    assert len(works) == 1
    # The published figures have two or three digits.
    assert works.pop().macs / 1e9 == pytest.approx(gmacs, rel=0.012)


def test_a_network_counted_anew_has_the_shipped_cost(counting: ModuleType) -> None:
    shipped = {(row.network, row.input_hw): row for row in counting.read(counting.FILE)}
    model = counting._torchvision("squeezenet1_0")

    squeezenet = counting._of_module("squeezenet1_0", "squeezenet", 224, model, "torchvision")
    yolo = counting._of_tally("yolov4", "yolov4", 416, counting.yolov4(416), counting.TKDNN)
    ssd = counting.ssd_mobilenet_v1()

    assert squeezenet == shipped["squeezenet1_0", "224x224"]
    assert yolo == shipped["yolov4", "416x416"]
    assert ssd.macs == shipped["ssd-mobilenet-v1", "300x300"].macs


def test_depthwise_and_transposed_convolutions_are_counted_by_hand() -> None:
    from torch import nn

    from edgestill.pipeline.traced_layers import traced

    model = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 6, 2, stride=2, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
    )

    tally = traced(model, (4, 8, 8)).work

    depthwise, transposed, linear = 4 * 9 * 64, 64 * 4 * 6 * 4, 6 * 5
    assert tally.depthwise_macs == depthwise
    assert tally.macs == depthwise + transposed + linear
    assert tally.layers == 4  # the activation function is fused
    assert tally.activations == 2 * 256 + (256 + 1536) + (1536 + 6) + (6 + 5)
