"""A real student's INT8 files on emulated arm64 processors: `make test-arm64`.

It downloads what the machine is made of, once, so it is no part of `make test`.
"""

from __future__ import annotations

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
from edgestill.pipeline.emulating import arm64_cache
from edgestill.pipeline.evaluate import as_arrays
from edgestill.pipeline.recipe_file import load_recipe

Images = NDArray[np.float32]
Labels = NDArray[np.int64]
TARGETS = ("ort-x86", "ort-arm64")

pytestmark = [pytest.mark.arm64, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def files() -> Arm64Root:
    """The machine in the user's cache, as `edgestill check --emulate arm64` keeps it."""
    try:
        return arm64_root(arm64_cache(), onnxruntime.__version__)
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


def on_arm64(model: Path, images: Images, files: Arm64Root, cpu: str) -> Images:
    """Logits (N, K) of ONNX Runtime on the emulated processor."""
    takes = signature(open_session(model))
    return Arm64(files=files, cpu=cpu).infer(model, images, takes=takes, classes=10)


# cortex-a76 has the dot product (udot and sdot are among the instructions that qemu translates),
# cortex-a53 has not (sadalp and smlal instead), cortex-a710 has 8-bit matrix products.
@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a76", "cortex-a710"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_students_int8_logits_are_x86s_to_the_bit(
    target: str, cpu: str, finished: Path, held_out: tuple[Images, Labels], files: Arm64Root
) -> None:
    model = finished / f"runs/smoke/export/model.{target}.onnx"
    images, _ = held_out

    found = on_arm64(model, images, files, cpu)

    # Integer sums are exact. A float32 addition near half a code could fall to the other side in
    # QLinearAdd; among this student's three Adds, none of the 359 images has such a sum.
    assert len(images) >= 100
    assert np.array_equal(found, on_x86(model, images, qdqisint8allowed="1"))


@pytest.mark.parametrize("target", TARGETS)
def test_a_student_is_as_accurate_as_x86_says_it_is(
    target: str, finished: Path, held_out: tuple[Images, Labels], files: Arm64Root
) -> None:
    model = finished / f"runs/smoke/export/model.{target}.onnx"
    images, labels = held_out

    named = on_arm64(model, images, files, "cortex-a76").argmax(axis=1)

    # x86-64's defaults: there some operations of the int8 dialect run in float.
    assert (named == on_x86(model, images).argmax(axis=1)).mean() >= 0.995
    assert (named == labels).mean() > 0.95


def test_the_float_student_differs_by_rounding_alone(
    finished: Path, held_out: tuple[Images, Labels], files: Arm64Root
) -> None:
    model = finished / "runs/smoke/export/model.fp32.onnx"
    images, _ = held_out

    found, expected = on_arm64(model, images, files, "cortex-a76"), on_x86(model, images)

    # float32 sums of at most 288 products in another order; 2.1e-7 of the largest logit seen.
    assert np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize("target", TARGETS)
def test_the_check_says_so(
    target: str, finished: Path, held_out: tuple[Images, Labels], files: Arm64Root
) -> None:
    images, labels = held_out

    report = check_model(
        finished / f"runs/smoke/export/model.{target}.onnx",
        contract=Contract(arm64_tolerance=0),
        target=target,
        images=images[:100],
        labels=labels[:100],
        arm64=Arm64(files=files),
    )

    assert report.ok, report.verdict
    assert report.line("arm64.agrees").figures["differing_rows"] == 0
    assert report.line("arm64.agrees").figures["rows"] == 100
