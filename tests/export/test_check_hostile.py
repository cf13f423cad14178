"""Files made to break their reader, through the real command: a verdict or exit 2, and no more.

One call checks them all, so that a crash of any would show in those after it.
"""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgestill.export.check_child import CheckWorker
from edgestill.export.check_limits import Limits
from edgestill.export.contract import Contract
from edgestill.models.errors import BadInput

from ..conftest import Edgestill
from .conftest import classifier
from .endless import endless, vast
from .test_check_safety import bombs, chain, deep, functions, outside, relu

Make = Callable[[Path], object]


def saved(model: ModelProto) -> Make:
    return lambda path: onnx.save(model, path)


def sound(path: Path) -> None:
    onnx.save(classifier(), path)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(5000))


def truncated(path: Path) -> None:
    data = classifier().SerializeToString()
    path.write_bytes(data[: len(data) // 2])


def claims_2_gb(path: Path) -> None:
    # Field 7, the graph, of 2 GB: the length alone, in a file of some bytes.
    path.write_bytes(b"\x08\x0a\x3a" + b"\xff\xff\xff\xff\x07" + b"abc")


def claims_a_2_gb_tensor(path: Path) -> None:
    model = classifier()
    model.graph.initializer[0].dims[:] = [2**29]
    path.write_bytes(model.SerializeToString())


def larger_than_protobuf(path: Path) -> None:
    # Sparse: 3 GB of nothing, which take no space on the disk.
    with path.open("wb") as file:
        file.truncate(3 << 30)


def nested(path: Path) -> None:
    """Graphs in graphs, 20,000 deep, as protobuf bytes: deeper than any stack."""
    data = b""
    for _ in range(300):
        # AttributeProto.g (6) in NodeProto.attribute (5) in GraphProto.node (1).
        data = field(1, field(5, field(6, data)))
    path.write_bytes(b"\x08\x0a" + field(7, data))


def field(number: int, data: bytes) -> bytes:
    size, length = bytearray(), len(data)
    while True:
        size.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes([number << 3 | 2]) + bytes(size) + data


def side_file(**told: str) -> Make:
    def make(path: Path) -> None:
        model = classifier()
        model.graph.initializer[0].ClearField("raw_data")
        outside(model.graph.initializer[0], **told)
        path.write_bytes(model.SerializeToString())

    return make


def nan_weights(path: Path) -> None:
    model = classifier()
    values = numpy_helper.to_array(model.graph.initializer[0]).copy()
    values.flat[7] = np.nan
    model.graph.initializer[0].raw_data = values.tobytes()
    path.write_bytes(model.SerializeToString())


def twice_the_same_name(path: Path) -> None:
    model = classifier()
    model.graph.node[1].output[0] = model.graph.node[0].output[0]
    path.write_bytes(model.SerializeToString())


def no_text(path: Path) -> None:
    path.write_bytes(classifier().SerializeToString().replace(b"pooled", b"\xffooled"))


def escapes(path: Path) -> None:
    """Names that would clear a terminal, and end a table's cell or an XML element."""
    name = "\x1b[2J\r\n]]><script>|`\u202e"
    node = helper.make_node("Relu", ["images"], [name], name)
    end = helper.make_node("Nothing", [name], ["seen"], "end")
    onnx.save(classifier(before=[node, end]), path)


def of_shape(*shape: int | str) -> Make:
    def make(path: Path) -> None:
        model = classifier()
        value = helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)
        model.graph.input[0].CopyFrom(value)
        path.write_bytes(model.SerializeToString())

    return make


def reshaped(*sizes: int) -> Make:
    """A classifier whose images are expanded to a shape that no 32 bits count."""

    def make(path: Path) -> None:
        before = [
            helper.make_node("Expand", ["images", "sizes"], ["huge"]),
            helper.make_node("ReduceMean", ["huge", "first"], ["seen"], keepdims=0),
        ]
        constants = [
            numpy_helper.from_array(np.array(sizes), "sizes"),
            numpy_helper.from_array(np.array([0]), "first"),
        ]
        onnx.save(classifier(before=before, constants=constants), path)

    return make


def convolution(**attributes: Any) -> Make:
    def make(path: Path) -> None:
        model = classifier()
        del model.graph.node[0].attribute[:]
        for name, value in attributes.items():
            model.graph.node[0].attribute.append(helper.make_attribute(name, value))
        path.write_bytes(model.SerializeToString())

    return make


def custom_library(path: Path) -> None:
    """An operator of a library of one's own, and settings that ask ONNX Runtime to load it."""
    node = helper.make_node("Evil", ["images"], ["seen"], domain="custom.library")
    model = classifier(before=[node])
    settings = {"session_options": {"custom_ops_library": str(path.with_suffix(".so"))}}
    model.metadata_props.add(key="ort_config", value=json.dumps(settings))
    path.write_bytes(model.SerializeToString())
    path.with_suffix(".so").write_bytes(b"\x7fELF")


# What it is -> how it is made, and the line that must fail (None: none may).
FILES: dict[str, tuple[Make, str | None]] = {
    "sound": (sound, None),
    "empty": (empty, "readable"),
    "noise": (noise, "readable"),
    "truncated": (truncated, "readable"),
    "claims 2 GB": (claims_2_gb, "readable"),
    "larger than protobuf": (larger_than_protobuf, "readable"),
    "nested": (nested, "readable"),
    "no text": (no_text, "readable"),
    "claims a 2 GB tensor": (claims_a_2_gb_tensor, "tensors"),
    "side file gone": (side_file(location="gone.bin", length="432"), "side_files"),
    "side file above": (side_file(location="../secret.bin"), "side_files"),
    "side file of the system": (side_file(location="/etc/passwd"), "side_files"),
    "side file without end": (side_file(location="/dev/zero"), "side_files"),
    "side file too short": (side_file(location="sound.onnx", offset="999999"), "side_files"),
    "cycle": (saved(chain(relu("a", "b"), relu("b", "a"))), "graph"),
    "dangling": (saved(chain(relu("nowhere", "y"))), "graph"),
    "output of nothing": (saved(chain(relu("x", "h"))), "graph"),
    "same name twice": (twice_the_same_name, "graph"),
    "deep": (saved(deep(10)), "graph"),
    "recursive": (saved(functions({"f": ["f"]})), "graph"),
    "function bomb": (saved(bombs(60)), "graph"),
    "unknown operator": (saved(chain(helper.make_node("Nonsense", ["x"], ["y"]))), "operators"),
    "custom library": (custom_library, "operators"),
    "escapes": (escapes, "operators"),
    "opset 999": (saved(classifier(opset=999)), "opset_max"),
    "opset 0": (saved(classifier(opset=0)), "checker"),
    "IR 999": (saved(classifier(ir=999)), "ir_max"),
    "NaN weights": (nan_weights, "tensors"),
    "negative size": (of_shape("N", 3, -8, 8), "tensors"),
    "size 0": (of_shape("N", 3, 0, 8), "tensors"),
    "overflowing shape": (of_shape("N", 3, 65536, 65536), "tensors"),
    "overflow at run time": (reshaped(2**31, 1, 3, 8, 8), "runs"),
    "64-bit overflow at run time": (reshaped(2**62, 4, 3, 8, 8), "runs"),
    "kernel of 2^62": (convolution(kernel_shape=[2**62, 2**62]), "runs"),
    "strides of 0": (convolution(strides=[0, 0]), "loads"),
    "padding of 2^62": (convolution(pads=[2**62] * 4), "loads"),
    "group 0": (convolution(group=0), "runs"),
    "memory without end": (lambda path: vast(path, elements=2**40), "runs"),
}
TAKE_MORE_MEMORY = ("overflow at run time", "memory without end")
"""Not the fault of the file alone: the line says so, and that the check may be allowed more."""


@pytest.fixture(scope="module")
def hostile_worker() -> Iterator[CheckWorker]:
    with CheckWorker() as worker:
        yield worker


@pytest.fixture(scope="module")
def reports(
    tmp_path_factory: pytest.TempPathFactory, edgestill: Edgestill
) -> dict[str, dict[str, Any]]:
    """The report on each file, by what it is."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "secret.bin").write_bytes(bytes(432))
    inner = folder / "models"
    inner.mkdir()
    for name, (make, _) in FILES.items():
        make(inner / f"{name}.onnx")
    words = ["check", *(f"models/{name}.onnx" for name in FILES), "--memory", "2GB"]
    files = [x for kind in ("json", "junit", "sarif", "markdown") for x in (f"--{kind}", kind)]

    done = edgestill(*words, *files, cwd=folder, timeout=240)

    assert done.returncode == 1, done.stderr
    for said in (done.stdout, done.stderr):
        assert "Traceback" not in said
        assert "\x1b[2J" not in said
    told = json.loads((folder / "json").read_text())["reports"]
    return {Path(report["model"]).stem: report for report in told}


def test_every_file_has_a_report(reports: dict[str, dict[str, Any]]) -> None:
    assert list(reports) == list(FILES)


@pytest.mark.parametrize("name", FILES)
def test_the_verdict_is_that_of_the_line_that_knows(
    reports: dict[str, dict[str, Any]], name: str
) -> None:
    _, failing = FILES[name]
    report = reports[name]
    lines = {line["name"]: line for line in report["lines"]}

    assert report["ok"] == (failing is None)
    if failing is not None:
        wanted = "error" if name in TAKE_MORE_MEMORY else "fail"
        assert lines[failing]["verdict"] == wanted, lines
        # No line breaks: what is wrong with a file is a verdict, not a fault of the check.
        errors = [line["why"] for line in lines.values() if line["verdict"] == "error"]
        assert all("allow more with --memory" in why for why in errors)
        assert bool(errors) is (name in TAKE_MORE_MEMORY)
        assert all(line["why"].isprintable() for line in lines.values())


def pickled(path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {path.with_name('unpickled')}",)

    arrays: dict[str, Any] = {"inputs/images": np.array([Evil()], dtype=object)}
    np.savez(path, **arrays)


def claim(path: Path) -> None:
    """An array whose header promises 4 TB."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("inputs/images.npy", header((2**20, 2**20)) + bytes(100))


def bomb(path: Path) -> None:
    """420 MB of zeros in 2 MB."""
    rows = 420_000_000 // (4 * 3 * 8 * 8)
    zeros = bytes(1000 * 768)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open("inputs/images.npy", "w") as array,
    ):
        array.write(header((rows, 3, 8, 8)))
        for _ in range(rows // 1000 + 1):
            array.write(zeros)


def junk(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 and no more")


@pytest.mark.parametrize("make", [truncated, junk, claim, pickled, bomb])
def test_a_hostile_reference_is_bad_input(
    make: Make, tmp_path: Path, hostile_worker: CheckWorker
) -> None:
    sound(tmp_path / "sound.onnx")
    reference = tmp_path / f"reference{'.onnx' if make is truncated else '.npz'}"
    make(reference)

    with pytest.raises(BadInput, match=r"reference\.(npz|onnx)"):
        hostile_worker.check(
            tmp_path / "sound.onnx",
            contract=Contract(),
            reference=reference,
            limits=Limits(memory_bytes=400_000_000),
        )
    assert not (tmp_path / "unpickled").exists()


def test_the_command_says_so_in_a_line(tmp_path: Path, edgestill: Edgestill) -> None:
    sound(tmp_path / "sound.onnx")
    pickled(tmp_path / "pickled.npz")

    done = edgestill("check", "sound.onnx", "--reference", "pickled.npz", cwd=tmp_path)

    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("edgestill: pickled.npz: not an .npz file of numbers")
    assert not (tmp_path / "unpickled").exists()


def test_the_command_holds_to_its_time(tmp_path: Path, edgestill: Edgestill) -> None:
    endless(tmp_path / "endless.onnx")

    done = edgestill("check", "endless.onnx", "--timeout", "1", "--json", "v.json", cwd=tmp_path)

    # On a busy machine the time is over before the first line, and there is no report.
    report = tmp_path / "v.json"
    said = report.read_text() if done.returncode == 1 else done.stderr
    assert "did not end within 1 s; allow more with --timeout" in said
    assert done.returncode == (1 if report.exists() else 2)


def header(shape: tuple[int, ...]) -> bytes:
    text = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
