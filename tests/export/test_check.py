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

from edgestill.export import check_subject
from edgestill.export.check import check_model
from edgestill.export.check_lines import LINES
from edgestill.export.contract import Contract, ParityLimits, PortContract
from edgestill.models.errors import BadInput

Write = Callable[..., Path]
Images = NDArray[np.float32]
Labels = NDArray[np.int64]

STRICT = Contract(
    top1_drop=0.1,
    top1_min=0.9,
    int8_fraction=0.9,
    weights="per-channel",
    zero_channels_max=0,
    domains=("ai.onnx",),
    max_bytes=10_000,
    inputs={"images": PortContract(dtype="float32", shape=("N", 3, 8, 8))},
    outputs={"logits": PortContract(dtype="float32", shape=("batch", 5))},
    parity=ParityLimits(
        max_abs=0.1,
        mean_abs=0.05,
        relative=0.1,
        shift=0.05,
        cosine_min=0.99,
        top1_agreement_min=0.9,
    ),
    dynamic_batch=True,
)
# Lines that a file for TensorRT with float outputs cannot have: they have tests of their own.
ELSEWHERE = {
    "biased_layers_min",
    "parity.equal",
    "parity",  # only where the contract sets no limit
    "parity.equal_min",
    "float_islands_max",
    "qdq_left_max",
    "latency",
    "latency.max_ms",
    "max_macs",
    "max_parameters",
    "max_peak_activation_bytes",
    *(check.name for check in LINES if check.name.startswith("arm64.")),
}
JUDGED = {check.name for check in LINES} - ELSEWHERE


def test_a_sound_int8_model_passes_every_line(
    good: Path, quantize: Write, images: Images, labels: Labels
) -> None:
    report = check_model(
        quantize(good, QuantType.QInt8),
        contract=STRICT,
        target="tensorrt",
        reference=good,
        samples=images,
        labels=labels,
    )

    assert {line.name: line.verdict for line in report.lines} == dict.fromkeys(JUDGED, "pass")
    assert report.ok
    assert report.verdict == f"passed: {len(JUDGED)} pass, 0 fail, 0 error, 0 skipped"


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


def by_chance(write: Write) -> Path:
    node = helper.make_node("RandomNormalLike", ["images"], ["seen"])
    return write("chance", before=[node])


def never_made(write: Write) -> Path:
    path = write("dangling")
    model = onnx.load(path)
    model.graph.node[1].input[0] = "nobody's"
    onnx.save(model, path)
    return path


def weights_not_finite(write: Write) -> Path:
    path = write("nan-weight")
    model = onnx.load(path)
    kernel = numpy_helper.to_array(model.graph.initializer[0]).copy()
    kernel[0, 0, 0, 0] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(kernel, "kernel"))
    onnx.save(model, path)
    return path


def other_name(write: Write, old: str, new: str) -> Path:
    path = write("renamed")
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        value.name = new if value.name == old else value.name
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
    onnx.save(model, path)
    return path


def quantized_weight(write: Write, codes: int) -> Path:
    """The matrix as codes of one scale: all of one size."""
    held = [
        numpy_helper.from_array(np.full((4, 5), codes, np.int8), "codes"),
        numpy_helper.from_array(np.array(0.05, np.float32), "scale"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "scale"], ["fine"], "dequantize"),
        helper.make_node("Transpose", ["fine"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["product", "turned"], ["mixed"], "second"),
        helper.make_node("Gemm", ["mixed", "fine"], ["logits"], "third"),
    ]
    return write("coarse", after=nodes, constants=held)


def dead_channel(write: Write) -> Path:
    path = write("dead")
    model = onnx.load(path)
    kernel = numpy_helper.to_array(model.graph.initializer[0]).copy()
    kernel[2] = 0
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(kernel, "kernel"))
    onnx.save(model, path)
    return path


def half_quantized(write: Write) -> Path:
    """A product in 8 bits whose own sum TensorRT gets in float on the other side."""
    codes = np.random.default_rng(0).integers(-127, 128, (5, 5)).astype(np.int8)
    held = [
        numpy_helper.from_array(codes, "codes"),
        numpy_helper.from_array(np.full(5, 0.05, np.float32), "scales"),
        numpy_helper.from_array(np.array(0.05, np.float32), "scale"),
        numpy_helper.from_array(np.array(0, np.int8), "zero"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["product", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["dq"]),
        helper.make_node("DequantizeLinear", ["codes", "scales"], ["fine"], axis=1),
        helper.make_node("MatMul", ["dq", "fine"], ["inner"], "inner"),
        helper.make_node("QuantizeLinear", ["inner", "scale", "zero"], ["iq"]),
        helper.make_node("DequantizeLinear", ["iq", "scale", "zero"], ["idq"]),
        helper.make_node("Add", ["idq", "product"], ["logits"], "sum"),
    ]
    return write("half", after=nodes, constants=held)


BROKEN: dict[str, tuple[str, Callable[[Write], Path]]] = {
    "truncated file": ("readable", corrupt),
    "empty file": ("readable", hollow),
    "unknown attribute": ("checker", checker_says_no),
    "IR version too new": ("checker", lambda write: write("ir", ir=99)),
    "side file gone": ("side_files", sidecar_gone),
    "a value that nothing makes": ("graph", never_made),
    "NaN in a weight": ("tensors", weights_not_finite),
    "another domain": ("domains", undeclared),
    "another name of the input": ("inputs", lambda write: other_name(write, "images", "x")),
    "another size of the input": ("inputs", lambda write: write("size", size=9)),
    "another name of the output": ("outputs", lambda write: other_name(write, "logits", "y")),
    "more outputs": ("outputs", lambda write: write("classes", classes=6)),
    "a draw of chance": ("deterministic", by_chance),
    "one scale for a weight": ("weights", lambda write: quantized_weight(write, codes=100)),
    "a channel of zeros": ("zero_channels_max", dead_channel),
    "an addition of a quantized and a float branch": ("placement", half_quantized),
    "codes all at the end": ("weight_codes", lambda write: quantized_weight(write, codes=127)),
    "codes hardly used": ("weight_codes", lambda write: quantized_weight(write, codes=3)),
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
    "another network, on average": ("parity.mean_abs", lambda write: write("other", seed=1)),
    "another network, in proportion": ("parity.relative", lambda write: write("other", seed=1)),
    "another network, shifted": ("parity.shift", lambda write: write("other", seed=1)),
    "another network's angle": ("parity.cosine_min", lambda write: write("other", seed=1)),
    "classes turned round": ("parity.top1_agreement_min", turned_round),
    "accuracy turned round": ("top1_drop", turned_round),
    "accuracy too low": ("top1_min", turned_round),
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
        samples=images,
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


def test_every_line_has_been_seen_to_fail() -> None:
    proven = {name for name, _ in BROKEN.values()} | {*BY_FIXTURE.values(), "int8_fraction"}

    assert proven == JUDGED


def test_what_cannot_be_checked_is_skipped_with_the_reason_and_counted(good: Path) -> None:
    report = check_model(good, contract=STRICT)

    skipped = {line.name: line.why for line in report.lines if line.verdict == "skipped"}
    assert skipped == {
        "parity.mean_abs": "no reference was given",
        "parity.relative": "no reference was given",
        "parity.shift": "no reference was given",
        "parity.max_abs": "no reference was given",
        "parity.cosine_min": "no reference was given",
        "parity.top1_agreement_min": "no reference was given",
        "top1_min": "no labelled samples were given",
        "top1_drop": "no labelled samples were given",
        "weights": "no convolution or product has weights in 8 bits",
        "int8_fraction": "no target was given; fusion differs from runtime to runtime",
    }
    assert not report.ok, "a limit that was set and not checked is no pass"
    assert report.verdict == (
        f"failed: {report.counts['pass']} pass, 0 fail, 0 error, 10 skipped (not checked);"
        " a limit is set but not checked: top1_drop, top1_min, int8_fraction, weights,"
        " parity.max_abs, parity.mean_abs, parity.relative, parity.shift, parity.cosine_min,"
        " parity.top1_agreement_min"
    )


def test_what_only_informs_may_be_skipped(good: Path, quantize: Write) -> None:
    report = check_model(quantize(good, QuantType.QInt8), contract=Contract(), reference=good)

    assert report.line("parity").verdict == "skipped"
    assert report.ok


def test_a_contract_can_refuse_skipped_lines(good: Path) -> None:
    limits = {"top1_drop": 0.1, "allow_skipped": False}

    report = check_model(good, contract=Contract.model_validate(limits))

    assert report.counts["fail"] == report.counts["error"] == 0
    assert not report.ok


def test_a_line_that_breaks_is_an_error_and_hides_no_other(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_subject, "fusion_report", lambda path, target: 1 / 0)

    report = check_model(good, contract=Contract(int8_fraction=0.5), target="ort-x86")

    line = report.line("int8_fraction")
    assert (line.verdict, line.why) == ("error", "ZeroDivisionError: division by zero")
    assert report.line("finite").verdict == "pass"
    assert not report.ok


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "target": ({"target": "ort-x68"}, "unknown target 'ort-x68'; did you mean 'ort-x86'"),
    "labels alone": ({"labels": np.zeros(4, np.int64)}, "labels were given without samples"),
    "rows that differ": (
        {"samples": {"a": np.zeros((4, 1), np.float32), "b": np.zeros((3, 1), np.float32)}},
        "as many for every input",
    ),
    "text": ({"samples": np.array(["a", "b"])}, "expected finite numbers"),
    "NaN": ({"samples": np.full((4, 3, 8, 8), np.nan, np.float32)}, "NaN"),
    "few labels": (
        {"samples": np.zeros((4, 3, 8, 8), np.float32), "labels": np.zeros(3, np.int64)},
        "expected 4 integers",
    ),
    "negative label": (
        {"samples": np.zeros((2, 3, 8, 8), np.float32), "labels": np.array([0, -1])},
        "label -1 at sample 1",
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
