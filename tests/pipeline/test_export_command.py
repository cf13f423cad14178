"""Exports as a user asks for them: raw pixels, heads, runtimes, one batch, float16, plans."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgestill.export import to_onnx
from edgestill.export.metadata import read_metadata
from edgestill.export.ports import ports, run_samples
from edgestill.export.runtime import infer, open_session
from edgestill.models.errors import BadInput, GateFailed
from edgestill.pipeline.commands import run_folder
from edgestill.pipeline.export_command import export_command
from edgestill.pipeline.export_options import ExportOptions
from edgestill.pipeline.form_parity import headed, normalised
from edgestill.pipeline.stages import export as stage

Edgestill = Callable[..., Any]
Export = Callable[..., dict[str, Path]]

DETERMINANT = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 10, 3)

    def forward(self, x):
        # TensorRT's parser has no determinant.
        return self.conv(x).mean((2, 3)) + torch.linalg.det(x[:, 0, :3, :3])[:, None]

def net():
    return Net()
"""


@pytest.fixture(scope="module")
def export(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Files of the smoke run, exported again in this process, into a folder of their own."""

    def call(out: Path | None = None, **options: Any) -> dict[str, Path]:
        said = io.StringIO()
        with redirect_stdout(said):
            export_command(
                "smoke",
                out or tmp_path_factory.mktemp("out"),
                ExportOptions(workdir=finished, **options),
                as_json=True,
            )
        return {name: Path(path) for name, path in json.loads(said.getvalue())["files"].items()}

    return call


@pytest.fixture(scope="module")
def raw(export: Export) -> dict[str, Path]:
    """All targets' files, for raw pixels, two at a time, with a head."""
    return export(input="uint8", head="top3", batch=2)


@pytest.fixture(scope="module")
def older(export: Export) -> Path:
    """For TensorRT 8.6, its weights beside it."""
    return export(runtimes=("tensorrt-8.6",), head="top1", external_data=True)["tensorrt"]


@pytest.fixture(scope="module")
def outside(export: Export) -> Path:
    """The folder of a float file, its weights beside it; to be copied."""
    return export(precision="fp32", external_data=True)["fp32"].parent


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)


def outputs(path: Path, images: NDArray[Any], target: str | None) -> Mapping[str, NDArray[Any]]:
    return run_samples(open_session(path, target=target), {"images": images})


def test_raw_pixels_and_a_head_give_what_the_runs_own_file_gives(
    raw: dict[str, Path], finished: Path, pixels: NDArray[np.uint8]
) -> None:
    for target, path in raw.items():
        plain = open_session(finished / f"runs/smoke/export/model.{target}.onnx", target=target)
        found = outputs(path, pixels, target)
        told = read_metadata(onnx.load(path))
        mean, std = told["mean"], told["std"]
        expected = headed(infer(plain, normalised(pixels, "hwc", mean, std)), "top3")
        np.testing.assert_array_equal(found["classes"], expected["classes"])
        # float32 against float64 of the same softmax.
        np.testing.assert_allclose(found["scores"], expected["scores"], rtol=0, atol=1e-6)
        assert ports(open_session(path)).batch == 2
        assert told["input"] == {
            "dtype": "uint8", "layout": "hwc", "range": (0, 255), "normalised": "inside",
        }  # fmt: skip
    assert set(raw) == {"tensorrt", "ort-x86", "ort-arm64"}


def test_a_runs_student_leaves_in_float16(export: Export, pixels: NDArray[np.uint8]) -> None:
    made = export(precision="fp16", input="uint8", layout="chw")

    model = onnx.load(made["fp16"])
    kinds = {tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) == 4}
    logits = outputs(made["fp16"], pixels.transpose(0, 3, 1, 2), None)["logits"]
    plan = json.loads((made["fp16"].parent / "model.fp16.plan.json").read_text())
    assert onnx.TensorProto.FLOAT16 in kinds
    assert logits.dtype == np.float32
    assert plan["precision"]["file"] == "fp16"
    assert {"images/half", "logits/float"} <= {node.name for node in model.graph.node}


def test_an_older_runtime_gets_a_file_that_it_reads(older: Path) -> None:
    model = onnx.load(older, load_external_data=False)

    (_, classes) = model.graph.output
    assert model.opset_import[0].version == 17
    assert classes.type.tensor_type.elem_type == onnx.TensorProto.INT32
    assert read_metadata(model)["runtime"] == "tensorrt-8.6"


def test_weights_beside_the_file_are_named_in_it(older: Path) -> None:
    told = read_metadata(onnx.load(older, load_external_data=False))

    assert told["external_data"] == "model.tensorrt.onnx.data"
    assert {path.name for path in older.parent.iterdir()} == {
        "model.tensorrt.onnx",
        "model.tensorrt.onnx.data",
        "model.tensorrt.plan.json",
    }


def test_the_same_export_gives_the_same_bytes(raw: dict[str, Path], export: Export) -> None:
    again = export(targets=("ort-x86",), input="uint8", head="top3", batch=2)

    assert again["ort-x86"].read_bytes() == raw["ort-x86"].read_bytes()


def test_a_file_says_what_it_is_made_of(raw: dict[str, Path]) -> None:
    told = read_metadata(onnx.load(raw["ort-x86"]))

    assert told["classes"] == tuple("0123456789")
    assert told["recipe"]["name"] == "smoke"
    assert told["recipe"]["quantize"]["epochs"] == 1
    assert told["quantization"]["method"] == "mse, then 1 epochs of training"
    assert told["source"] == "wideresnet"
    assert told["versions"]["opset"] == 18
    assert (told["head"], told["precision"], told["target"]) == ("top3", "int8", "ort-x86")
    assert len(told["mean"]) == len(told["std"]) == 3


def test_a_file_that_computes_something_else_is_kept_under_a_name_that_says_so(
    export: Export, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another(*_: Any, **__: Any) -> onnx.ModelProto:
        return onnx.load(finished / "runs/smoke/export/teacher.fp32.onnx")

    monkeypatch.setattr(to_onnx, "onnx_from_model", another)

    with pytest.raises(GateFailed, match="does not compute what the network does"):
        export(tmp_path, precision="fp32", input="uint8")
    assert [path.name for path in tmp_path.iterdir()] == ["model.fp32.FAILED.onnx"]


def test_a_teacher_that_leaves_wrongly_ends_the_run_and_one_that_cannot_is_told(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, path = (finished / "runs/smoke/teacher").resolve(), tmp_path / "teacher.onnx"

    def another(*_: Any) -> onnx.ModelProto:
        return onnx.load(finished / "runs/smoke/export/model.fp32.onnx")

    def refused(*_: Any) -> onnx.ModelProto:
        raise BadInput("it cannot be traced")

    monkeypatch.setattr(stage, "onnx_from_model", another)
    with pytest.raises(GateFailed, match="does not compute what the network does"):
        stage._export_teacher(made, (3, 16, 16), path, {})
    monkeypatch.setattr(stage, "onnx_from_model", refused)
    assert stage._export_teacher(made, (3, 16, 16), path, {}) == "it cannot be traced"
    assert not path.exists()


def test_a_run_that_is_not_finished_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    for name, file in (("begun", "events.jsonl"), ("done", "summary.json")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / file).touch()

    assert run_folder("done", tmp_path) == tmp_path / "runs/done"
    with pytest.raises(
        BadInput, match=r"the run begun is not finished.*; finished runs there: done$"
    ):
        run_folder("begun", tmp_path)
    with pytest.raises(BadInput, match=r"no finished run 'absent' in .*finished runs there: done$"):
        run_folder("absent", tmp_path)


def test_a_file_that_failed_leaves_the_good_one_its_weights(
    export: Export,
    outside: Path,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(outside, tmp_path, dirs_exist_ok=True)
    good = tmp_path / "model.fp32.onnx"
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    teacher = onnx.load(finished / "runs/smoke/export/teacher.fp32.onnx")
    monkeypatch.setattr(to_onnx, "onnx_from_model", lambda *_, **__: teacher)

    with pytest.raises(GateFailed, match=r"kept as .*model\.fp32\.FAILED\.onnx"):
        export(tmp_path, precision="fp32", external_data=True)

    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    failed = {f"{good.stem}.FAILED.onnx", f"{good.stem}.FAILED.onnx.data"}
    assert set(after) - set(before) == failed
    assert {name: after[name] for name in before} == before
    open_session(tmp_path / "model.fp32.FAILED.onnx")


def test_weights_of_an_earlier_file_do_not_stay_beside_a_whole_one(
    export: Export, outside: Path, tmp_path: Path
) -> None:
    for number, changed in enumerate(({}, {"head": "softmax"})):  # as the run has it, written anew
        folder = shutil.copytree(outside, tmp_path / str(number))
        assert (folder / "model.fp32.onnx.data").is_file()
        export(folder, precision="fp32", **changed)
        assert [path.name for path in folder.iterdir()] == ["model.fp32.onnx"]


def test_more_classes_than_there_are_are_refused_before_anything_is_written(
    export: Export, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="head top50: the network tells 10 classes apart"):
        export(tmp_path / "out", targets=("ort-x86",), head="top50")
    assert not (tmp_path / "out").exists()


def test_an_engine_that_cannot_be_built_here_leaves_file_and_plan(
    edgestill: Edgestill, finished: Path, tmp_path: Path
) -> None:
    done = edgestill("export", "smoke", "--out", "o", "--workdir", finished, "--target", "tensorrt",
                     "--build-engine", "--engine-batch", "1,4,8", "--json",
                     cwd=tmp_path)  # fmt: skip

    told = json.loads(done.stdout)
    plan = json.loads((tmp_path / told["plans"]["tensorrt"]).read_text())
    assert done.returncode == 3, done.stderr
    assert "no engine of model.tensorrt.onnx" in done.stderr
    assert done.stderr.count("\n") == 1
    assert plan["batch"] == {"min": 1, "opt": 4, "max": 8}
    assert (tmp_path / told["files"]["tensorrt"]).is_file()


def test_what_its_runtime_refuses_ends_with_exit_code_1_and_the_file(
    edgestill: Edgestill, tmp_path: Path
) -> None:
    (tmp_path / "nets.py").write_text(DETERMINANT)

    done = edgestill("export", "nets:net", "--input-shape", "3x8x8", "--out", "o",
                     "--precision", "fp32", "--runtime", "tensorrt-10.3", cwd=tmp_path)  # fmt: skip

    assert done.returncode == 1, done.stderr
    assert (
        "TensorRT 10.3 does not take model.fp32.onnx: Det_0 (Det)" in done.stderr.splitlines()[-1]
    )
    assert (tmp_path / "o/model.fp32.onnx").is_file()
    assert "model.fp32.onnx" in done.stdout


def test_a_run_whose_recipe_wants_raw_pixels_has_files_for_the_device_beside_the_plain(
    edgestill: Edgestill, finished_copy: Path, tmp_path: Path
) -> None:
    wanted = ("export.targets=['ort-x86']", "export.input=uint8", "export.head=top2")
    changes = [word for change in wanted for word in ("--set", change)]
    done = edgestill("run", "smoke", "--workdir", finished_copy, *changes, "--until", "export",
                     cwd=tmp_path)  # fmt: skip
    copied = edgestill("export", "smoke", "--workdir", finished_copy, "--target", "ort-x86",
                       "--out", "o", cwd=tmp_path)  # fmt: skip

    made = finished_copy / "runs/smoke/export"
    plain = ports(open_session(made / "model.ort-x86.onnx"))
    device = ports(open_session(made / "deploy.ort-x86.onnx"))
    assert done.returncode == 0, done.stderr
    assert (plain.inputs[0].dtype, plain.outputs[0].name) == ("float32", "logits")
    assert (device.inputs[0].dtype, device.outputs[0].name) == ("uint8", "scores")
    assert copied.returncode == 0, copied.stderr
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["deploy.ort-x86.onnx"]
