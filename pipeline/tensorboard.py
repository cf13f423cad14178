"""Curves in TensorBoard: every epoch's loss, terms, top-1 and rate, as the run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..models.errors import need
from .events import JSON, listening


@contextmanager
def curves(folder: Path) -> Iterator[None]:
    """Within the block, epochs are written below `folder`, for `tensorboard --logdir`.

    Raises:
        MissingPackage: the extra `tensorboard` is not installed.
    """
    need("tensorboard", "tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter(str(folder))

    def write(kind: str, fields: dict[str, JSON]) -> None:
        if kind != "epoch":
            return
        told: dict[str, Any] = dict(fields)
        label, epoch = told["label"], told["epoch"]
        figures = {name: told[name] for name in ("loss", "top1", "lr", "images_per_s")}
        for name, value in {**figures, **told["terms"]}.items():
            if value is not None:
                writer.add_scalar(f"{label}/{name}", value, epoch)
        writer.flush()

    try:
        with listening(write):
            yield
    finally:
        writer.close()
