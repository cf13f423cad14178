"""Damaged exports: each check ends with a verdict, in bounds, and next to none is fooled.

`make fuzz` does thousands, of which a few change weights that no sample of the check brings to
bear; the suite does the first of them, and none of those is fooled.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from .conftest import classifier
from .fuzzing import LIMITS, End, distance, ends, table

SAMPLE = 60
ALL = 2500
APART = 0.05
"""Five times what the contract allows on the 32 samples of the check, on 16 that it never saw."""


@pytest.fixture(scope="module")
def students(finished: Path) -> list[Path]:
    """A trained student's exports: float, and INT8 in three dialects."""
    folder = finished / "runs" / "smoke" / "export"
    names = ("fp32", "tensorrt", "ort-x86", "ort-arm64")
    return [folder / f"model.{name}.onnx" for name in names]


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """torchvision's MobileNetV2 at a quarter of its width, with a free batch axis."""
    import torch
    from torchvision.models import mobilenet_v2

    from edgestill.export.to_onnx import onnx_from_model

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("mobilenet") / "mobilenet.onnx"
    network = mobilenet_v2(width_mult=0.25, num_classes=10).eval()
    onnx.save(onnx_from_model(network, (3, 32, 32)), path)
    return path


def assert_bounded(found: list[End]) -> None:
    for end in found:
        assert end.report is not None or end.says, end
        assert end.seconds < LIMITS.timeout_s, end  # type: ignore[operator]  # it is set
        assert 0 < end.resident_bytes < LIMITS.memory_bytes, end  # type: ignore[operator]
        assert not end.crashed, end


def test_damaged_files_end_in_a_verdict(students: list[Path], tmp_path: Path) -> None:
    found = list(ends(students, range(SAMPLE), tmp_path))

    assert_bounded(found)
    assert {end.kind for end in found} == {"passed", "failed"}
    assert [end for end in found if (end.apart or 0.0) > APART] == []


def test_a_file_that_gives_nan_or_another_shape_is_as_far_as_can_be(tmp_path: Path) -> None:
    original, broken, wide = (tmp_path / f"{name}.onnx" for name in ("original", "broken", "wide"))
    model = classifier()
    onnx.save(model, original)
    values = numpy_helper.to_array(model.graph.initializer[0]).copy()
    values.flat[0] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "kernel"))
    onnx.save(model, broken)
    onnx.save(classifier(classes=1), wide)  # (N, 1), which numpy spreads over (N, 5)

    assert distance(original, original, None) == 0.0
    assert distance(broken, original, None) == math.inf
    assert distance(wide, original, None) == math.inf


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
def test_thousands_of_damaged_files_end_in_a_verdict(
    students: list[Path], mobilenet: Path, tmp_path: Path
) -> None:
    found = list(ends([*students, mobilenet], range(ALL), tmp_path))

    print(table(found))
    assert_bounded(found)
    # A weight that no sample of the check brings to bear is not seen by it; see the table.
    fooled = [end for end in found if (end.apart or 0.0) > APART]
    assert len(fooled) <= ALL // 500, fooled
