"""The lines about cost: limits met and broken, and what cannot be counted is not passed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

from edgestill.export.check_cost import max_macs, max_parameters, max_peak_activation_bytes
from edgestill.export.check_report import Skip
from edgestill.export.check_subject import Subject, open_subject
from edgestill.export.contract import Contract

Write = Callable[..., Path]

# The classifier of conftest.py: 3x8x8 images, 3x3 filters, 4 channels, 5 classes.
MACS = 4 * 8 * 8 * 3 * 9 + 4 * 5
PARAMETERS = 4 * 3 * 9 + 4 * 5
PEAK_BYTES = 4 * (3 * 8 * 8 + 4 * 8 * 8)


def subject_of(path: Path, **limits: Any) -> Subject:
    return open_subject(
        path,
        contract=Contract.model_validate(limits),
        target=None,
        reference=None,
        samples=None,
        labels=None,
        threads=1,
    )


@pytest.mark.parametrize(
    ("line", "name", "count"),
    [
        (max_macs, "max_macs", MACS),
        (max_parameters, "max_parameters", PARAMETERS),
        (max_peak_activation_bytes, "max_peak_activation_bytes", PEAK_BYTES),
    ],
)
def test_a_limit_holds_up_to_the_last_one(
    line: Callable[[Subject], Any], name: str, count: int, good: Path
) -> None:
    met = line(subject_of(good, **{name: count}))
    broken = line(subject_of(good, **{name: count - 1}))

    assert (met.verdict, broken.verdict) == ("pass", "fail")
    assert (met.name, met.figures["limit"]) == (name, count)
    assert f"{count:,}" in met.found
    with pytest.raises(Skip, match="sets no limit"):
        line(subject_of(good))


def test_where_the_products_are_is_told_when_there_are_too_many(good: Path) -> None:
    line = max_macs(subject_of(good, max_macs=100))

    assert line.why == "most in conv (6,912), MatMul -> logits (20)"


def test_the_cost_is_that_of_one_sample_also_where_the_batch_is_free(
    write_classifier: Write,
) -> None:
    free, one = write_classifier("free", batch="N"), write_classifier("one", batch=1)

    found = [max_macs(subject_of(path, max_macs=10_000)).figures["macs"] for path in (free, one)]

    assert found == [MACS, MACS]


def test_int8_in_onnxruntimes_own_operators_costs_what_the_float_file_does(
    good: Path, images: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> None:
    class Calibration:
        rows = iter([{"images": images}])

        def get_next(self) -> Any:
            return next(self.rows, None)

    int8 = good.with_name("int8.onnx")
    quantize_static(
        good, int8, Calibration(), quant_format=QuantFormat.QOperator, weight_type=QuantType.QInt8
    )
    domains = {node.domain for node in onnx.load(int8).graph.node}

    assert "com.microsoft" in domains  # whose shapes ONNX cannot infer
    assert max_macs(subject_of(int8, max_macs=MACS)).figures["macs"] == MACS
    assert max_parameters(subject_of(int8, max_parameters=PARAMETERS)).verdict == "pass"
    peak = max_peak_activation_bytes(subject_of(int8, max_peak_activation_bytes=PEAK_BYTES))
    assert peak.figures["bytes"] < PEAK_BYTES


def test_what_is_not_counted_does_not_meet_a_limit(write_classifier: Write) -> None:
    path = write_classifier(
        "own",
        after=[
            helper.make_node("Det", ["square"], ["d"]),
            helper.make_node("Add", ["product", "d"], ["logits"]),
        ],
        constants=[numpy_helper.from_array(np.eye(3, dtype=np.float32), "square")],
    )

    with pytest.raises(Skip, match=r"6,932 and those of Det -> d \(Det\), which are not known"):
        max_macs(subject_of(path, max_macs=10_000))
    assert max_macs(subject_of(path, max_macs=6_000)).verdict == "fail"


def test_products_inside_of_an_if_are_counted_once_and_told(write_classifier: Write) -> None:
    def branch(name: str) -> onnx.GraphProto:
        given = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        node = helper.make_node("MatMul", ["product", "turn"], [name], f"{name}_product")
        return helper.make_graph([node], name, [], [given])

    path = write_classifier(
        "if",
        after=[
            helper.make_node(
                "If", ["yes"], ["logits"], then_branch=branch("a"), else_branch=branch("b")
            )
        ],
        constants=[
            numpy_helper.from_array(np.array(True), "yes"),
            numpy_helper.from_array(np.eye(5, dtype=np.float32), "turn"),
        ],
    )

    line = max_macs(subject_of(path, max_macs=10_000))

    assert line.figures["macs"] == MACS + 2 * 25
    assert line.why.startswith("counted once, though inside If, Loop or Scan: ")
    assert "a_product" in line.why
    assert "b_product" in line.why
