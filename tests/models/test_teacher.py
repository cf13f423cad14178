"""Teachers of every origin, and the refusals of what cannot teach this data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgestill.models.checkpoints import save_weights
from edgestill.models.errors import BadInput
from edgestill.models.teacher import teacher_from

TINY: dict[str, Any] = {"depth": 10, "width": 0.25}


def wideresnet(num_classes: int = 10, **keywords: Any) -> nn.Module:
    return teacher_from(
        "wideresnet", num_classes=num_classes, image_size=8, options=TINY, **keywords
    )


def refusal(model: str, **keywords: Any) -> str:
    with pytest.raises(BadInput) as refused:
        teacher_from(model, **({"num_classes": 10, "image_size": 8} | keywords))
    message = str(refused.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("model", "package"),
    [("torchvision:resnet18", "torchvision"), ("timm:resnet18", "timm")],
)
def test_teachers_of_other_libraries_get_the_datas_classes(model: str, package: str) -> None:
    pytest.importorskip(package)

    network = teacher_from(model, num_classes=7, image_size=32)

    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert not network.training


def test_a_seed_decides_the_weights() -> None:
    first, again, other = (wideresnet(seed=seed).state_dict() for seed in (1, 1, 2))

    assert torch.equal(first["fc.weight"], again["fc.weight"])
    assert not torch.equal(first["fc.weight"], other["fc.weight"])


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_a_checkpoint_replaces_every_weight(tmp_path: Path, name: str) -> None:
    trained = wideresnet(seed=5)
    if name.endswith(".pt"):
        torch.save({"state_dict": trained.state_dict()}, tmp_path / name)
    else:
        save_weights(tmp_path / name, trained)

    loaded = wideresnet(seed=6, checkpoint=tmp_path / name)

    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded(images), trained(images))


def test_a_checkpoint_of_another_class_count_is_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", wideresnet(num_classes=100))

    said = refusal("wideresnet", options=TINY, checkpoint=tmp_path / "w.safetensors")

    assert "the teacher gives 100 classes, the data has 10" in said
    assert "fc.weight is (100, 16), expected (10, 16)" in said


def test_wrong_shapes_name_the_first_tensors_and_both_shapes(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", wideresnet())

    said = refusal("wideresnet", checkpoint=tmp_path / "w.safetensors")

    assert "not of this network: " not in said
    assert "stage1.0.conv1.conv.weight (4, 16, 3, 3), expected (16, 16, 3, 3)" in said
    assert "more" in said


def test_missing_and_foreign_tensors_are_named(tmp_path: Path) -> None:
    weights = wideresnet().state_dict()
    del weights["fc.bias"]
    save_weights(tmp_path / "w.safetensors", weights | {"head.bias": torch.zeros(1)})

    said = refusal("wideresnet", options=TINY, checkpoint=tmp_path / "w.safetensors")

    assert "missing fc.bias; not of this network: head.bias" in said


def test_weights_that_diverged_are_refused(tmp_path: Path) -> None:
    weights = wideresnet().state_dict()
    weights["fc.bias"][0] = float("nan")
    save_weights(tmp_path / "w.safetensors", weights)

    said = refusal("wideresnet", options=TINY, checkpoint=tmp_path / "w.safetensors")

    assert "NaN or infinity in fc.bias" in said


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("wideresnt", "did you mean wideresnet"),
        ("torchvision:resnet19", "did you mean resnet18"),
        ("timm:resnet1888", "did you mean resnet18"),
        ("torchvison:resnet18", "did you mean torchvision"),
        ("json:dumpz", "did you mean dump or dumps?"),
        ("nothing_like_this:build", "No module named"),
        ("torchvision:", "no classification model ''"),
        (":", "importing '' failed"),
    ],
)
def test_unknown_names_are_answered_with_near_ones(model: str, said: str) -> None:
    assert said in refusal(model)


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("wideresnet", {"dept": 10}, "did you mean depth"),
        ("wideresnet", {"depth": "10"}, "depth: expected a whole number"),
        ("wideresnet", {"width": None}, "width: expected a number"),
        ("wideresnet", {"num_classes": 5}, "is set by the data"),
        ("torchvision:resnet18", {"colour": 5}, "colour"),
    ],
)
def test_options_that_no_builder_takes_are_refused(
    model: str, options: dict[str, Any], said: str
) -> None:
    assert said in refusal(model, options=options)


OWN = """
from torch import nn

class Headed(nn.Module):
    def __init__(self, classes, outputs=1):
        super().__init__()
        self.fc, self.outputs = nn.Linear(192, classes), outputs
    def forward(self, images):
        logits = self.fc(images.flatten(1))
        return logits if self.outputs == 1 else (logits,) * self.outputs

def good(num_classes, gain=1): return Headed(num_classes * gain)
def fixed(): return Headed(1000)
def several(**settings): return Headed(settings["num_classes"], outputs=2)
def no_network(): return "hello"
def broken(): raise RuntimeError("out of luck\\nand more")
"""


def test_a_function_of_the_users_builds_the_teacher(tmp_path: Path) -> None:
    (tmp_path / "own_good_teachers.py").write_text(OWN)

    network = teacher_from(
        "own_good_teachers:good", num_classes=10, image_size=8, options={"gain": 1}, base=tmp_path
    )

    assert network(torch.zeros(3, 3, 8, 8)).shape == (3, 10)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("fixed", "gives 1000 classes, the data has 10"),
        ("several", "found tuple"),
        ("no_network", "expected a torch.nn.Module, found str"),
        ("broken", "cannot be built: RuntimeError: out of luck"),
        ("god", "did you mean good"),
    ],
)
def test_functions_that_build_no_teacher_for_this_data(
    tmp_path: Path, function: str, said: str
) -> None:
    (tmp_path / "own_wrong_teachers.py").write_text(OWN)

    assert said in refusal(f"own_wrong_teachers:{function}", base=tmp_path)


def test_a_teacher_for_another_image_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own_sized_teachers.py").write_text(OWN)

    said = refusal("own_sized_teachers:good", image_size=9, base=tmp_path)

    assert "cannot take 3x9x9 images" in said
