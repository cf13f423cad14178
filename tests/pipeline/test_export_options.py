"""The options of an export: what goes together, and one line for what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgestill.export.targets import TARGETS
from edgestill.models.errors import BadInput
from edgestill.pipeline.export_options import ExportOptions, planned, wanted_by
from edgestill.pipeline.export_settings import Export

NET = "torchvision:resnet18"


def plan(source: str = NET, **options: Any) -> Any:
    """The plan for INT8 with images to calibrate on, unless told otherwise."""
    told = {"calibrate": "digits"} if options.get("precision", "int8") == "int8" else {}
    return planned(source, ExportOptions(**(told | options)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"float_type": "bfloat16"}, "--float-type bfloat16: expected one of float32, float16"),
        ({"float_type": "float16", "targets": ("ort-x86",)}, "is for --target tensorrt"),
        ({"float_type": "float16", "runtimes": ("tensorrt-8.6",)}, "tensorrt-8.6 reads up to 17"),
        ({"float_type": "float16", "opset": 18}, "from opset 19 on, and --opset 18 was given"),
        ({"precision": "fp16", "float_type": "float16"}, "--precision fp16 quantizes nothing"),
        ({"runtimes": ("tensorrt-9",)}, "unknown runtime 'tensorrt-9'"),
        (
            {"runtimes": ("jetpack-6.2",), "targets": ("ort-x86",)},
            "--runtime tensorrt-10.3 runs no file for ort-x86",
        ),
        ({"opset": 21, "runtimes": ("tensorrt-10.3",)}, "opset 21: tensorrt-10.3 reads up to"),
        ({"opset": 21}, "opset 21: the oldest supported runtime of tensorrt reads up to opset 20"),
        ({"precision": "fp32", "opset": 99}, "opset 99: this onnx"),
        ({"precision": "fp16", "opset": 99}, "opset 99: this onnx"),
        ({"head": "top50", "classes": 10}, "head top50: the network tells 10 classes apart"),
        ({"calibrate": "pictures"}, "--calibrate pictures: expected "),
        ({"images": "pictures"}, "--images pictures: expected "),
        ({"input": "int8"}, "input 'int8': expected one of float32, uint8"),
        ({"layout": "hwc"}, "--layout is of raw pixels"),
        ({"layout": "hwc", "input": "float32"}, "--layout is of raw pixels"),
        ({"layout": "nhwc", "input": "uint8"}, "layout 'nhwc': expected one of hwc, chw"),
        ({"input": "uint8"}, "how torchvision:resnet18 was trained is not known: give --mean"),
        ({"mean": "0.5,0.5,0.5"}, "--mean and --std belong together"),
        ({"mean": "imagenet", "std": "0.2,0.2,0.2"}, "says both"),
        ({"mean": "0.5,0.5", "std": "0.2,0.2,0.2"}, "--mean 0.5,0.5: expected three numbers"),
        ({"mean": "124,116,104", "std": "58,57,57"}, "expected three numbers of pixels in 0 .. 1"),
        ({"mean": "0,0,nan", "std": "1,1,1"}, "--mean 0,0,nan"),
        ({"mean": "0,0,0", "std": "0,1,1"}, "--std 0,1,1"),
        ({"head": "top"}, "head 'top': expected softmax, or topK"),
        ({"engine_batch": "1,2,3", "targets": ("ort-x86",)}, "no file for TensorRT"),
        ({"build_engine": True, "targets": ("ort-x86",)}, "no file for TensorRT"),
        ({"precision": "fp32", "dla_core": 0}, "no file for TensorRT"),
        (
            {"precision": "fp16", "build_engine": True, "runtimes": ("onnxruntime-1.21",)},
            "--build-engine builds for TensorRT, and --runtime onnxruntime-1.21 was given",
        ),
        ({"engine_batch": "8,4,1"}, "expected smallest, best and largest"),
        ({"engine_batch": "1,x"}, "expected one number, or three"),
        ({"engine_batch": "1,2,4", "batch": 2}, "the file itself has a batch of 2"),
    ],
)
def test_what_cannot_be_meant_gets_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as refused:
        plan(**options)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [{"weights": Path("w")}, {"classes": 3}, {"mean": "imagenet"}, {"calibrate": "digits"}],
)
def test_a_run_has_its_network_and_its_ranges(options: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="the run digits has its network and its ranges"):
        planned("digits", ExportOptions(**options))


def test_a_run_is_copied_unless_another_form_is_asked_for() -> None:
    assert planned("digits", ExportOptions()).copies
    assert planned("digits", ExportOptions(precision="fp32")).copies
    for other in (
        {"precision": "fp16"},
        {"head": "softmax"},
        {"runtimes": ("tensorrt-8.6",)},
        {"float_type": "float16"},
        {"external_data": True},
    ):
        assert not planned("digits", ExportOptions(**other)).copies, other


def test_a_runtime_chooses_the_targets_that_it_runs() -> None:
    assert plan().targets == TARGETS
    assert plan(runtimes=("jetpack-6.2",)).targets == ("tensorrt",)
    assert plan(runtimes=("onnxruntime-1.18.1",)).targets == ("ort-x86", "ort-arm64")


def test_each_file_is_fitted_to_the_runtime_of_its_own_target() -> None:
    wanted = plan(runtimes=("tensorrt-8.6", "onnxruntime-1.18")).wanted

    runtimes = {name: str(wanted.form_of(name).runtime) for name in (*TARGETS, "fp16")}
    assert runtimes == {
        "tensorrt": "tensorrt-8.6",
        "ort-x86": "onnxruntime-1.18",
        "ort-arm64": "onnxruntime-1.18",
        "fp16": "tensorrt-8.6",
    }


def test_files_for_tensorrt_get_a_plan() -> None:
    assert plan().tensorrt == ("tensorrt",)
    assert plan(targets=("ort-x86",)).tensorrt == ()
    assert plan(precision="fp16").tensorrt == ("fp16",)
    assert plan(precision="fp16", runtimes=("onnxruntime-1.21",)).tensorrt == ()
    assert plan(precision="fp32").tensorrt == ()
    assert plan(precision="fp32", runtimes=("tensorrt-8.6",)).tensorrt == ("fp32",)
    assert plan(precision="fp32", build_engine=True).tensorrt == ("fp32",)


def test_what_the_command_line_does_not_say_the_runs_recipe_does() -> None:
    recipe = Export(input="uint8", layout="chw", head="top5", runtimes=("jetpack-6.2",))

    form = planned("digits", ExportOptions(precision="fp16", head="softmax")).as_run(recipe).wanted

    assert (form.form.input, form.form.layout, form.form.head) == ("uint8", "chw", "softmax")
    assert list(map(str, form.runtimes)) == ["tensorrt-10.3"]
    assert wanted_by(recipe).form.head == "top5"
