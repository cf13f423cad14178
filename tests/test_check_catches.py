"""The faults of benchmarks/check_catches.py: each really is one, and its tables add up."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest

from edgestill.export.ports import run_samples
from edgestill.export.runtime import open_session
from edgestill.models.errors import BadInput

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from faults import all_faults  # noqa: E402  # benchmarks is no package
from faults.bases import MAKERS, Bases  # noqa: E402
from faults.comparison import Comparison, Row  # noqa: E402
from faults.good_builds import reordered  # noqa: E402
from faults.judges import OURS, Judgement, apart_in, rounded_up  # noqa: E402

if TYPE_CHECKING:
    from faults.registry import Fault

# Those that take seconds are left to the benchmark: other networks, and networks exported anew.
QUICK = ("digits", "digits external", "digits ort-x86", "digits tensorrt", "digits ort-arm64")
PLANTED = [fault for fault in all_faults() if fault.on in QUICK and not fault.exports]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    return Bases(tmp_path_factory.mktemp("bases"), epochs=1)


def test_at_least_25_faults_are_told_apart_and_explained() -> None:
    faults = all_faults()

    assert len({fault.name for fault in faults}) >= 25
    assert len({(fault.name, fault.on) for fault in faults}) == len(faults)
    assert all(fault.what.endswith((".", "?", ")")) for fault in faults)


@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: f"{fault.name} in {fault.on}")
def test_a_fault_changes_the_files_and_loads_where_it_says_so(
    bases: Bases, fault: Fault, tmp_path: Path
) -> None:
    base = bases[fault.on]
    for name, data in fault.files(base).items():
        (tmp_path / name).write_bytes(data)

    before = {path.name: path.read_bytes() for path in base.folder.iterdir()}
    before["model.onnx"] = before.pop("good.onnx")
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    if after["model.onnx"] == before["model.onnx"]:  # then the fault is in the file beside it
        assert "weights.bin" in before
        assert after.get("weights.bin") != before["weights.bin"]
    if fault.loads:
        open_session(tmp_path / "model.onnx")
    else:
        with pytest.raises(BadInput):
            open_session(tmp_path / "model.onnx")


def test_a_reordered_build_computes_the_same_bits(bases: Bases, tmp_path: Path) -> None:
    base = bases["digits ort-x86"]
    onnx.save(reordered(base.proto()), tmp_path / "model.onnx")

    expected = outputs(base.good, base.samples)
    found = outputs(tmp_path / "model.onnx", base.samples)

    assert (tmp_path / "model.onnx").read_bytes() != base.good.read_bytes()
    np.testing.assert_array_equal(found["logits"], expected["logits"])


def test_a_fault_that_passes_and_a_good_build_that_fails_break_the_promise() -> None:
    passes, fails = Judgement(alarm=False), Judgement(alarm=True, why="parity")
    found = Comparison(versions={"onnx": "1"})
    found.faults = [
        Row(name="caught", on="digits", group="layers", told={OURS: fails}),
        Row(name="missed", on="digits", group="layers", told={OURS: passes}),
    ]
    found.good = [
        Row(name="right", on="digits", group="good", told={OURS: passes}),
        Row(name="wronged", on="digits", group="good", told={OURS: fails}),
    ]

    assert found.broken() == [
        "missed in digits is not caught",
        "digits, wronged: a good build fails (parity)",
    ]
    assert found.content()["caught"][OURS] == 1
    assert found.content()["false_alarms"][OURS] == 1
    assert "| missed | digits |" in found.markdown()
    assert "**missed**" in found.markdown()


def test_the_tolerance_that_polygraphy_asks_for_is_read_and_rounded_up() -> None:
    told = (
        "Minimum Required Tolerance: elemwise error | [abs=0.013] OR [rel=1.4] (...)\n"
        "Minimum Required Tolerance: elemwise error | [abs=2.4e-07] OR [rel=1e-06] (...)\n"
    )

    assert apart_in(told) == 0.013
    assert rounded_up(0.013) == 0.02
    assert rounded_up(1e-5) == 1e-5


def test_every_base_of_a_fault_can_be_made() -> None:
    from check_catches import INT8, TORCHVISION

    known = {*MAKERS, *TORCHVISION, *INT8}

    assert {fault.on for fault in all_faults()} <= known
    assert len(TORCHVISION) >= 15


def outputs(path: Path, samples: Any) -> dict[str, Any]:
    return run_samples(open_session(path), samples)
