"""The lint in a check: which release refuses what, and what only an old one refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
from onnx import ModelProto

from edgestill.export.check import check_model
from edgestill.export.contract import Contract
from edgestill.export.tensorrt_lines import refusals, shortened

from .residual_files import residual_files
from .tensorrt_cases import FAULTS

Write = Callable[..., Path]


def fault(name: str) -> ModelProto:
    return FAULTS[name][0]


def test_what_every_release_refuses_is_told_without_their_names() -> None:
    (text,) = refusals(fault("pooling with dilations"), quantizers=False).hard

    assert text.endswith("pooling has dilations of 1 there")


def test_the_releases_that_refuse_are_named_where_others_do_not() -> None:
    (text,) = refusals(fault("a scatter that says it does not add up"), quantizers=False).hard

    assert text.endswith("[TensorRT 10.3]")


def test_what_only_8_6_refuses_fails_no_check() -> None:
    told = refusals(fault("an operator that came with 10"), quantizers=False)

    assert told.hard == ()
    assert told.old == (
        "the_Mish (Mish): the parser has no operator Mish, only a plugin could bring it"
        " [TensorRT 8.6]",
    )


def test_quantizers_and_operators_are_told_apart() -> None:
    proto = fault("a zero point")

    assert not refusals(proto, quantizers=False).hard
    assert refusals(proto, quantizers=True).hard


def test_a_long_list_is_cut() -> None:
    assert shortened(("a", "b", "c", "d", "e")) == "a; b; c; and 2 more"
    assert shortened(("a",)) == "a"


def test_the_lines_of_a_check_say_so(tmp_path: Path) -> None:
    path = tmp_path / "x86.onnx"
    onnx.save(residual_files()["ort-x86"], path)

    report = check_model(path, contract=Contract(), target="tensorrt")

    # The image's channels are filled up as codes.
    assert report.line("operators").verdict == "fail"
    assert "(Pad): 'images/codes' is uint8" in report.line("operators").why
    line = report.line("quantizers")
    assert line.verdict == "fail"
    assert line.figures["wrong"] > 0
    assert "uint8" in line.why
    assert report.line("opset_max").expected.startswith("<= 20 (tensorrt-10.3")


def test_the_file_for_tensorrt_passes_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "tensorrt.onnx"
    onnx.save(residual_files()["tensorrt"], path)

    report = check_model(path, contract=Contract(), target="tensorrt")

    for name in ("operators", "quantizers"):
        assert (report.line(name).verdict, report.line(name).why) == ("pass", "")
