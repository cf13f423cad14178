"""Somebody's own pictures and own teacher, through the real command to a student."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import resnet18

from edgestill.models.checkpoints import save_weights

Edgestill = Callable[..., Any]
SHORT = ["--set", "distill.epochs=1", "--set", "quantize.epochs=0", "--workdir", "work"]
QUICK = ["--set", "profile.on=[{seconds=0.1, warmup_seconds=0.1}]"]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes that differ in brightness, 24 training and 8 test pictures of 40x36 each."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 24), ("test", 8)):
        for name, low in (("dark", 0), ("light", 128)):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(low, low + 127, (36, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.jpg")
    return tmp_path


def with_own(folder: Path, checkpoint: str = "teacher.safetensors") -> list[str]:
    return [
        "run", "imagefolder", "--set", "data.image_size=32", "--set", "data.batch_size=8",
        "--set", f"data.source=imagefolder:{folder / 'photos'}", "--set", "budget.macs=4M",
        "--set", f"teacher.checkpoint={checkpoint}", "--set", "student.shortlist=2",
        "--set", "student.shortlist_epochs=1", *SHORT,
    ]  # fmt: skip


def test_a_torchvision_teacher_with_its_own_weights_teaches_on_ones_own_pictures(
    pictures: Path, edgestill: Edgestill
) -> None:
    save_weights(pictures / "teacher.safetensors", resnet18(num_classes=2))

    done = edgestill(*with_own(pictures), *QUICK, cwd=pictures)

    summary = json.loads((pictures / "work/runs/my-network/summary.json").read_text())
    blocks = json.loads((pictures / "work/runs/my-network/teacher/teacher.json").read_text())
    assert done.returncode in (0, 1), done.stderr  # an untrained teacher may fail the check
    assert "Traceback" not in done.stderr
    assert "## Why this student" in (pictures / "work/runs/my-network/report.md").read_text()
    assert summary["cost_teacher"]["params"] == sum(
        each.numel() for each in resnet18(num_classes=2).parameters()
    )
    assert len(blocks["blocks"]) == 3


@pytest.mark.parametrize(
    ("save", "said"),
    [
        (
            lambda path: save_weights(path, resnet18(num_classes=10)),
            "the teacher gives 10 classes, the data has 2",
        ),
        (lambda path: torch.save(resnet18(num_classes=2), path), "holds pickled Python objects"),
        (lambda path: path.write_bytes(b"not weights"), "teacher.pt"),
        (lambda path: None, "teacher.pt: cannot be read (No such file or directory)"),
    ],
    ids=["wrong classes", "a pickled module", "garbage", "absent"],
)
def test_weights_that_do_not_fit_are_refused_in_one_line(
    pictures: Path, edgestill: Edgestill, save: Callable[[Path], object], said: str
) -> None:
    name = "teacher.safetensors" if "classes" in said else "teacher.pt"
    save(pictures / name)

    done = edgestill(*with_own(pictures, name), cwd=pictures)

    assert done.returncode == 2, done.stderr
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_function_of_ones_own_may_be_the_teacher_and_the_data(
    tmp_path: Path, edgestill: Edgestill
) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "from torch import nn\n"
        "def data(split):\n"
        "    draw = np.random.default_rng(len(split))\n"
        "    labels = np.arange(64) % 2\n"
        "    low = labels[:, None, None, None] * 128\n"
        "    return (low + draw.integers(0, 127, (64, 16, 16, 3))).astype(np.uint8), labels\n"
        "def net(num_classes):\n"
        "    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 2),\n"
        "        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes))\n"
    )

    recipe = tmp_path / "own.toml"
    recipe.write_text(
        'name = "own"\n[data]\nsource = "mine:data"\nimage_size = 16\nbatch_size = 16\n'
        '[teacher]\nmodel = "mine:net"\nblocks = ["1", "3", "4"]\nepochs = 2\n'
        '[budget]\nmacs = "900k"\n[student]\nshortlist = 1\n[check]\ntop1_drop = 1.0\n'
        "[[profile.on]]\nseconds = 0.2\nwarmup_seconds = 0.1\n"
    )
    done = edgestill("run", "own.toml", *SHORT, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "work/runs/own/report.html").exists()

    source = (tmp_path / "mine.py").read_text()
    (tmp_path / "mine.py").write_text(source.replace("nn.ReLU", "nn.Tanh"))
    again = edgestill("run", "own.toml", *SHORT, "--until", "distill", cwd=tmp_path)

    assert re.findall(r"^(\w+) +(run|reuse) ", again.stderr, re.M) == [
        ("search", "run"),  # the data are a function of the same module
        ("teacher", "run"),
        ("shortlist", "run"),
        ("distill", "run"),
    ]


def test_a_timm_teacher_teaches(tmp_path: Path, edgestill: Edgestill) -> None:
    pytest.importorskip("timm", reason="the extra `timm` is not installed")
    recipe = tmp_path / "timm.toml"
    recipe.write_text(
        'name = "timm"\n[data]\nsource = "digits"\nbatch_size = 64\ntrain_limit = 300\n'
        '[teacher]\nmodel = "timm:resnet10t"\nepochs = 1\n'
        '[budget]\nmacs = "3M"\n[student]\nshortlist = 1\n[distill]\nepochs = 1\n'
    )

    done = edgestill("run", "timm.toml", "--until", "distill", "--workdir", "work", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "distill    done" in done.stderr


@pytest.mark.parametrize("table", ["teacher", "student"])
def test_blocks_that_lead_nowhere_are_refused_before_anything_is_trained(
    tmp_path: Path, edgestill: Edgestill, table: str
) -> None:
    done = edgestill("run", "smoke", "--set", f"{table}.blocks=['stage1', 'stage9', 'pool']",
                     "--workdir", "work", cwd=tmp_path)  # fmt: skip

    assert done.returncode == 2
    assert "no module 'stage9'" in done.stderr.splitlines()[-1]
    assert "epoch 1/" not in done.stderr
