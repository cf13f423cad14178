"""Curves in TensorBoard, read back with TensorBoard's own reader."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from edgestill.pipeline.events import emit
from edgestill.pipeline.tensorboard import curves

pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")


def test_every_epoch_becomes_a_point_of_each_curve(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        # TensorBoard reads its own protobufs through calls that NumPy and protobuf have deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        with curves(tmp_path):
            for epoch, loss in ((1, 0.5), (2, 0.25)):
                emit("epoch", label="distill", epoch=epoch, epochs=2, loss=loss, lr=0.1,
                     terms={"gkd": loss / 2}, top1=None, images_per_s=10.0)  # fmt: skip
        read = EventAccumulator(str(tmp_path)).Reload()

    assert [(point.step, point.value) for point in read.Scalars("distill/loss")] == [
        (1, 0.5),
        (2, 0.25),
    ]
    assert "distill/gkd" in read.Tags()["scalars"]
    assert "distill/top1" not in read.Tags()["scalars"]
