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


def test_a_free_image_size_is_the_contracts_or_guessed_and_told(
    write_classifier: Write, images: Images
) -> None:
    free = write_classifier("free", size="S")

    guessed = check_model(free, contract=Contract())
    told = check_model(free, contract=Contract(sizes={"S": 8}))
    given = check_model(free, contract=Contract(), samples=images)

    assert guessed.ok and told.ok and given.ok
    assert guessed.inputs.endswith("seeded noise of a guessed size, images (3, 224, 224)")
    assert told.inputs == "no samples given: 32 rows of seeded noise"
    assert given.inputs == f"{len(images)} samples"


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
