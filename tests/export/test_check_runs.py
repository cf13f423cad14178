"""Runs: free image sizes and fixed batches, beyond the table of broken models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edgestill.export.check import check_model
from edgestill.export.contract import Contract

Write = Callable[..., Path]
Images = NDArray[np.float32]


def test_a_free_image_size_needs_images(write_classifier: Write, images: Images) -> None:
    free = write_classifier("free", size="S")

    without = check_model(free, contract=Contract())
    with_images = check_model(free, contract=Contract(), images=images)

    assert without.line("runs").verdict == "skipped"
    assert with_images.ok


def test_a_fixed_batch_above_one_still_shows_rows_that_depend(
    rows_depend: Path, write_classifier: Write
) -> None:
    model = onnx.load(rows_depend)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, rows_depend)

    broken = check_model(rows_depend, contract=Contract())
    sound = check_model(write_classifier("sound", batch=4), contract=Contract())

    assert broken.line("batch_invariant").verdict == "fail"
    assert sound.line("batch_invariant").verdict == "pass"
