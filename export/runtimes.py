"""Runtimes: the newest opset and IR version that each release reads, as data with its sources.

A file for an older runtime must be written in an older opset. Newer releases read older files.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from ..models.errors import BadInput

TABLE = "docs/operators.md of onnx/onnx-tensorrt"
LOADED = "a file of one operator, loaded by the release's x86-64 wheel; one opset more is refused"


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One release of a runtime."""

    name: str
    """tensorrt | onnxruntime"""
    version: str
    opset_max: int
    ir_max: int
    """TensorRT's parser does not look at it: that of the ONNX release which has the opset."""
    source: str

    def __str__(self) -> str:
        return f"{self.name}-{self.version}"


def _rows(name: str, *rows: tuple[str, int, int, str]) -> tuple[Runtime, ...]:
    return tuple(
        Runtime(name=name, version=version, opset_max=opset, ir_max=ir, source=source)
        for version, opset, ir, source in rows
    )


RUNTIMES = (
    *_rows(
        "tensorrt",
        ("8.0", 13, 7, f"{TABLE}, branch 8.0-GA; built with ONNX 1.8"),
        ("8.2", 13, 7, f"{TABLE}, branch 8.2-GA; built with ONNX 1.8"),
        ("8.5", 17, 8, f"{TABLE}, branch 8.5-GA; built with ONNX 1.12"),
        ("8.6", 17, 8, f"{TABLE} at 6ba67d3; built with ONNX 1.13.1"),
        ("10.3", 20, 10, f"{TABLE} at 96e7811 (10.1); built with ONNX 1.16, which knows IR 10"),
        # Nothing between the tables of 10.6 and 10.15 was at hand; 10.14 brought the first
        # operator of opset 23, so 22 is the safe reading.
        ("10.13", 22, 10, f"{TABLE} at 0137504 (10.6); its changelog: ONNX 1.17"),
        ("10.16", 24, 12, f"{TABLE} at 6bde659"),
        # The release notes of 11.2 to 11.4 name no newer opset; those of 11.5 do: 25.
        ("11.4", 24, 12, f"{TABLE} at 7c51a63 (11.1)"),
    ),
    *_rows(
        "onnxruntime",
        ("1.15", 19, 9, LOADED),
        ("1.16", 19, 9, LOADED),
        ("1.17", 20, 9, LOADED),
        ("1.18", 21, 10, LOADED),
        ("1.19", 21, 10, LOADED),
        ("1.20", 21, 10, LOADED),
        ("1.21", 22, 10, LOADED),
        ("1.22", 22, 10, LOADED),
        ("1.23", 23, 11, LOADED),
        ("1.24", 25, 13, LOADED),
        *((f"1.{minor}", 26, 13, LOADED) for minor in range(25, 32)),
        ("1.32", 28, 14, LOADED),
    ),
)

# NVIDIA's JetPack pages. A JetPack brings one TensorRT; ONNX Runtime is installed by the user.
JETPACKS = {
    "4.6": "8.0",
    **{f"4.6.{patch}": "8.2" for patch in range(1, 7)},
    "5.1": "8.5",
    "6.0": "8.6",
    "6.1": "10.3",
    "6.2": "10.3",
    "7.0": "10.13",
    "7.1": "10.13",
    "7.2": "10.16",
}

OLDEST = {"tensorrt": "10.3", "ort-x86": "1.21", "ort-arm64": "1.21"}
"""Per target, what a file must suit if nobody names a runtime. TensorRT 8.6 (JetPack 6.0) reads
opset 17, and `onnx_from_model` writes 18 and up, so a file for 8.6 is no matter of course."""

_BY_NAME = {str(runtime): runtime for runtime in RUNTIMES}
_BY_NAME |= {f"jetpack-{pack}": _BY_NAME[f"tensorrt-{its}"] for pack, its in JETPACKS.items()}


def runtime_of(text: str) -> Runtime:
    """The release that `text` names: tensorrt-10.3, onnxruntime-1.18, or jetpack-6.2 for its
    TensorRT. A patch number is left out of account: tensorrt-10.3.0.

    Raises `BadInput` for anything else, with the known names and the nearest of them.
    """
    word = text.strip().lower()
    if found := _BY_NAME.get(word) or _BY_NAME.get(_without_patch(word)):
        return found
    raise BadInput(f"unknown runtime {text!r}{_nearest(word)}; known: {', '.join(_known())}")


def oldest(target: str) -> Runtime:
    """The release that a file for `target` must suit if nobody names one."""
    return _BY_NAME[f"{_program(target)}-{OLDEST[target]}"]


def newest_for(target: str, runtime: Runtime | None = None) -> tuple[int, int]:
    """(opset, IR version): the newest that a file for `target` may have, to be read by `runtime`.

    Raises `BadInput` if `runtime` is not one that runs files for `target`.
    """
    if runtime is None:
        runtime = oldest(target)
    elif runtime.name != _program(target):
        raise BadInput(
            f"{runtime} was named for the target {target}, which runs in {_program(target)}"
        )
    return runtime.opset_max, runtime.ir_max


def _program(target: str) -> str:
    return "tensorrt" if target == "tensorrt" else "onnxruntime"


def _without_patch(text: str) -> str:
    """onnxruntime-1.18.1 -> onnxruntime-1.18"""
    return re.sub(r"^(\D+\d+\.\d+)\..*$", r"\1", text)


def _known() -> list[str]:
    """tensorrt-8.0, 8.2, ...; the name once, then the versions."""
    names: dict[str, list[str]] = {}
    for text in _BY_NAME:
        name, _, version = text.partition("-")
        names.setdefault(name, []).append(version)
    return [f"{name}-{' '.join(versions)}" for name, versions in names.items()]


def _nearest(word: str) -> str:
    """The newest known release that is not newer than `word`, else the nearest spelling."""
    name, _, version = word.partition("-")
    if re.fullmatch(r"\d+(\.\d+)*", version):
        older = [
            text for text in _BY_NAME if text.startswith(f"{name}-") and _key(text) <= _key(word)
        ]
        if older:
            return f"; {max(older, key=_key)} is the newest known before it"
    close = difflib.get_close_matches(word, _BY_NAME, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _key(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.partition("-")[2].split("."))
