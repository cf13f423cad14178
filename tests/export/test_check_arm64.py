"""The arm64 lines of a check, with a machine that computes as this one does, or does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import QuantType

from edgestill.deploy.agent.files import Files
from edgestill.export.arm64 import Arm64
from edgestill.export.arm64_root import Arm64Root
from edgestill.export.check import check_model
from edgestill.export.check_arm64 import sums_are_exact
from edgestill.export.check_subject import Subject
from edgestill.export.contract import Contract
from edgestill.export.runtime import infer, open_session

Write = Callable[..., Path]
Machine = Callable[..., Arm64Root]
Images = NDArray[np.float32]
LINES = ["arm64.runs", "arm64.finite", "arm64.agrees"]


@pytest.fixture
def here(machine: Machine, tmp_path: Path) -> Arm64:
    """A machine whose logits are those of this one."""
    return Arm64(files=machine(tmp_path / "here"))


@pytest.fixture
def swapped(machine: Machine, tmp_path: Path) -> Callable[[Path], Arm64]:
    """A machine that runs another file than the one asked for."""

    def make(other: Path) -> Arm64:
        python = machine(tmp_path / "unused").qemu.read_text().split()[-2]
        return Arm64(
            files=machine(tmp_path / "swapped", f'exec {python} "$1" {other} "$3" "$4" "$5"')
        )

    return make


def scaled(model: Path, factor: float) -> Path:
    """The classifier with its last matrix, and so its logits, times `factor`."""
    proto = onnx.load(model)
    (matrix,) = [each for each in proto.graph.initializer if each.name == "matrix"]
    matrix.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(matrix) * factor, "matrix"))
    path = model.with_name(f"scaled{factor}.onnx")
    onnx.save(proto, path)
    return path


def test_without_a_machine_there_is_no_such_line(good: Path) -> None:
    report = check_model(good, contract=Contract())

    assert not {line.name for line in report.lines} & set(LINES)


@pytest.mark.parametrize("kind", [QuantType.QInt8, QuantType.QUInt8])
def test_equal_kernels_agree_to_the_bit(
    kind: QuantType, good: Path, quantize: Write, images: Images, here: Arm64
) -> None:
    report = check_model(quantize(good, kind), contract=Contract(), samples=images, arm64=here)

    assert [report.line(name).verdict for name in LINES] == ["pass"] * 3
    assert "0 of 64 rows differ, top-1 agrees on 100.00%" in report.line("arm64.agrees").found
    assert report.tools["arm64"] == "cortex-a76 in qemu 1.2.3, ONNX Runtime 1.2.3"


@pytest.mark.parametrize(("factor", "verdict"), [(1.009, "pass"), (1.011, "fail")])
def test_the_tolerance_is_a_share_of_the_largest_logit(
    factor: float, verdict: str, good: Path, images: Images, swapped: Callable[[Path], Arm64]
) -> None:
    machine = swapped(scaled(good, factor))

    line = check_model(good, contract=Contract(), samples=images, arm64=machine).line(
        "arm64.agrees"
    )

    assert line.verdict == verdict
    assert line.figures["top1_agreement"] == 1.0
    assert line.figures["max_abs"] == pytest.approx(
        (factor - 1) * line.figures["largest"], rel=1e-3
    )


def test_the_contract_sets_the_tolerance(
    good: Path, images: Images, swapped: Callable[[Path], Arm64]
) -> None:
    machine = swapped(scaled(good, 1.05))
    contract = Contract(arm64_tolerance=0.06)

    report = check_model(good, contract=contract, samples=images, arm64=machine)

    assert report.line("arm64.agrees").verdict == "pass"


def test_two_machines_may_differ_as_much_as_fused_and_unfused_do_here(
    good: Path,
    images: Images,
    swapped: Callable[[Path], Arm64],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = swapped(scaled(good, 1.03))
    monkeypatch.setattr(
        Subject, "unfused", property(lambda subject: subject.outputs["logits"] * 1.04)
    )

    line = check_model(good, contract=Contract(), samples=images, arm64=machine).line(
        "arm64.agrees"
    )

    assert line.verdict == "pass"
    assert line.figures["limit"] == pytest.approx(0.04 * line.figures["largest"], rel=1e-3)


def test_the_file_is_run_unfused_for_that(good: Path, images: Images) -> None:
    fused, unfused = (
        open_session(good, fused=each, optimized_to=good.with_name(f"{each}.onnx"))
        for each in (True, False)
    )

    kinds = [
        {node.op_type for node in onnx.load(good.with_name(f"{each}.onnx")).graph.node}
        for each in (True, False)
    ]

    assert "Relu" not in kinds[0]
    assert "Relu" in kinds[1]
    assert np.allclose(infer(fused, images), infer(unfused, images), atol=1e-5)


def test_nan_on_arm64_alone_fails(
    nan_on_zeros: Path, good: Path, images: Images, swapped: Callable[[Path], Arm64]
) -> None:
    images[3] = 0

    report = check_model(good, contract=Contract(), samples=images, arm64=swapped(nan_on_zeros))

    assert report.line("arm64.finite").found == "NaN or Inf in 1 of 64 rows"
    assert [report.line(name).verdict for name in LINES] == ["pass", "fail", "fail"]
    assert not report.ok


def test_a_file_that_arm64_refuses_fails_and_the_lines_after_it_are_skipped(
    good: Path, machine: Machine, tmp_path: Path
) -> None:
    refuses = """echo '{"error": "no kernel for Conv"}'; exit 1"""
    arm64 = Arm64(files=machine(tmp_path / "m", refuses))

    report = check_model(good, contract=Contract(), arm64=arm64)

    assert [report.line(name).verdict for name in LINES] == ["fail", "skipped", "skipped"]
    assert report.line("arm64.runs").why == "ONNX Runtime on arm64: no kernel for Conv"


def test_an_emulator_that_breaks_is_an_error_and_no_failure_of_the_model(
    good: Path, machine: Machine, tmp_path: Path
) -> None:
    arm64 = Arm64(files=machine(tmp_path / "m", "exit 139"))

    report = check_model(good, contract=Contract(), arm64=arm64)

    assert report.line("arm64.runs").verdict == "error"
    assert not report.ok


@pytest.mark.parametrize(
    ("flags", "exact"),
    [("avx2 avx512_vnni", True), ("avx2 avx_vnni", True), ("amx_int8", True), ("avx2 fma", False)],
)
def test_processors_whose_own_sums_saturate_are_known(
    flags: str, exact: bool, tmp_path: Path
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(f"flags\t: fpu {flags}\n")

    assert sums_are_exact(Files(tmp_path)) is exact
