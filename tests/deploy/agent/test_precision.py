"""Which precision can be had of which file with which TensorRT."""

from __future__ import annotations

import pytest

from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.onnx_file import OnnxFile
from edgestill.deploy.agent.precision import Types, types_for

PLAIN = OnnxFile({}, quantized=False, half=False)
HALF = OnnxFile({}, quantized=False, half=True)
INT8 = OnnxFile({}, quantized=True, half=False)


@pytest.mark.parametrize("model", [PLAIN, HALF, INT8])
def test_where_networks_can_be_strongly_typed_the_files_types_are_binding(model: OnnxFile) -> None:
    assert types_for("as-file", model, "10.3.0", can_be_strong=True, dla=False) == Types(True, ())


@pytest.mark.parametrize(("model", "flags"), [(PLAIN, ()), (HALF, ("FP16",)), (INT8, ("INT8",))])
def test_where_they_cannot_the_builder_may_use_the_files_types_and_no_others(
    model: OnnxFile, flags: tuple[str, ...]
) -> None:
    found = types_for("as-file", model, "8.2.1", can_be_strong=False, dla=False)

    assert found == Types(False, flags)


@pytest.mark.parametrize(
    ("precision", "model", "flags"),
    [("fp32", PLAIN, ()), ("fp16", PLAIN, ("FP16",)), ("int8", INT8, ("FP16", "INT8"))],
)
def test_up_to_10_the_builder_is_told_what_else_it_may_use(
    precision: str, model: OnnxFile, flags: tuple[str, ...]
) -> None:
    found = types_for(precision, model, "10.16.1", can_be_strong=True, dla=False)

    assert found == Types(False, flags)


def test_from_11_on_only_the_file_decides() -> None:
    with pytest.raises(
        AgentError,
        match="lives in the ONNX file on TensorRT 11, and this file is fp32: export it"
        " with --precision fp16",
    ):
        types_for("fp16", PLAIN, "11.4.0", can_be_strong=True, dla=False)


@pytest.mark.parametrize(("precision", "model"), [("int8", INT8), ("fp16", HALF), ("fp32", PLAIN)])
def test_from_11_on_a_precision_that_the_file_has_is_given(precision: str, model: OnnxFile) -> None:
    assert types_for(precision, model, "11.4.0", can_be_strong=True, dla=False).strong


@pytest.mark.parametrize(
    ("precision", "model", "reason"),
    [
        ("int8", PLAIN, "the file has no Q/DQ nodes"),
        ("fp16", INT8, "the file is quantized; ask for int8 or as-file"),
        ("fp32", INT8, "the file is quantized"),
        ("fp32", HALF, "the file holds float16"),
    ],
)
def test_a_precision_that_the_file_contradicts_is_refused(
    precision: str, model: OnnxFile, reason: str
) -> None:
    with pytest.raises(AgentError, match=reason):
        types_for(precision, model, "10.3.0", can_be_strong=True, dla=False)


@pytest.mark.parametrize(("model", "flags"), [(PLAIN, ("FP16",)), (INT8, ("FP16", "INT8"))])
def test_a_dla_has_no_float32(model: OnnxFile, flags: tuple[str, ...]) -> None:
    found = types_for("as-file", model, "10.3.0", can_be_strong=True, dla=True)

    assert found == Types(False, flags)
