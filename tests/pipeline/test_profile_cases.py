"""What is measured: the cross product with its labels, and what is refused beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgestill.models.errors import BadInput
from edgestill.pipeline.profile_cases import case_labels, cases_of

from .onnx_files import write_convolution


def test_every_model_is_crossed_with_every_precision_and_batch(tmp_path: Path) -> None:
    models = [write_convolution(tmp_path / f"{name}.onnx", quantized=True) for name in "ab"]

    cases = cases_of(models, engine="tensorrt", precisions=("int8", "fp16"), batches=(1, 8))

    assert [(case.label, case.precision, case.batch) for case in cases] == [
        (f"{name} {precision} batch {batch}", precision, batch)
        for name in "ab"
        for precision in ("int8", "fp16")
        for batch in (1, 8)
    ]
    assert {case.threads for case in cases} == {None}


def test_a_single_file_is_called_by_its_name_and_runs_on_one_thread(tmp_path: Path) -> None:
    (case,) = cases_of([write_convolution(tmp_path / "model.ort-x86.onnx")])

    assert (case.label, case.threads, case.provider) == (
        "model.ort-x86",
        1,
        "CPUExecutionProvider",
    )


@pytest.mark.parametrize(
    ("models", "labels"),
    [
        (["x/a.onnx", "y/a.onnx"], ["x/a", "y/a"]),
        (["a.onnx", "a.onnx", "b.onnx"], ["a", "a #2", "b"]),
    ],
)
def test_no_two_labels_are_alike(models: list[str], labels: list[str]) -> None:
    found = case_labels([Path(model) for model in models], ["as-file"], [1])

    assert found == labels


def test_no_threads_are_set_where_the_gpu_works(tmp_path: Path) -> None:
    model = write_convolution(tmp_path / "a.onnx")

    (case,) = cases_of([model], provider="cuda")

    assert (case.threads, case.provider) == (None, "CUDAExecutionProvider")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"engine": "tflite"}, "--engine tflite: expected one of onnxruntime, tensorrt, trtexec"),
        ({"provider": "npu"}, "--provider npu: expected one of cpu, cuda, tensorrt"),
        ({"engine": "tensorrt", "precisions": ("int4",)}, "--precision int4"),
        ({"precisions": ("int8",)}, "ONNX Runtime runs a file as it is written"),
        ({"engine": "trtexec", "provider": "cuda"}, "--provider has no meaning for trtexec"),
        ({"engine": "tensorrt", "threads": 2}, "--threads has no meaning for tensorrt"),
        ({"engine": "tensorrt", "precisions": ("int8",)}, "without Q/DQ nodes"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    model = write_convolution(tmp_path / "a.onnx")

    with pytest.raises(BadInput, match=said) as refused:
        cases_of([model], **settings)

    assert "\n" not in str(refused.value)


def test_a_fixed_batch_is_refused_with_the_way_out(tmp_path: Path) -> None:
    model = write_convolution(tmp_path / "fixed.onnx", batch=4)

    with pytest.raises(BadInput, match=r"fixed at 4, asked for 1; give --batch 4, or export it"):
        cases_of([model], batches=(1, 4))

    assert [case.batch for case in cases_of([model], batches=(4,))] == [4]


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x01"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.onnx"
    path.write_bytes(content)

    with pytest.raises(BadInput, match="not an ONNX model"):
        cases_of([path])


def test_a_file_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        cases_of([tmp_path / "absent.onnx"])


@pytest.mark.parametrize("name", ["no.json", "no.textproto", "no.onnxtxt"])
def test_a_suffix_does_not_choose_how_a_file_is_read(tmp_path: Path, name: str) -> None:
    path = write_convolution(tmp_path / "a.onnx").rename(tmp_path / name)
    assert len(cases_of([path])) == 1

    path.write_text("{")
    with pytest.raises(BadInput, match="not an ONNX model"):
        cases_of([path])


def test_a_folder_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is a folder"):
        cases_of([tmp_path])


def test_a_dla_is_asked_for_in_every_case(tmp_path: Path) -> None:
    model = write_convolution(tmp_path / "a.onnx")

    cases = cases_of([model], engine="tensorrt", batches=[1, 8], dla_core=1)

    assert [case.dla_core for case in cases] == [1, 1]
