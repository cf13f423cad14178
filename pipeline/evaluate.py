"""Top-1: the share of images whose largest logit is the label's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .processes import ONE, Processes

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import nn

    from .batches import Batches


def top1(model: nn.Module, images: Batches, processes: Processes = ONE) -> float:
    """Top-1 of `model` on un-augmented images, in [0, 1]; the model's mode is left as it was.

    Each of several processes looks at a part, and all get the figure of the whole.
    """
    import torch

    was_training = model.training
    model.eval()
    right = torch.zeros((), dtype=torch.int64, device=images.device)
    with torch.inference_mode():
        for batch, labels in images.plain().shared(processes):
            right += (model(batch).argmax(dim=1) == labels).sum()
    model.train(was_training)
    return int(processes.total(right)) / len(images.labels)


def top1_onnx(model: Path, images: Batches, target: str | None = None) -> float:
    """Top-1 of an ONNX file, written for `target`, in ONNX Runtime, batch by batch, in [0, 1]."""
    from ..export.runtime import infer, open_session

    session = open_session(model, target=target)
    right = count = 0
    for batch, labels in images.plain():
        found = infer(session, batch.cpu().numpy()).argmax(axis=1)
        right += int((found == labels.cpu().numpy()).sum())
        count += len(labels)
    return right / count


def as_arrays(images: Batches) -> tuple[np.ndarray, np.ndarray]:
    """All images, normalised, (N, 3, H, W) float32, and their labels (N,), for a runtime."""
    import numpy as np

    pairs = [(batch.cpu().numpy(), labels.cpu().numpy()) for batch, labels in images.plain()]
    return np.concatenate([pair[0] for pair in pairs]), np.concatenate([pair[1] for pair in pairs])
