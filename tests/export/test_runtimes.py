"""What each release reads: the table against ONNX Runtime itself, and the names a user may give."""

from __future__ import annotations

import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from edgestill.export.runtimes import JETPACKS, OLDEST, RUNTIMES, newest_for, oldest, runtime_of
from edgestill.export.targets import TARGETS
from edgestill.models.errors import BadInput


def loads(*, opset: int, ir: int) -> bool:
    """Whether the installed ONNX Runtime takes a file of that opset and IR version."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "one", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except ort.capi.onnxruntime_pybind11_state.Fail:
        return False
    return True


def test_the_installed_onnx_runtime_reads_what_its_row_says_and_no_more() -> None:
    version = ".".join(ort.__version__.split(".")[:2])
    known = {runtime.version: runtime for runtime in RUNTIMES if runtime.name == "onnxruntime"}
    if version not in known:
        pytest.skip(f"ONNX Runtime {version} is newer than the table")
    row = known[version]

    assert loads(opset=row.opset_max, ir=row.ir_max)
    assert not loads(opset=row.opset_max + 1, ir=row.ir_max)
    assert not loads(opset=row.opset_max, ir=row.ir_max + 1)


@pytest.mark.parametrize("name", ["tensorrt", "onnxruntime"])
def test_a_newer_release_never_reads_less(name: str) -> None:
    rows = [runtime for runtime in RUNTIMES if runtime.name == name]
    numbers = [tuple(int(part) for part in row.version.split(".")) for row in rows]

    assert numbers == sorted(numbers)
    assert [row.opset_max for row in rows] == sorted(row.opset_max for row in rows)
    assert [row.ir_max for row in rows] == sorted(row.ir_max for row in rows)
    assert all(row.source for row in rows)


def test_every_opset_stands_with_an_ir_version_that_has_it() -> None:
    first: dict[int, int] = {}
    for _release, ir, opset, *_ in helper.VERSION_TABLE:
        first[opset] = min(ir, first.get(opset, ir))

    assert all(runtime.ir_max >= first[runtime.opset_max] for runtime in RUNTIMES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tensorrt-10.3", "tensorrt-10.3"),
        ("TensorRT-10.3.0", "tensorrt-10.3"),
        (" onnxruntime-1.18.1 ", "onnxruntime-1.18"),
        ("jetpack-6.2", "tensorrt-10.3"),
        ("jetpack-6.2.1", "tensorrt-10.3"),
        ("jetpack-6.0", "tensorrt-8.6"),
        ("jetpack-5.1.2", "tensorrt-8.5"),
        ("jetpack-4.6", "tensorrt-8.0"),
        ("jetpack-4.6.1", "tensorrt-8.2"),
    ],
)
def test_a_release_is_found_by_its_name_or_its_jetpack(text: str, expected: str) -> None:
    assert str(runtime_of(text)) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("tensorrt-10.7", "tensorrt-10.3 is the newest known before it"),
        ("onnxruntime-1.999", f"{[str(r) for r in RUNTIMES][-1]} is the newest known before it"),
        ("ort-1.18", "did you mean onnxruntime-1.18?"),
        ("jetpack-9", "jetpack-7.2 is the newest known before it"),
        ("nonsense", "unknown runtime 'nonsense'; known: tensorrt-8.0"),
    ],
)
def test_an_unknown_release_is_told_the_nearest_and_all_known(text: str, hint: str) -> None:
    with pytest.raises(BadInput) as refused:
        runtime_of(text)

    assert hint in str(refused.value)
    assert "jetpack-4.6" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_jetpack_has_a_tensorrt_that_is_in_the_table() -> None:
    assert all(runtime_of(f"jetpack-{pack}").name == "tensorrt" for pack in JETPACKS)


def test_a_target_alone_stands_for_its_oldest_supported_release() -> None:
    assert set(OLDEST) == set(TARGETS)
    for target in TARGETS:
        assert newest_for(target) == newest_for(target, oldest(target))
        assert newest_for(target) <= (onnx.defs.onnx_opset_version(), onnx.IR_VERSION)


def test_a_release_of_another_program_is_refused() -> None:
    assert newest_for("ort-arm64", runtime_of("onnxruntime-1.18")) == (21, 10)

    with pytest.raises(BadInput, match=r"tensorrt-10\.3 was named for the target ort-x86"):
        newest_for("ort-x86", runtime_of("tensorrt-10.3"))
