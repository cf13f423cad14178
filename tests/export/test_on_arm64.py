"""A real student's INT8 files on emulated arm64 processors: `make test-arm64`.

It downloads what the machine is made of, once, so it is no part of `make test`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from edgestill.export.arm64 import Arm64
from edgestill.export.arm64_root import Arm64Root, arm64_root
from edgestill.export.check import check_model
from edgestill.export.contract import Contract
from edgestill.export.runtime import open_session, signature
from edgestill.models.errors import MissingPackage
from edgestill.pipeline.data import open_data
from edgestill.pipeline.evaluate import as_arrays
from edgestill.pipeline.recipe_file import load_recipe

Images = NDArray[np.float32]
Labels = NDArray[np.int64]
TARGETS = ("ort-x86", "ort-arm64")

pytestmark = [pytest.mark.arm64, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def files(users_cache: Path) -> Arm64Root:
    """The machine in the user's cache, as `edgestill check --emulate arm64` keeps it."""
    try:
        return arm64_root(users_cache / "edgestill" / "arm64", onnxruntime.__version__)
    except MissingPackage as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def held_out() -> tuple[Images, Labels]:
    """The 359 test images of the smoke recipe's digits, normalised, and their labels."""
    recipe = load_recipe("smoke", [])
    return as_arrays(open_data(recipe.data, device=torch.device("cpu"), base=Path()).test)


def on_x86(model: Path, images: Images, **settings: str) -> Images:
    """Logits (N, K) of ONNX Runtime here, one image at a time."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for name, value in settings.items():
        options.add_session_config_entry(f"session.{name}", value)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    return np.concatenate([session.run(None, {image.name: each[None]})[0] for each in images])


@pytest.fixture(scope="module")
def on_arm64(
    finished: Path, held_out: tuple[Images, Labels], files: Arm64Root
) -> Callable[[str, str], Images]:
    """Logits (N, K) of one of the student's files on an emulated processor; each is run once."""

    @cache
    def run(name: str, cpu: str) -> Images:
        model = finished / f"runs/smoke/export/model.{name}.onnx"
        takes = signature(open_session(model))
        return Arm64(files=files, cpu=cpu).infer(model, held_out[0], takes=takes, classes=10)

    return run


# cortex-a76 has the dot product (udot and sdot are among the instructions that qemu translates),
# cortex-a53 has not (sadalp and smlal instead), cortex-a710 has 8-bit matrix products.
@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a76", "cortex-a710"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_students_int8_logits_are_x86s(
    target: str,
    cpu: str,
    finished: Path,
    held_out: tuple[Images, Labels],
    on_arm64: Callable[[str, str], Images],
) -> None:
    images, labels = held_out
    model = finished / f"runs/smoke/export/model.{target}.onnx"

    found = on_arm64(target, cpu)

    # With one graph for both, integer sums are exact; only QLinearAdd adds in float32, where a sum
    # within its rounding of half a code may fall to either side. Of the student trained here no
    # row differs; another machine trains another one, which may meet such a sum in a few rows.
    expected = on_x86(model, images, qdqisint8allowed="1")
    assert len(images) >= 100
    assert (found == expected).all(axis=1).mean() >= 0.95
    assert np.abs(found - expected).max() <= 0.01 * np.abs(expected).max()
    # With x86-64's defaults some operations of the int8 dialect run in float there.
    assert (found.argmax(axis=1) == on_x86(model, images).argmax(axis=1)).mean() >= 0.995
    assert (found.argmax(axis=1) == labels).mean() > 0.95


@pytest.mark.parametrize("target", TARGETS)
def test_the_kind_of_processor_does_not_change_the_logits(
    target: str, on_arm64: Callable[[str, str], Images]
) -> None:
    plain, dot, matrix = (on_arm64(target, f"cortex-{cpu}") for cpu in ("a53", "a76", "a710"))

    # Other integer kernels, the same float32 additions: not one bit may differ.
    assert np.array_equal(dot, plain)
    assert np.array_equal(matrix, plain)


def test_the_float_student_differs_by_rounding_alone(
    finished: Path, held_out: tuple[Images, Labels], on_arm64: Callable[[str, str], Images]
) -> None:
    model = finished / "runs/smoke/export/model.fp32.onnx"

    found, expected = on_arm64("fp32", "cortex-a76"), on_x86(model, held_out[0])

    # float32 sums of at most 288 products in another order; 2.1e-7 of the largest logit seen.
    assert np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max()


def test_the_check_says_so(
    finished: Path, held_out: tuple[Images, Labels], files: Arm64Root
) -> None:
    images, labels = held_out

    report = check_model(
        finished / "runs/smoke/export/model.ort-arm64.onnx",
        contract=Contract(),
        target="ort-arm64",
        samples=images[:100],
        labels=labels[:100],
        arm64=Arm64(files=files),
    )

    assert report.ok, report.verdict
    assert report.line("arm64.agrees").figures["rows"] == 100
