"""`edgestill check` as a user meets it: contracts, data, several files, one line for a mistake."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgestill.export.ports import run_samples
from edgestill.export.recorded import record
from edgestill.export.runtime import open_session
from edgestill.pipeline.check_data import images_for

Edgestill = Callable[..., Any]


@pytest.fixture(scope="module")
def exported(finished: Path) -> Path:
    """The folder of ONNX files of a finished run."""
    return finished / "runs/smoke/export"


@pytest.fixture
def faulty(exported: Path, tmp_path: Path) -> Path:
    """The float file with its last bias gone wrong."""
    model = onnx.load(exported / "model.fp32.onnx")
    last = next(node for node in reversed(model.graph.node) if node.op_type == "Gemm")
    (bias,) = (each for each in model.graph.initializer if each.name == last.input[2])
    values = onnx.numpy_helper.to_array(bias)[::-1].copy()
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    path = tmp_path / "faulty.onnx"
    onnx.save(model, path)
    return path


def test_a_contract_of_the_good_file_passes_it_and_fails_the_faulty_one(
    edgestill: Edgestill, exported: Path, faulty: Path, tmp_path: Path
) -> None:
    model = exported / "model.fp32.onnx"

    made = edgestill("check", "--init", model, "--contract", "ci/good.toml", cwd=tmp_path)
    told = tomllib.loads((tmp_path / "ci/good.toml").read_text())["check"]
    alone = edgestill("check", "--contract", "ci/good.toml", cwd=tmp_path)
    both = edgestill(
        "check", model, faulty, "--contract", "ci/good.toml", "--json", "v.json", cwd=tmp_path
    )
    again = edgestill("check", "--init", model, "--contract", "ci/good.toml", cwd=tmp_path)

    assert made.returncode == 0, made.stderr
    assert (tmp_path / "ci" / told["model"]).resolve() == model.resolve()
    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert both.returncode == 1
    verdicts = json.loads((tmp_path / "v.json").read_text())
    assert [report["ok"] for report in verdicts["reports"]] == [True, False]
    failed = [each["name"] for each in verdicts["reports"][1]["lines"] if each["verdict"] == "fail"]
    assert failed == ["parity.relative"]
    assert again.returncode == 2
    assert "ci/good.toml exists; it is left as it is" in again.stderr


def test_images_of_a_data_source_give_the_accuracy_of_the_run(
    edgestill: Edgestill, exported: Path, finished: Path, tmp_path: Path
) -> None:
    done = edgestill(
        "check", exported / "model.ort-x86.onnx", "--reference", exported / "model.fp32.onnx",
        "--data", "digits", "--json", "v.json", cwd=tmp_path,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    lines = {each["name"]: each for each in json.loads((tmp_path / "v.json").read_text())["lines"]}
    run = json.loads((finished / "runs/smoke/check/check.json").read_text())
    theirs = {each["name"]: each for each in run["targets"]["ort-x86"]["lines"]}
    # The same split of the same digits, at the model's size and normalisation.
    assert lines["top1_drop"]["figures"]["top1"] == theirs["top1_drop"]["figures"]["top1"]


def test_recorded_outputs_are_a_reference(
    edgestill: Edgestill, exported: Path, faulty: Path, tmp_path: Path
) -> None:
    model = exported / "model.fp32.onnx"
    images = np.random.default_rng(0).standard_normal((8, 3, 16, 16), dtype=np.float32)
    outputs = run_samples(open_session(model), {"images": images})
    record(tmp_path / "golden.npz", {"images": images}, outputs)

    good, bad = (
        edgestill("check", each, "--reference", "golden.npz", cwd=tmp_path)
        for each in (model, faulty)
    )

    assert good.returncode == 0, good.stdout + good.stderr
    assert bad.returncode == 1
    assert "parity" in bad.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "no model was given; name an ONNX file, or a contract with a key model"),
        (("MODEL", "absent.onnx"), "absent.onnx: no such file"),
        (("MODEL", "--contract", "absent.toml"), "absent.toml: cannot be read"),
        (("MODEL", "--target", "tensorrd"), "--target tensorrd: expected one of tensorrt,"),
        (("MODEL", "--size", "H"), "--size H: expected AXIS=N"),
        (("MODEL", "--memory", "much"), "--memory much: "),
        (("MODEL", "--data", "imagefolder"), "--data imagefolder: expected digits, parquet:DIR"),
        (("MODEL", "--data", "absent.npz"), "absent.npz: no such file"),
        (("MODEL", "--reference", "absent.npz"), "absent.npz: no such file"),
        (("MODEL", "MODEL", "--init"), "--init takes one model"),
        (("MODEL", "--init", "--junit", "x.xml"), "--junit has no meaning with --init"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    edgestill: Edgestill, exported: Path, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    model = str(exported / "model.fp32.onnx")

    done = edgestill("check", *(model if word == "MODEL" else word for word in words), cwd=tmp_path)

    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


FACTS: dict[str, Any] = {
    "inputs": [{"name": "pixels", "dtype": "uint8", "shape": ["N", 32, 32, 3]}],
    "samples": {"pixels": [32, 32, 3]},
    "metadata": {},
}


def test_a_uint8_model_gets_the_pixels_themselves() -> None:
    from sklearn.datasets import load_digits

    feeds, labels = images_for("digits", FACTS)

    assert feeds["pixels"].dtype == np.uint8
    assert feeds["pixels"].shape == (len(labels), 32, 32, 3)
    # Sixteen shades before resizing: the darkest and the brightest are there.
    assert feeds["pixels"].max() > 240 and feeds["pixels"].min() == 0
    assert set(labels) == set(load_digits().target)
