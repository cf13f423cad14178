"""What the networks of the published latency rows cost: deploy/measured_networks.csv.

    python benchmarks/measured_networks.py [--write]

Counts each network once, those of torchvision and timm on tensors without memory. MobileNetV1, its
SSD and YOLOv4 are described here layer by layer, after the configurations that were measured.
YOLOv8 and YOLO11 are counted where the package ultralytics (8.3.133) can be imported, and their
rows are kept as they stand where it cannot. Exit code 1 if the file differs from what was counted.

Counted of one image: multiply-accumulates of convolutions and matrix products, those of depthwise
convolutions apart; parameters; elements that layers read and write besides their weights; layers.
A layer is what TensorRT runs by itself: a convolution, matrix product, pooling, softmax or change
of size. Batch norm, activation functions and residual sums are taken as fused into one of them.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgestill.pipeline.traced_layers import traced

FILE = Path(__file__).parents[1] / "deploy/measured_networks.csv"
ULTRALYTICS = "ultralytics 8.3.133"
TKDNN = "yolov4.cfg of ceccocats/tkDNN 0292e21"
SSD = "layers of ssd_mobilenet_v1_coco (TensorFlow's object detection API)"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One network at one size."""

    network: str
    family: str
    input_hw: str
    macs: int
    depthwise_macs: int
    params: int
    activations: int
    """Elements that layers read and write, weights apart."""
    layers: int
    source: str


@dataclass
class Tally:
    """What has been counted so far."""

    macs: int = 0
    depthwise_macs: int = 0
    params: int = 0
    activations: int = 0
    layers: int = 0

    def layer(self, elements: int, macs: int = 0, *, depthwise: bool = False) -> None:
        """One layer more."""
        self.layers += 1
        self.macs += macs
        self.depthwise_macs += macs if depthwise else 0
        self.activations += elements

    def conv(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        side: int,
        stride: int = 1,
        *,
        depthwise: bool = False,
    ) -> int:
        """A convolution with batch norm over side x side pixels; the side that it writes."""
        wrote = -(-side // stride)
        weights = kernel * kernel * channels_out * (1 if depthwise else channels_in)
        self.params += weights + 2 * channels_out
        elements = channels_in * side * side + channels_out * wrote * wrote
        self.layer(elements, weights * wrote * wrote, depthwise=depthwise)
        return wrote


def main() -> int:
    """Print the table, and compare it with the file or write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    stood = read(FILE) if FILE.exists() else []
    rows = list(counted(stood))
    for row in rows:
        print(
            f"{row.network:18} {row.input_hw:>9} {row.macs / 1e9:8.3f} G"
            f" {row.params / 1e6:7.2f} M {row.activations / 1e6:7.1f} M {row.layers:4}"
        )
    if options.write:
        with FILE.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, [each.name for each in fields(Row)])
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)
        return 0
    return 0 if rows == stood else 1


def read(path: Path) -> list[Row]:
    """The rows of a file."""
    with path.open(newline="") as stream:
        return [
            Row(**{name: int(text) if text.isdecimal() else text for name, text in row.items()})  # type: ignore[arg-type]
            for row in csv.DictReader(stream)
        ]


def counted(stood: list[Row]) -> Iterator[Row]:
    """Every network's row; `stood`: what to keep where a package is missing."""
    for name, family, size in TORCHVISION:
        yield _of_module(name, family, size, _torchvision(name), "torchvision")
    for name, called, family, size in TIMM:
        yield _of_module(called, family, size, _timm(name), f"timm {name}")
    for width, side in ((0.25, 128), (0.5, 160)):
        tally = Tally()
        mobilenet_v1(tally, width, side)
        yield _of_tally(f"mobilenet_v1_{width:g}", "mobilenet", side, tally, "MobileNetV1")
    yield _of_tally("ssd-mobilenet-v1", "mobilenet", 300, ssd_mobilenet_v1(), SSD)
    for side in (320, 416, 512, 608):
        yield _of_tally("yolov4", "yolov4", side, yolov4(side), TKDNN)
    if importlib.util.find_spec("ultralytics") is None:
        yield from (row for row in stood if row.source == ULTRALYTICS)
        return
    for name in ("yolov8n", "yolo11n", "yolo11s", "yolo11l", "yolo11x"):
        yield _of_module(name, name[:6], 640, _ultralytics(name), ULTRALYTICS)


TORCHVISION = (
    *((name, "resnet", 224) for name in ("resnet18", "resnet34", "resnet50")),
    *((name, "resnet", 224) for name in ("resnet101", "resnet152")),
    ("alexnet", "alexnet", 224),
    ("squeezenet1_0", "squeezenet", 224),
    *((name, "densenet", 224) for name in ("densenet121", "densenet169")),
    *((name, "vgg", 224) for name in ("vgg11", "vgg19")),
    *((name, "mnasnet", 224) for name in ("mnasnet0_5", "mnasnet1_0")),
    ("googlenet", "inception", 224),
    ("inception_v3", "inception", 299),
)
TIMM = (
    ("inception_v4", "inception_v4", "inception", 299),
    *(("efficientvit_b1", "efficientvit-b1", "efficientvit", side) for side in (224, 256, 288)),
    *(("efficientvit_b3", "efficientvit-b3", "efficientvit", side) for side in (224, 256, 288)),
)


def mobilenet_v1(tally: Tally, width: float, side: int, *, classes: int = 1000) -> int:
    """MobileNetV1 (Howard et al. 2017, table 1), pool and classifier if `classes`; its last side.

    Only the convolutions where `classes` is 0.
    """
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
    channels = int(32 * width)
    side = tally.conv(3, channels, 3, side, 2)
    for out, stride in [*plan, (1024, 2), (1024, 1)]:
        side = tally.conv(channels, channels, 3, side, stride, depthwise=True)
        side = tally.conv(channels, int(out * width), 1, side)
        channels = int(out * width)
    if classes:
        tally.layer(channels * (side * side + 1))
        tally.conv(channels, classes, 1, 1)
    return side


def ssd_mobilenet_v1() -> Tally:
    """The network at 300x300 with 91 classes, without the choice among its boxes."""
    tally = Tally()
    side = mobilenet_v1(tally, 1.0, 300, classes=0)
    heads = [(512, 2 * side - 1, 3), (1024, side, 6)]  # channels, side, boxes of each place
    channels = 1024
    for middle, out in ((256, 512), (128, 256), (128, 256), (64, 128)):
        tally.conv(channels, middle, 1, side)
        side = tally.conv(middle, out, 3, side, 2)
        channels = out
        heads.append((out, side, 6))
    for channels, side, boxes in heads:
        tally.conv(channels, 4 * boxes, 1, side)
        tally.conv(channels, 91 * boxes, 1, side)
    return tally


def yolov4(side: int) -> Tally:
    """YOLOv4 with 80 classes (Bochkovskiy et al. 2020): CSPDarknet53, pyramid pooling, PANet."""
    tally = Tally()
    conv = tally.conv
    conv(3, 32, 3, side)
    sides = {}
    for out, repeats in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        half = out if out == 64 else out // 2
        side = sides[out] = conv(out // 2, out, 3, side, 2)
        conv(out, half, 1, side)
        conv(out, half, 1, side)
        for _ in range(repeats):
            conv(half, out // 2, 1, side)
            conv(out // 2, half, 3, side)
        conv(half, half, 1, side)
        conv(2 * half, out, 1, side)
    large, middle, small = sides[256], sides[512], sides[1024]
    _alternating(tally, 1024, 512, 3, small)
    for _ in range(3):
        tally.layer(2 * 512 * small * small)  # the poolings of 5, 9 and 13 pixels
    _alternating(tally, 2048, 512, 3, small)
    for channels, before, now in ((512, small, middle), (256, middle, large)):
        conv(channels, channels // 2, 1, before)
        tally.layer(channels // 2 * (before * before + now * now))  # twice the size
        conv(channels, channels // 2, 1, now)
        _alternating(tally, channels, channels // 2, 5, now)
    for channels, now in ((128, large), (256, middle), (512, small)):
        if channels > 128:
            conv(channels // 2, channels, 3, 2 * now, 2)
            _alternating(tally, 2 * channels, channels, 5, now)
        conv(channels, 2 * channels, 3, now)
        conv(2 * channels, 255, 1, now)
    return tally


def _alternating(tally: Tally, channels_in: int, narrow: int, count: int, side: int) -> None:
    """`count` convolutions, 1x1 to `narrow` channels and 3x3 to twice as many in turn."""
    for index in range(count):
        if index % 2 == 0:
            tally.conv(channels_in, narrow, 1, side)
        else:
            tally.conv(narrow, 2 * narrow, 3, side)
            channels_in = 2 * narrow


def _of_module(network: str, family: str, side: int, build: Callable[[], Any], source: str) -> Row:
    model: nn.Module = build().eval()
    with torch.device(next(model.parameters()).device):
        work = traced(model, (3, side, side)).work
    return _of_tally(network, family, side, Tally(**asdict(work)), source)


def _of_tally(network: str, family: str, side: int, tally: Tally, source: str) -> Row:
    return Row(
        network=network, family=family, input_hw=f"{side}x{side}", source=source, **asdict(tally)
    )


def _torchvision(name: str) -> Callable[[], Any]:
    import torchvision

    more = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return lambda: _without_memory(torchvision.models.get_model, name, weights=None, **more)


def _timm(name: str) -> Callable[[], Any]:
    import timm

    return lambda: _without_memory(timm.create_model, name, pretrained=False)


def _without_memory(build: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with torch.device("meta"):
        return build(*args, **kwargs)


def _ultralytics(name: str) -> Callable[[], Any]:
    tasks = importlib.import_module("ultralytics.nn.tasks")
    return lambda: tasks.DetectionModel(f"{name}.yaml", verbose=False)


if __name__ == "__main__":
    sys.exit(main())
