"""The contract written for a known-good model: read back, kept by it, and broken by faults."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType

from edgestill.export.check import check_model
from edgestill.export.check_init import contract_text, measuring
from edgestill.export.check_report import CheckReport
from edgestill.export.contract import Contract
from edgestill.export.contract_file import contract_from_toml
from edgestill.models.errors import GateFailed

Write = Callable[..., Path]
Images = NDArray[np.float32]


def measured(model: Path, reference: Path, **given: Any) -> CheckReport:
    return check_model(model, contract=measuring(Contract(reference=str(reference))), **given)


def written(model: Path, reference: Path, **given: Any) -> tuple[Contract, dict[str, Any]]:
    """The contract for `model`, as read back, and as it stands in the file."""
    text = contract_text(
        measured(model, reference, **given),
        own_reference=model == reference,
        paths={"model": model.name, "reference": reference.name},
    )
    path = model.with_suffix(".toml")
    path.write_text(text)
    return contract_from_toml(path), tomllib.loads(text)["check"]


def test_the_model_keeps_to_its_own_contract(good: Path) -> None:
    contract, _ = written(good, good)

    report = check_model(good, contract=contract)

    assert report.ok, report.verdict
    assert report.counts["skipped"] == 0


def test_it_says_what_the_model_is(good: Path) -> None:
    _, told = written(good, good)

    assert told["inputs"] == {"images": {"dtype": "float32", "shape": ["N", 3, 8, 8]}}
    assert told["outputs"] == {"logits": {"dtype": "float32", "shape": ["N", 5]}}
    assert told["domains"] == ["ai.onnx"]
    assert told["dynamic_batch"] and told["finite"] and told["deterministic"]
    assert told["parity"] == {"relative": 2e-5}


def test_an_int8_file_is_held_to_twice_the_distance_it_shows(
    good: Path, quantize: Write, images: Images
) -> None:
    coded = quantize(good, QuantType.QInt8)
    shown = measured(coded, good, target="ort-x86", samples=images)

    contract, told = written(coded, good, target="ort-x86", samples=images)

    relative = shown.line("parity.relative").figures["relative"]
    assert 2 * relative <= told["parity"]["relative"] <= 2.3 * relative  # rounded up to two digits
    assert told["int8_fraction"] == 1.0
    assert told["weights"] == "per-channel"
    assert told["target"] == "ort-x86"
    assert check_model(coded, contract=contract, samples=images).ok


def test_labels_give_a_least_accuracy(
    good: Path, images: Images, labels: NDArray[np.int64]
) -> None:
    _, told = written(good, good, samples=images, labels=labels)

    assert told["top1_min"] == pytest.approx(0.99)  # of 1.0, a point of room
    assert told["top1_drop"] == pytest.approx(0.01)


def test_what_the_model_does_not_keep_to_is_switched_off_with_the_reason(
    rows_depend: Path,
) -> None:
    contract, told = written(rows_depend, rows_depend)

    assert told["batch_invariant"] is False
    assert check_model(rows_depend, contract=contract).ok


def test_a_model_that_does_not_load_is_not_known_to_be_good(write_classifier: Write) -> None:
    broken = write_classifier("odd", before=[helper.make_node("Nothing", ["images"], ["seen"])])

    report = check_model(broken, contract=measuring(Contract()))
    with pytest.raises(GateFailed, match=r"odd\.onnx is not known to be good: .*Nothing"):
        contract_text(report, own_reference=True, paths={})


def test_free_axes_keep_the_size_of_the_check(write_classifier: Write) -> None:
    free = write_classifier("free", size="side")

    contract = measuring(Contract(reference=str(free), sizes={"side": 9}))
    text = contract_text(check_model(free, contract=contract), own_reference=True, paths={})

    assert tomllib.loads(text)["check"]["sizes"] == {"side": 9}


NAMES = [
    "x\n[check]\nfinite = false\n#",
    'quoted "\\" \t',
    "\U0001f600 größe",
    "\x1b[2J\x7f\x85\u202e\U000e0001",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_the_file_is_a_name_in_the_contract_and_no_more(
    name: str, write_classifier: Write
) -> None:
    path = write_classifier("named", before=[helper.make_node("Relu", [name], ["seen"])], size=name)
    model = onnx.load(path)
    model.graph.input[0].name = name
    onnx.save(model, path)

    contract = measuring(Contract(reference=str(path), sizes={name: 9}))
    report = check_model(path, contract=contract)
    paths = {"model": f"{name}.onnx", "reference": path.name}
    text = contract_text(report, own_reference=True, paths=paths)

    assert text.replace("\n", "").isprintable()
    (inputs,) = tomllib.loads(text)["check"]["inputs"].items()
    assert inputs == (name, {"dtype": "float32", "shape": ["N", 3, name, name]})
    path.with_suffix(".toml").write_text(text, encoding="utf-8")
    read_back = contract_from_toml(path.with_suffix(".toml"))
    assert read_back.model == str(path.parent / f"{name}.onnx")
    assert read_back.finite
    assert read_back.sizes == {name: 9}
    kept = check_model(path, contract=read_back)
    assert kept.ok, kept.verdict


def test_a_reason_with_a_line_end_stays_in_its_comment(rows_depend: Path) -> None:
    report = measured(rows_depend, rows_depend)
    lines = tuple(
        replace(line, why=f"{line.why}\nmax_macs = 1") if line.verdict == "fail" else line
        for line in report.lines
    )
    assert lines != report.lines

    text = contract_text(replace(report, lines=lines), own_reference=True, paths={})

    assert tomllib.loads(text)["check"]["max_macs"] > 1


def test_what_no_contract_can_say_is_not_written(good: Path) -> None:
    report = measured(good, good)
    (port,) = report.facts["outputs"]
    odd = replace(report, facts={**report.facts, "outputs": [{**port, "shape": [-1]}]})

    with pytest.raises(GateFailed, match=r"no contract can be written of it: .*greater than"):
        contract_text(odd, own_reference=True, paths={})
    with pytest.raises(GateFailed, match=r"no contract can be written of it: .*not a Unicode"):
        contract_text(report, own_reference=True, paths={"model": "\udcff.onnx"})


def scaled(model: onnx.ModelProto) -> None:
    kernel = model.graph.initializer[0]
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel) * 1.001, kernel.name))


def without_relu(model: onnx.ModelProto) -> None:
    model.graph.node[2].input[0] = "wide"
    del model.graph.node[1]


def renamed(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = model.graph.node[-1].output[0] = "scores"


@pytest.mark.parametrize(
    ("fault", "line"),
    [(scaled, "parity.relative"), (without_relu, "parity.relative"), (renamed, "outputs")],
)
def test_a_fault_breaks_the_contract(
    fault: Callable[[onnx.ModelProto], None], line: str, good: Path
) -> None:
    contract, _ = written(good, good)
    model = onnx.load(good)
    fault(model)
    broken = good.with_name("broken.onnx")
    onnx.save(model, broken)

    report = check_model(broken, contract=contract)

    assert report.line(line).verdict == "fail"
