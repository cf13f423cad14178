"""The two students whose accuracy in 8 bits is measured, trained once and kept.

A WRN and a MobileNetV2-style network learn CIFAR-10 at 32x32 side by side from one teacher, with
the shipped default losses; the last epoch counts.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from side_by_side import tell, train_side_by_side

from edgestill.models.wideresnet import WideResNet
from edgestill.pipeline.recipe import DataSettings, Distill, Training

if TYPE_CHECKING:
    from torch import nn

    from edgestill.pipeline.data import Data

DATA = {"image_size": 32, "train_limit": 20_000, "validation": 0.1}
TRAINING: dict[str, Any] = {
    "lr": 0.2,
    "schedule": "cosine",
    "warmup_epochs": 2.0,
    "precision": "float32",
}
TEACHER = WideResNet.scaled(depth=16, width=1.0)
TEACHER_EPOCHS, EPOCHS = 15, 12
WRN = WideResNet.scaled(depth=16, width=0.5)


def build_students(seed: int) -> dict[str, nn.Module]:
    """Both networks with the weights that `seed` gives, by name."""
    import torch

    from edgestill.models.student import build

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {"wrn16-0.5": build(WRN, seed=seed), "mobilenetv2-0.5": mobilenet_v2()}


def mobilenet_v2() -> nn.Module:
    """torchvision's MobileNetV2 at half width, with the strides that 32x32 images want."""
    from torchvision.models import MobileNetV2

    blocks = [[1, 16, 1, 2], [6, 24, 2, 1], [6, 32, 2, 2], [6, 64, 2, 2], [6, 96, 1, 1]]
    network: nn.Module = MobileNetV2(
        num_classes=10, width_mult=0.5, inverted_residual_setting=blocks, dropout=0.0
    )
    network.get_submodule("features.0.0").stride = (1, 1)  # type: ignore[assignment]  # as above
    network.blocks = ("features.3", "features.5", "features.8")  # type: ignore[assignment]
    return network


def trained_teacher(data: Data, work: Path) -> nn.Module:
    """The teacher of all students; trained if `work` has none."""
    from edgestill.models.checkpoints import load_weights, save_weights
    from edgestill.models.student import build
    from edgestill.pipeline.events import listening
    from edgestill.pipeline.fit import fit
    from edgestill.pipeline.training import cross_entropy

    teacher, kept = build(TEACHER, seed=0).to(data.device), work / "teacher.safetensors"
    if kept.exists():
        teacher.load_state_dict(load_weights(kept))
        return teacher.eval()
    work.mkdir(parents=True, exist_ok=True)
    with listening(tell):
        fit(
            teacher,
            data.train.seeded(0),
            cross_entropy(teacher),
            Training(epochs=TEACHER_EPOCHS, **TRAINING),
            state=work / "teacher.fit.safetensors",
            seed=0,
            device=data.device,
            label="teacher",
        )
    save_weights(kept, teacher)
    return teacher


def trained_students(data: Data, work: Path, seed: int) -> dict[str, nn.Module]:
    """The float students of `seed`; trained if `work` has none."""

    from edgestill.models.checkpoints import load_weights, save_weights

    folder = work / f"seed-{seed}"
    students = {name: net.to(data.device) for name, net in build_students(seed).items()}
    if not all((folder / f"{name}.safetensors").exists() for name in students):
        folder.mkdir(parents=True, exist_ok=True)
        train_side_by_side(
            students,
            dict.fromkeys(students, Distill().losses),
            trained_teacher(data, work),
            data,
            Training(epochs=EPOCHS, **TRAINING),
            state=folder / "fit.safetensors",
            seed=seed,
        )
        for name, net in students.items():
            save_weights(folder / f"{name}.safetensors", net)
    for name, net in students.items():
        net.load_state_dict(load_weights(folder / f"{name}.safetensors"))
    return {name: net.eval() for name, net in students.items()}


def open_images(source: str) -> Data:
    """The images that both were trained on."""
    from edgestill.pipeline.data import open_data
    from edgestill.pipeline.device import torch_device

    settings = DataSettings.model_validate({"source": source, **DATA})
    return open_data(settings, device=torch_device("auto"), base=Path())


def work_of(work: Path, source: str) -> Path:
    """Where all that belongs to these settings lies."""
    told = json.dumps([repr(TEACHER), repr(WRN), DATA, TRAINING, TEACHER_EPOCHS, EPOCHS, source])
    return work / sha256(told.encode()).hexdigest()[:8]
