"""Every line of a check passes on a sound model and fails on the one broken in its way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType

from edgestill.export import fusion
from edgestill.export.check import LINES, check_model
from edgestill.export.contract import Contract, ParityLimits
from edgestill.models.errors import BadInput

Write = Callable[..., Path]
Images = NDArray[np.float32]
Labels = NDArray[np.int64]

STRICT = Contract(
    top1_drop=0.1,
    int8_fraction=0.9,
    max_bytes=10_000,
    parity=ParityLimits(max_abs=0.1, cosine_min=0.99, top1_agreement_min=0.9),
    dynamic_batch=True,
)
UNJUDGED = "parity"  # the one line that only ever informs: it shows a distance without a limit
# Those that need an emulated processor are in test_check_arm64.py.
JUDGED = {check.name for check in LINES if not check.name.startswith("arm64.")} - {UNJUDGED}


def test_a_sound_int8_model_passes_every_line(
    good: Path, quantize: Write, images: Images, labels: Labels
) -> None:
    report = check_model(
        quantize(good, QuantType.QInt8),
        contract=STRICT,
        target="tensorrt",
        reference=good,
        images=images,
        labels=labels,
    )

    assert {line.name: line.verdict for line in report.lines} == dict.fromkeys(JUDGED, "pass")
    assert report.ok
    assert report.verdict == "passed: 0 fail, 0 error, 19 pass, 0 skipped"


# Each entry breaks one thing; the line named must be a fail (not an error, not skipped).
def corrupt(write: Write) -> Path:
    path = write("corrupt")
    path.write_bytes(path.read_bytes()[:300])
    return path


def hollow(write: Write) -> Path:
    path = write("hollow")
    path.write_bytes(b"")
    return path


def checker_says_no(write: Write) -> Path:
    return write("attribute", flatten=helper.make_node("Flatten", ["pooled"], ["flat"], axes=2))


def uint8_quantizer(write: Write, zero: int = 0, kind: type = np.uint8) -> Path:
    scale = numpy_helper.from_array(np.array(0.05, np.float32), "scale")
    point = numpy_helper.from_array(np.array(zero, kind), "point")
    pair = [
        helper.make_node("QuantizeLinear", ["images", "scale", "point"], ["codes"], "quantize"),
        helper.make_node("DequantizeLinear", ["codes", "scale", "point"], ["seen"], "dequantize"),
    ]
    return write("quantized", before=pair, constants=[scale, point])


def custom_operator(write: Write) -> Path:
    node = helper.make_node("QuantPoint", ["images"], ["seen"], domain="edgestill")
    return write("custom", before=[node])


def sidecar(write: Write) -> Path:
    path = write("sidecar")
    onnx.save(
        onnx.load(path),
        path,
        save_as_external_data=True,
        location="sidecar.onnx.data",
        size_threshold=0,
    )
    return path


def sidecar_gone(write: Write) -> Path:
    path = sidecar(write)
    path.with_name("sidecar.onnx.data").unlink()
    return path


def sidecar_large(write: Write) -> Path:
    path = sidecar(write)
    path.with_name("sidecar.onnx.data").write_bytes(bytes(10_000))
    return path


def undeclared(write: Write) -> Path:
    # ONNX's inference does not know this operator, so only the run sees that 5 are 5 and not 7.
    factor = numpy_helper.from_array(np.eye(5, dtype=np.float32), "eye")
    node = helper.make_node("FusedMatMul", ["product", "eye"], ["logits"], domain="com.microsoft")
    return write("undeclared", after=[node], constants=[factor], declared=7)


def dynamic_quantizer(write: Write) -> Path:
    # What quantize_dynamic writes: one scale for the whole batch, taken from the batch.
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["images"], ["codes", "scale", "point"]),
        helper.make_node("DequantizeLinear", ["codes", "scale", "point"], ["seen"]),
    ]
    return write("dynamic", before=nodes)


def turned_round(write: Write) -> Path:
    return write("turned", after=[helper.make_node("Neg", ["product"], ["logits"])])


BROKEN: dict[str, tuple[str, Callable[[Write], Path]]] = {
    "truncated file": ("readable", corrupt),
    "empty file": ("readable", hollow),
    "unknown attribute": ("checker", checker_says_no),
    "IR version too new": ("checker", lambda write: write("ir", ir=99)),
    "side file gone": ("checker", sidecar_gone),
    "wrong shape": ("shapes", lambda write: write("shape", declared=7)),
    "wrong shape behind a foreign operator": ("runs", undeclared),
    "unknown operator": ("operators", custom_operator),
    "operator TensorRT lacks": ("operators", dynamic_quantizer),
    "uint8 for TensorRT": ("quantizers", uint8_quantizer),
    "zero point for TensorRT": ("quantizers", lambda w: uint8_quantizer(w, zero=3, kind=np.int8)),
    "opset too new": ("opset_max", lambda write: write("opset", opset=99)),
    "opset above the target's": ("opset_max", lambda write: write("opset", opset=22)),
    "IR above the target's": ("ir_max", lambda write: write("ir", ir=11)),
    "external data": ("single_file", sidecar),
    "too large": ("max_bytes", lambda write: write("large", classes=1000)),
    "too large with its side file": ("max_bytes", sidecar_large),
    "nothing loads it": ("loads", lambda write: write("opset", opset=99)),
    "fixed batch": ("dynamic_batch", lambda write: write("fixed", batch=1)),
    "other image size": ("runs", lambda write: write("size", size=9)),
    "scale taken from the batch": ("batch_invariant", dynamic_quantizer),
    "another network": ("parity.max_abs", lambda write: write("other", seed=1)),
    "another network's angle": ("parity.cosine_min", lambda write: write("other", seed=1)),
    "classes turned round": ("parity.top1_agreement_min", turned_round),
    "accuracy turned round": ("top1_drop", turned_round),
    "other classes than the reference": (
        "parity.max_abs",
        lambda write: write("classes", classes=6),
    ),
}
BY_FIXTURE = {
    "nan_on_zeros": "finite",
    "rows_depend": "batch_invariant",
    "batch_baked_in": "batch_invariant",
}


@pytest.mark.parametrize(("name", "make"), BROKEN.values(), ids=BROKEN)
def test_the_line_fails_on_a_model_broken_in_its_way(
    name: str,
    make: Callable[[Write], Path],
    good: Path,
    write_classifier: Write,
    images: Images,
    labels: Labels,
) -> None:
    broken = make(write_classifier)

    report = check_model(
        broken,
        contract=STRICT,
        target="tensorrt",
        reference=good,
        images=images,
        labels=labels,
    )

    line = report.line(name)
    assert line.verdict == "fail"
    assert line.why or (line.found and line.expected)
    assert not report.ok
    assert report.counts["error"] == 0


@pytest.mark.parametrize(("fixture", "name"), BY_FIXTURE.items())
def test_the_line_fails_without_images_too(
    fixture: str, name: str, request: pytest.FixtureRequest
) -> None:
    broken: Path = request.getfixturevalue(fixture)

    report = check_model(broken, contract=Contract())

    assert report.line(name).verdict == "fail"


def test_every_line_but_the_unjudged_has_been_seen_to_fail() -> None:
    proven = {name for name, _ in BROKEN.values()} | {*BY_FIXTURE.values(), "int8_fraction"}

    assert proven == JUDGED


def test_what_cannot_be_checked_is_skipped_with_the_reason_and_counted(good: Path) -> None:
    report = check_model(good, contract=STRICT)

    skipped = {line.name: line.why for line in report.lines if line.verdict == "skipped"}
    assert skipped == {
        "parity.max_abs": "no reference model was given",
        "parity.cosine_min": "no reference model was given",
        "parity.top1_agreement_min": "no reference model was given",
        "top1_drop": "no labelled images were given",
        "int8_fraction": "no target was given; fusion differs from runtime to runtime",
    }
    assert not report.ok, "a limit that was set and not checked is no pass"
    assert report.verdict == (
        "failed: 0 fail, 0 error, 13 pass, 5 skipped (not checked);"
        " a limit is set but not checked: top1_drop, int8_fraction, parity.max_abs,"
        " parity.cosine_min, parity.top1_agreement_min"
    )


def test_what_only_informs_may_be_skipped(good: Path, quantize: Write) -> None:
    report = check_model(quantize(good, QuantType.QInt8), contract=Contract(), reference=good)

    assert report.line(UNJUDGED).verdict == "skipped"
    assert report.ok


def test_a_contract_can_refuse_skipped_lines(good: Path) -> None:
    limits = {"top1_drop": 0.1, "allow_skipped": False}

    report = check_model(good, contract=Contract.model_validate(limits))

    assert report.counts["fail"] == report.counts["error"] == 0
    assert not report.ok


def test_a_line_that_breaks_is_an_error_and_hides_no_other(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fusion, "fusion_report", lambda path, target: 1 / 0)

    report = check_model(good, contract=Contract(), target="ort-x86")

    line = report.line("int8_fraction")
    assert (line.verdict, line.why) == ("error", "ZeroDivisionError: division by zero")
    assert report.line("finite").verdict == "pass"
    assert not report.ok


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "target": ({"target": "ort-x68"}, "unknown target 'ort-x68'; did you mean 'ort-x86'"),
    "labels alone": ({"labels": np.zeros(4, np.int64)}, "labels were given without images"),
    "flat images": ({"images": np.zeros((4, 192), np.float32)}, r"shape \(4, 192\)"),
    "bytes": ({"images": np.zeros((4, 3, 8, 8), np.uint8)}, "uint8"),
    "NaN": ({"images": np.full((4, 3, 8, 8), np.nan, np.float32)}, "NaN"),
    "few labels": (
        {"images": np.zeros((4, 3, 8, 8), np.float32), "labels": np.zeros(3, np.int64)},
        "expected 4 integers",
    ),
    "negative label": (
        {"images": np.zeros((2, 3, 8, 8), np.float32), "labels": np.array([0, -1])},
        "label -1 at image 1",
    ),
    "reference": ({"reference": Path("absent.onnx")}, r"absent\.onnx: no such file"),
}


@pytest.mark.parametrize(("given", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_fault_in_what_was_given_is_refused(given: dict[str, Any], says: str, good: Path) -> None:
    with pytest.raises(BadInput, match=says):
        check_model(good, contract=Contract(), **given)


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        check_model(tmp_path / "absent.onnx", contract=Contract())


def test_the_report_is_frozen(good: Path) -> None:
    report = check_model(good, contract=Contract())

    with pytest.raises(dataclasses.FrozenInstanceError):
        report.lines = ()  # type: ignore[misc]  # the point of the test
