"""INT8 files of a network that no run made: what is asked for is checked, done and told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from edgestill.models.errors import BadInput
from edgestill.pipeline.export_int8 import RangesFrom, how_ranges_come

Edgestill = Callable[..., Any]


@pytest.mark.parametrize(
    ("images", "method", "keep_float", "message"),
    [
        (None, "mse", (), "give images with --calibrate"),
        ("digits", "entropy", (), "--calibration entropy: expected one of mse, percentile, minmax"),
        ("digits", "mse", ("auto", "head"), "give auto or names, not both"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    images: str | None, method: str, keep_float: tuple[str, ...], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        how_ranges_come(images, method, keep_float)


def test_auto_and_names_are_told_apart() -> None:
    auto = how_ranges_come("digits", "minmax", ("auto",))
    named = how_ranges_come("digits", "minmax", ("a", "b"))

    assert auto == RangesFrom(images="digits", method="minmax", keep_float="auto")
    assert named == RangesFrom(images="digits", method="minmax", keep_float=("a", "b"))


@pytest.mark.parametrize("kept", ["fc", "auto"])
def test_layers_stay_float_on_demand(
    edgestill: Edgestill, finished: Path, tmp_path: Path, kept: str
) -> None:
    shutil.copy(finished / "runs/smoke/distill/student.safetensors", tmp_path / "mine.safetensors")

    done = edgestill("export", "mine.safetensors", "--out", "o", "--calibrate", "digits",
                     "--keep-float", kept, "--calibration", "minmax", "--target", "ort-x86",
                     "--json", cwd=tmp_path)  # fmt: skip

    assert done.returncode == 0, done.stderr
    model = onnx.load(tmp_path / json.loads(done.stdout)["files"]["ort-x86"])
    codes = {
        each.name for each in model.graph.initializer if each.data_type == onnx.TensorProto.INT8
    }
    if kept == "auto":
        assert "alone changes the class of" in done.stderr
    else:
        assert not any(name.startswith("fc") for name in codes)
    assert codes
