"""The command's manners: help, exit codes, one line for a mistake, JSON alone on stdout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

Edgestill = Callable[..., Any]
COMMANDS = (
    "run",
    "plan",
    "search",
    "export",
    "check",
    "profile",
    "init",
    "schema",
    "doctor",
    "report",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(
    edgestill: Edgestill, tmp_path: Path, command: str
) -> None:
    done = edgestill(command, "--help", cwd=tmp_path)

    assert done.returncode == 0
    assert f"Example: edgestill {command}" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rnu",), "No such command 'rnu'"),
        (("run",), "Missing argument 'recipe'"),
        (
            ("run", "digits", "--until", "distil"),
            "--until distil: no such stage; stages: search, teacher",
        ),
        (("run", "nothing.toml"), "no recipe file 'nothing.toml'"),
        (("run", "."), ". is a folder; give a recipe file"),
        (("plan", "digits", "--set", "data.source=parquet:absent"), "absent"),
        (
            ("report", "digits"),
            "no finished run 'digits' in edgestill-work; finished runs there: none",
        ),
        (("check", "absent.onnx"), "absent.onnx: no such file; expected an ONNX file"),
        (("profile", "absent.onnx"), "absent.onnx: no such file"),
        (
            ("export", "torchvision:resnet18", "--out", "o", "--precision", "int4"),
            "--precision int4",
        ),
        (
            ("export", "torchvision:resnet81", "--out", "o", "--precision", "fp32"),
            "no classification model 'resnet81'",
        ),
        (("export", "torchvision:resnet18", "--out", "o", "--target", "tpu"), "--target tpu"),
        (
            ("export", "timm:a", "--out", "o", "--precision", "fp32", "--keep-float", "fc"),
            "--keep-float has no meaning here: --precision fp32 quantizes nothing",
        ),
        (("export", "torchvision:resnet18", "--out", "o", "--input-shape", "3"), "CxHxW"),
        (("export", "absent", "--out", "o"), "no finished run 'absent'"),
    ],
)
def test_a_mistake_gets_one_line_and_exit_code_2(
    edgestill: Edgestill, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = edgestill(*words, cwd=tmp_path)

    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_init_writes_a_recipe_that_is_valid_and_never_overwrites(
    edgestill: Edgestill, tmp_path: Path
) -> None:
    first = edgestill("init", "mine", cwd=tmp_path)
    again = edgestill("init", "mine", cwd=tmp_path)
    planned = edgestill("plan", "mine/recipe.toml", cwd=tmp_path)

    assert first.returncode == 0
    assert "# CHANGE" in (tmp_path / "mine/recipe.toml").read_text()
    assert again.returncode == 2
    assert "exists; it is left as it is" in again.stderr
    assert "photos" in planned.stderr, "all that is wrong with it is that the pictures are absent"


@pytest.mark.parametrize("of", ["recipe", "contract"])
def test_schema_is_a_json_schema_that_explains_every_key(
    edgestill: Edgestill, tmp_path: Path, of: str
) -> None:
    schema = json.loads(edgestill("schema", of, cwd=tmp_path).stdout)

    told = [{"title": of, **schema}, *schema["$defs"].values()]
    bare = [
        f"{each['title']}.{key}"
        for each in told
        for key, value in each["properties"].items()
        if not {"description", "$ref", "const"} & set(value)
    ]
    assert bare == []


def test_doctor_tells_what_is_there(edgestill: Edgestill, tmp_path: Path) -> None:
    done = edgestill("doctor", "--json", cwd=tmp_path)

    found = {each["name"]: each for each in json.loads(done.stdout)["findings"]}
    assert done.returncode == 0
    assert found["torch"]["ok"]
    assert found.keys() >= {"python", "processor", "cuda", "energy", "disk", "extra timm"}


def test_plan_under_json_is_one_object(edgestill: Edgestill, finished: Path) -> None:
    done = edgestill("plan", "smoke", "--workdir", finished, "--json", cwd=finished.parent)

    stages = json.loads(done.stdout)["stages"]
    assert {each["action"] for each in stages.values()} == {"reuse"}


def test_report_shows_a_finished_run(edgestill: Edgestill, finished: Path) -> None:
    done = edgestill("report", "smoke", "--workdir", finished, cwd=finished.parent)

    assert "teacher" in done.stdout
    assert "INT8 tensorrt" in done.stdout
    assert str(finished / "runs/smoke/report.html") in done.stdout.replace("\n", "")


def test_check_says_pass_and_writes_what_a_ci_reads(
    edgestill: Edgestill, finished: Path, tmp_path: Path
) -> None:
    onnx = finished / "runs/smoke/export"
    done = edgestill(
        "check", onnx / "model.ort-x86.onnx", "--reference", onnx / "model.fp32.onnx",
        "--target", "ort-x86", "--json", "c.json", "--junit", "c.xml", "--sarif", "c.sarif",
        "--markdown", "c.md", cwd=tmp_path,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "c.json").read_text())["ok"] is True
    assert "<testsuite" in (tmp_path / "c.xml").read_text()
    assert json.loads((tmp_path / "c.sarif").read_text())["version"] == "2.1.0"
    assert "int8_fraction" in (tmp_path / "c.md").read_text()


def test_check_of_a_file_for_the_wrong_runtime_fails(
    edgestill: Edgestill, finished: Path, tmp_path: Path
) -> None:
    x86 = finished / "runs/smoke/export/model.ort-x86.onnx"

    done = edgestill("check", x86, "--target", "tensorrt", cwd=tmp_path)

    assert done.returncode == 1
    assert "fail" in done.stdout


def test_profile_gives_figures_as_json(
    edgestill: Edgestill, finished: Path, tmp_path: Path
) -> None:
    onnx = finished / "runs/smoke/export/model.ort-x86.onnx"

    done = edgestill("profile", onnx, "--seconds", "0.2", "--json", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["profiles"][0]["measurements"][0]
    assert told["latency_ms"]["p50"] > 0
    assert len(told["samples_ms"]) == told["runs"] >= 200
    assert told["accuracy"] > 0.8  # the run that exported it has counted it


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--on", "board"), 2),
        (("--on", "ssh://127.0.0.1:1"), 3),
        (("--precision", "int8"), 2),
        (("--batch", "0"), 2),
        (("--power-mode", "15W"), 3),
    ],
)
def test_profile_that_cannot_be_ends_with_one_line(
    edgestill: Edgestill, finished: Path, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    onnx = finished / "runs/smoke/export/model.ort-x86.onnx"

    done = edgestill("profile", onnx, *words, cwd=tmp_path)

    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_export_of_a_run_copies_its_files(
    edgestill: Edgestill, finished: Path, tmp_path: Path
) -> None:
    done = edgestill("export", "smoke", "--out", "o", "--workdir", finished, "--target", "tensorrt",
                     cwd=tmp_path)  # fmt: skip

    made = finished / "runs/smoke/export/model.tensorrt.onnx"
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "o/model.tensorrt.onnx").read_bytes() == made.read_bytes()
    names = sorted(path.name for path in (tmp_path / "o").iterdir())
    assert names == ["model.tensorrt.onnx", "model.tensorrt.plan.json"]


def test_export_of_a_checkpoint_finds_its_network_in_the_file(
    edgestill: Edgestill, finished: Path, tmp_path: Path
) -> None:
    shutil.copy(finished / "runs/smoke/distill/student.safetensors", tmp_path / "mine.safetensors")

    done = edgestill("export", "mine.safetensors", "--out", "o", "--calibrate", "digits",
                     "--json", cwd=tmp_path)  # fmt: skip

    files = json.loads(done.stdout)["files"]
    (shape,) = (
        each.type.tensor_type.shape for each in onnx.load(tmp_path / files["fp32"]).graph.input
    )
    assert [axis.dim_value for axis in shape.dim][1:] == [3, 16, 16]
    assert done.returncode == 0, done.stderr
    assert set(files) == {"fp32", "tensorrt", "ort-x86", "ort-arm64"}
    assert "ort-x86: 11 of 11 in INT8" in done.stderr


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_export_of_a_library_network_in_floating_point(
    edgestill: Edgestill, tmp_path: Path, precision: str
) -> None:
    done = edgestill("export", "torchvision:resnet18", "--out", "o", "--input-shape", "3x64x64",
                     "--precision", precision, "--classes", "5", cwd=tmp_path)  # fmt: skip

    assert done.returncode == 0, done.stderr
    onnx_files = [path.name for path in (tmp_path / "o").glob("*.onnx")]
    assert onnx_files == [f"model.{precision}.onnx"]


def test_int8_without_images_to_calibrate_with_is_refused_before_any_work(
    edgestill: Edgestill, tmp_path: Path
) -> None:
    done = edgestill("export", "torchvision:resnet18", "--out", "o", cwd=tmp_path)

    assert done.returncode == 2
    assert "give images with --calibrate" in done.stderr


def test_export_of_a_damaged_run_is_refused(
    edgestill: Edgestill, finished_copy: Path, tmp_path: Path
) -> None:
    onnx_file = finished_copy / "runs/smoke/export/model.tensorrt.onnx"
    onnx_file.write_bytes(onnx_file.read_bytes()[:-1] + b"?")

    done = edgestill("export", "smoke", "--out", "o", "--workdir", finished_copy, cwd=tmp_path)

    assert done.returncode == 2
    assert "model.tensorrt.onnx: not the bytes that were written" in done.stderr
    assert not (tmp_path / "o").exists()


def test_export_takes_a_function_in_the_current_folder_with_the_classes_it_has(
    edgestill: Edgestill, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1),\n"
        "        nn.Flatten(), nn.Linear(8, 7))\n"
    )

    done = edgestill("export", "mine:net", "--out", "o", "--input-shape", "3x32x32",
                     "--precision", "fp32", cwd=tmp_path)  # fmt: skip

    (logits,) = onnx.load(tmp_path / "o/model.fp32.onnx").graph.output
    assert done.returncode == 0, done.stderr
    assert logits.type.tensor_type.shape.dim[1].dim_value == 7


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("init", "file"), "file"),
        (("plan", "smoke", "--workdir", "file"), "file"),
        (("export", "torchvision:resnet18", "--precision", "fp32", "--input-shape", "3x32x32",
          "--out", "file"), "file"),
    ],
)  # fmt: skip
def test_a_file_where_a_folder_should_be_is_named(
    edgestill: Edgestill, tmp_path: Path, words: tuple[str, ...], where: str
) -> None:
    (tmp_path / "file").write_text("")

    done = edgestill(*words, cwd=tmp_path)

    assert done.returncode == 2, done.stderr
    assert where in done.stderr
    assert sum(line.startswith("edgestill: ") for line in done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_a_report_that_is_older_than_its_artifacts_says_so(
    edgestill: Edgestill, finished_copy: Path
) -> None:
    change = ("--set", "export.targets=['ort-x86']", "--until", "export")
    edgestill("run", "smoke", "--workdir", finished_copy, *change, cwd=finished_copy)

    done = edgestill("report", "smoke", "--workdir", finished_copy, cwd=finished_copy)

    assert done.returncode == 0
    assert "export was made again since this report" in done.stderr


def test_a_damaged_summary_is_told_in_one_line(edgestill: Edgestill, finished_copy: Path) -> None:
    (finished_copy / "runs/smoke/summary.json").write_text("{")

    done = edgestill("report", "smoke", "--workdir", finished_copy, cwd=finished_copy)

    assert done.returncode == 2
    assert "is damaged; run the recipe again" in done.stderr
