"""Comparison: the drop to the last image, the fusion that was counted, noise that says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType

from edgestill.export.check import check_model
from edgestill.export.contract import Contract, ParityLimits
from edgestill.export.runtime import infer, open_session

Write = Callable[..., Path]
Images = NDArray[np.float32]
Labels = NDArray[np.int64]


@pytest.mark.parametrize(("limit", "verdict"), [(0.5, "pass"), (0.51, "fail")])
def test_int8_fraction_judges_what_the_runtime_fuses(
    limit: float, verdict: str, good: Path, quantize: Write
) -> None:
    half = quantize(good, QuantType.QUInt8, only=["conv"])

    report = check_model(half, contract=Contract(int8_fraction=limit), target="ort-x86")

    line = report.line("int8_fraction")
    assert (line.verdict, line.found) == (verdict, "1/2 in INT8 (onnxruntime)")
    assert "in float: " in line.why


def test_a_fusion_that_is_only_predicted_says_so(good: Path, quantize: Write) -> None:
    model = quantize(good, QuantType.QInt8)

    report = check_model(model, contract=Contract(int8_fraction=0.9), target="tensorrt")

    line = report.line("int8_fraction")
    assert (line.verdict, line.found) == ("pass", "2/2 in INT8 (predicted)")
    assert "not seen in tensorrt" in line.why


def test_without_a_limit_a_float_file_is_held_to_its_rounding(
    good: Path, write_classifier: Write, images: Images
) -> None:
    other = write_classifier("other", seed=1)

    wrong = check_model(other, contract=Contract(), reference=good, samples=images)
    right = check_model(good, contract=Contract(), reference=good, samples=images)

    assert wrong.line("parity").verdict == "fail"
    assert wrong.line("parity").figures["max_abs"] > 1
    assert "first layer that differs: conv" in wrong.line("parity").why
    assert "differs" not in right.line("parity").why
    assert right.line("parity").verdict == "pass"


def test_without_a_limit_the_distance_of_8_bits_is_shown_and_not_judged(
    good: Path, quantize: Write, images: Images
) -> None:
    coded = quantize(good, QuantType.QInt8)

    line = check_model(coded, contract=Contract(), reference=good, samples=images).line("parity")

    assert line.verdict == "skipped"
    assert line.figures["max_abs"] > 0
    assert "edgestill check --init measures one" in line.why


def test_a_drop_of_exactly_the_limit_passes(
    good: Path, write_classifier: Write, images: Images, labels: Labels
) -> None:
    other = write_classifier("other", seed=1)
    lost = int((infer(open_session(other), images).argmax(axis=1) != labels).sum())
    assert lost  # else this shows nothing

    def verdict(drop: float) -> str:
        contract = Contract(top1_drop=drop)
        report = check_model(
            other, contract=contract, reference=good, samples=images, labels=labels
        )
        return report.line("top1_drop").verdict

    assert verdict(lost / 64) == "pass"
    assert verdict((lost - 1) / 64) == "fail"


def test_a_better_model_than_the_reference_passes(
    good: Path, write_classifier: Write, images: Images, labels: Labels
) -> None:
    other = write_classifier("other", seed=1)

    report = check_model(
        good,
        contract=Contract(top1_drop=0.0),
        reference=other,
        samples=images,
        labels=labels,
    )

    assert report.line("top1_drop").verdict == "pass"


def test_no_images_means_seeded_noise_and_the_report_says_so(good: Path) -> None:
    contract = Contract(parity=ParityLimits(max_abs=0.1))

    reports = [check_model(good, contract=contract, reference=good) for _ in range(2)]

    assert reports[0] == reports[1]
    assert reports[0].inputs == "no samples given: 32 rows of seeded noise"
    assert "seeded noise" in reports[0].line("parity.max_abs").why
