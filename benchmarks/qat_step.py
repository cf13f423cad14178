"""A training step with quantization in the loop against a float32 step of the same network.

    python benchmarks/qat_step.py [--rounds 9] [--threads 1] [--batch 64] [--size 32] [--json FILE]

Promise: at most 1.5x the time of float32, as the median over rounds in which every contestant takes
its turn. Float32 is the network as it is trained, BatchNorm and all. torchao's PT2E flow, with its
quantizer for x86 CPUs, runs beside it where it is installed (pip install --no-deps torchao). Both
layouts of the images are timed; each contestant is judged against float32 in its own. Exit code 1
if the promise is broken.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from surroundings import environment
from torch import Tensor, nn

PROMISED = 1.5
FLOAT, OURS, TORCHAO = "float32", "edgestill", "torchao PT2E"
LAYOUTS = {"channels last": torch.channels_last, "as it comes": torch.contiguous_format}
Step = Callable[[], float]


def main() -> int:
    """Time, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=32, help="height and width of the images")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)

    seconds: dict[str, dict[str, list[float]]] = {}
    skipped = ""
    for name, build in {"ResNet-18": resnet18, "MobileNetV2": mobilenet_v2}.items():
        images = torch.randn((wanted.batch, 3, wanted.size, wanted.size))
        steps: dict[str, Step] = {}
        for layout, form in LAYOUTS.items():
            network = calm(build()).to(memory_format=form)
            seen = images.contiguous(memory_format=form)
            steps[f"{FLOAT}, {layout}"] = stepper(copy.deepcopy(network), seen)
            steps[f"{OURS}, {layout}"] = stepper(ours(network, seen), seen)
            try:
                steps[f"{TORCHAO}, {layout}"] = stepper(torchao(network, seen), seen)
            except ImportError as reason:
                skipped = f"{TORCHAO}: skipped, {reason}"
        seconds[name] = in_turn(steps, wanted.rounds)
    ratios = {name: compared(each) for name, each in seconds.items()}
    kept = all(
        statistics.median(each) <= PROMISED
        for network in ratios.values()
        for contestant, each in network.items()
        if contestant.startswith(OURS)
    )
    tell(seconds, ratios)
    if skipped:
        print(skipped)
    if wanted.json:
        told = {"seconds": seconds, "ratios": ratios, "promised": PROMISED, "kept": kept}
        told |= {"threads": wanted.threads, "batch": wanted.batch, "size": wanted.size}
        told |= {"skipped": skipped, **environment()}
        wanted.json.write_text(json.dumps(told, indent=2, default=str) + "\n")
    return 0 if kept else 1


def ours(network: nn.Module, images: Tensor) -> nn.Module:
    """Folded, prepared and calibrated; in training mode."""
    from edgestill.models.fake_quant import calibrate, prepare
    from edgestill.models.fold import fold_batch_norm

    prepared = prepare(fold_batch_norm(network))
    calibrate(prepared, [images])
    return prepared.train()


def torchao(network: nn.Module, images: Tensor) -> nn.Module:
    """Exported, prepared and in training mode, as torchao's tutorial for x86 CPUs does it."""
    warnings.filterwarnings("ignore")
    from torchao.quantization import pt2e
    from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    exported = torch.export.export(copy.deepcopy(network).train(), (images,)).module()
    quantizer = X86InductorQuantizer()
    quantizer.set_global(get_default_x86_inductor_quantization_config(is_qat=True))
    prepared: nn.Module = prepare_qat_pt2e(exported, quantizer)
    pt2e.move_exported_model_to_train(prepared)
    return prepared


def resnet18() -> nn.Module:
    """torchvision's, with a ReLU module for every use: torchao takes no module used twice."""
    from torchvision.models import resnet18 as plain
    from torchvision.models.resnet import BasicBlock

    class Block(BasicBlock):  # type: ignore[misc]  # torchvision has no types
        def __init__(self, *given: object, **named: object) -> None:
            super().__init__(*given, **named)
            self.last = nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            kept = x if self.downsample is None else self.downsample(x)
            y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            joined: Tensor = self.last(y + kept)
            return joined

    network: Any = plain(num_classes=10)
    for layer in (network.layer1, network.layer2, network.layer3, network.layer4):
        for index, old in enumerate(layer):
            block = Block(old.conv1.in_channels, old.conv1.out_channels, old.stride, old.downsample)
            layer[index] = block
    made: nn.Module = network
    return made


def mobilenet_v2() -> nn.Module:
    """torchvision's, without dropout."""
    from torchvision.models import mobilenet_v2 as plain

    network: nn.Module = plain(num_classes=10, dropout=0.0)
    return network


def calm(network: nn.Module) -> nn.Module:
    """`network` after two batches, which set BatchNorm's statistics; in training mode."""
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.randn((32, 3, 32, 32)))
    return network


def stepper(network: nn.Module, images: Tensor) -> Step:
    """A function that makes one training step and gives its seconds."""
    labels = torch.arange(len(images)) % 10
    weights = [each for each in network.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=1e-4, momentum=0.9)

    def step() -> float:
        started = time.perf_counter()
        loss = nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        return time.perf_counter() - started

    return step


def in_turn(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Seconds of every turn after two to warm up; in each round another contestant begins."""
    names = list(steps)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for first in range(rounds + 2):
        for index in range(len(names)):
            name = names[(first + index) % len(names)]
            seconds[name].append(steps[name]())
    return {name: each[2:] for name, each in seconds.items()}


def compared(seconds: dict[str, list[float]]) -> dict[str, list[float]]:
    """Each contestant's seconds over those of float32 in the same layout and round."""
    ratios = {}
    for name, each in seconds.items():
        contestant, layout = name.split(", ")
        if contestant != FLOAT:
            base = seconds[f"{FLOAT}, {layout}"]
            ratios[name] = [own / other for own, other in zip(each, base, strict=True)]
    return ratios


def tell(
    seconds: dict[str, dict[str, list[float]]], ratios: dict[str, dict[str, list[float]]]
) -> None:
    """The table."""
    print(f"{'network':<13}{'step':<28}{'ms':>8}{'to float32':>12}{'min':>7}{'max':>7}")
    for network, rows in seconds.items():
        for name, each in rows.items():
            line = f"{network:<13}{name:<28}{1000 * statistics.median(each):>8.1f}"
            if name in ratios[network]:
                own = ratios[network][name]
                line += f"{statistics.median(own):>12.2f}{min(own):>7.2f}{max(own):>7.2f}"
            print(line)


if __name__ == "__main__":
    sys.exit(main())
