"""Contestants take turns: each is a process that steps when told to, and says how long it took.

Started with a Task as JSON in its only argument, a contestant warms up and answers once; from then
on it makes `steps` training steps for every line that it reads, and answers with their seconds.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn

WARM_UP_STEPS = 3


@dataclass(frozen=True, kw_only=True)
class Task:
    """What all contestants are given."""

    source: str
    """The training images as the [data].source of a recipe."""
    images: str
    """The same images in a .npz: images uint8 (N, 32, 32, 3) and labels (N,)."""
    steps: int
    """Steps of one turn."""
    losses: str = "gkd + kd"
    """gkd + kd: with the weights of the recipe cifar10; rkd: distances and angles."""
    precision: str = "float32"
    """As in a recipe; for our own loop alone."""
    batch_size: int = 128
    threads: int = 2
    workers: int = 0
    """Processes of a DataLoader, beside the threads."""
    device: str = "cpu"


def given() -> Task:
    """The task of this process, its threads set."""
    import torch

    sys.stdout = sys.stderr  # what a library prints is no answer
    task = Task(**json.loads(sys.argv[1]))
    torch.set_num_threads(task.threads)
    torch.manual_seed(0)
    return task


def networks() -> tuple[nn.Module, nn.Module]:
    """WRN28-1, in eval mode, and WRN28-0.5: untrained, but the teacher's BatchNorms know images."""
    import torch

    from edgestill.models.wideresnet import WideResNet

    torch.manual_seed(0)
    teacher, student = (WideResNet.scaled(depth=28, width=width).network() for width in (1.0, 0.5))
    with torch.no_grad():
        for _ in range(20):
            teacher(torch.randn(32, 3, 32, 32))
    return teacher.eval(), student


def take(step: Callable[[], None], task: Task) -> None:
    """Make turns of single steps until nobody asks any more."""
    for _ in range(WARM_UP_STEPS):
        step()
    answer_ready()
    while asked():
        synchronize(task.device)
        began = perf_counter()
        for _ in range(task.steps):
            step()
        synchronize(task.device)
        answer({"seconds": perf_counter() - began})


def synchronize(device: str | torch.device) -> None:
    """Wait for the device; a CPU never lags behind."""
    import torch

    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def asked() -> bool:
    """Wait for the next turn; False if there is none."""
    return bool(sys.stdin.readline())


def answer_ready(precision: str = "float32") -> None:
    """Warm by now, and computing in `precision`."""
    import torch

    told = {"torch": torch.__version__, "threads": torch.get_num_threads(), "precision": precision}
    answer(told)


def answer(told: dict[str, Any]) -> None:
    """One line of JSON to who started this process."""
    print(json.dumps(told), file=sys.__stdout__, flush=True)
