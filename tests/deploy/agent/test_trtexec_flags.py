"""trtexec's command lines by version; the fake trtexec takes each, and no other version's."""

from __future__ import annotations

from typing import Any

import pytest

from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.inputs import fixed_sizes
from edgestill.deploy.agent.onnx_file import OnnxFile
from edgestill.deploy.agent.protocol import Case
from edgestill.deploy.agent.trtexec_flags import (
    Asked,
    Version,
    build_flags,
    numbers,
    profile_flags,
    run_flags,
    why_no_dla,
)

V8_2, V8_6, V10_9, V11 = (8, 2, 1), (8, 6, 1), (10, 9, 0), (11, 0, 0)
FIXED = OnnxFile({"x": [1, 3, 8, 8]}, quantized=False, half=False)
FREE = OnnxFile({"x:0": ["N", 3, 8, 8], "mask": ["N", 8]}, quantized=False, half=False)
QUANTIZED = OnnxFile({"x": [1, 3, 8, 8]}, quantized=True, half=False)


def built(version: Version, onnx: OnnxFile = FIXED, batch: int = 1, **changes: Any) -> list[str]:
    case = Case(model="m.onnx", batch=batch, **changes)
    shapes = {name: fixed_sizes(name, sizes, batch) for name, sizes in onnx.inputs.items()}
    return build_flags(Asked(version, case, onnx, shapes), "m.engine", "t.cache")


def ran(version: Version, seconds: float = 2.5, **changes: Any) -> list[str]:
    return run_flags(
        Asked(version, Case(model="m.onnx", **changes), FIXED, {"x": [1, 3, 8, 8]}),
        "m.engine",
        runs=30,
        seconds=seconds,
        warm_up_ms=250,
        times="times.json",
    )


@pytest.mark.parametrize(
    ("version", "flags"),
    [
        (V8_2, {"--buildOnly", "--workspace=1024"}),
        ((8, 5, 2), {"--buildOnly", "--memPoolSize=workspace:1024"}),
        (V8_6, {"--skipInference", "--memPoolSize=workspace:1024"}),
        (V10_9, {"--skipInference", "--memPoolSize=workspace:1024", "--stronglyTyped"}),
        (V11, {"--skipInference", "--memPoolSize=workspace:1024"}),
    ],
)
def test_an_engine_is_built_in_the_words_of_each_version(version: Version, flags: set[str]) -> None:
    common = {"--onnx=m.onnx", "--saveEngine=m.engine", "--timingCacheFile=t.cache"}

    assert set(built(version)) == common | flags


@pytest.mark.parametrize(
    ("version", "precision", "onnx", "flags"),
    [
        (V8_6, "as-file", FIXED, set()),
        (V8_6, "as-file", QUANTIZED, {"--int8"}),
        (V10_9, "as-file", QUANTIZED, {"--stronglyTyped"}),
        (V10_9, "fp16", FIXED, {"--fp16"}),
        (V10_9, "int8", QUANTIZED, {"--fp16", "--int8"}),
        (V11, "as-file", QUANTIZED, set()),
    ],
)
def test_the_precision_is_given_only_where_it_is_taken(
    version: Version, precision: str, onnx: OnnxFile, flags: set[str]
) -> None:
    given = set(built(version, onnx, precision=precision))

    assert given & {"--fp16", "--int8", "--stronglyTyped"} == flags


def test_another_precision_than_the_files_is_refused_from_11_on() -> None:
    with pytest.raises(AgentError, match="export it with --precision fp16") as refused:
        built(V11, precision="fp16")

    assert refused.value.kind == "request"


def test_a_version_that_nobody_has_described_is_refused() -> None:
    with pytest.raises(AgentError, match=r"of TensorRT 7\.1\.3; 8\.2\.0 is the oldest"):
        built((7, 1, 3))


@pytest.mark.parametrize(
    ("version", "flags"),
    [
        (V8_2, {"--useCudaGraph", "--exposeDMA"}),
        (V10_9, {"--useCudaGraph", "--exposeDMA"}),
        (V11, {"--includeDataTransfers", "--noSpinWait", "--exposeDMA"}),
    ],
)
def test_the_same_is_timed_whatever_the_defaults_are(version: Version, flags: set[str]) -> None:
    switches = {flag for flag in ran(version) if "=" not in flag}

    assert switches == flags


def test_a_run_is_as_long_as_asked_and_its_times_are_written() -> None:
    assert {"--iterations=30", "--duration=2.5", "--warmUp=250", "--exportTimes=times.json"} <= set(
        ran(V10_9)
    )
    assert "--duration=3" in ran(V8_2)  # which takes whole seconds, and would cut 2.5 to 2


@pytest.mark.parametrize("seconds", [0.0, 1e-6, 0.3, 3600.0])
def test_durations_are_never_written_with_an_exponent_that_means_another(seconds: float) -> None:
    (flag,) = [flag for flag in ran(V10_9, seconds) if flag.startswith("--duration")]

    assert float(flag.split("=")[1]) == pytest.approx(seconds)


def test_free_axes_are_given_sizes_and_fixed_ones_are_not() -> None:
    assert "--shapes=x:0:4x3x8x8,mask:4x8" in built(V10_9, FREE, batch=4)
    assert not [flag for flag in built(V10_9, FIXED) if "hapes" in flag]


@pytest.mark.parametrize("version", [V8_2, V8_6, V10_9, V11])
def test_an_engine_for_several_batches_gets_their_smallest_best_and_largest(
    version: Version,
) -> None:
    least, best, most = (
        {name: fixed_sizes(name, sizes, batch) for name, sizes in FREE.inputs.items()}
        for batch in (1, 4, 8)
    )
    asked = Asked(version, Case(model="m.onnx", batch=4), FREE, best, least, most)

    flags = build_flags(asked, "m.engine", None)

    assert {
        "--minShapes=x:0:1x3x8x8,mask:1x8",
        "--optShapes=x:0:4x3x8x8,mask:4x8",
        "--maxShapes=x:0:8x3x8x8,mask:8x8",
    } <= set(flags)
    assert not [flag for flag in flags if flag.startswith("--shapes")]


def test_a_workspace_and_a_file_of_layers_are_given_as_asked() -> None:
    asked = Asked(V10_9, Case(model="m.onnx"), FIXED, {"x": [1, 3, 8, 8]}, workspace_mib=64)

    flags = set(build_flags(asked, "m.engine", None, "m.layers.json"))

    assert "--memPoolSize=workspace:64" in flags
    assert {"--exportLayerInfo=m.layers.json", "--profilingVerbosity=detailed"} <= flags


@pytest.mark.parametrize(
    ("version", "can"),
    [
        ((8, 6, 1), True),
        ((10, 7, 0), True),
        ((10, 8, 0), False),
        ((10, 16, 1), False),
        ((11, 4, 0), False),
        ((11, 4, 1), True),
    ],
)
def test_a_dla_is_not_in_every_release(version: Version, can: bool) -> None:
    assert (why_no_dla(version) is None) == can


@pytest.mark.parametrize("text", ["", "10", "10.", "10.3.x", "-1.2", "10.3.0.26.1", "1" * 6 + ".0"])
def test_what_is_no_version_is_none(text: str) -> None:
    assert numbers(text) is None


@pytest.mark.parametrize("name", ["a,b", "it's"])
def test_a_name_that_the_flag_cannot_carry_is_refused(name: str) -> None:
    onnx = OnnxFile({name: ["N", 3]}, quantized=False, half=False)

    with pytest.raises(AgentError, match="cannot be told the shape of an input"):
        built(V10_9, onnx, batch=2)


def test_a_dla_is_built_for_with_the_gpu_behind_it_and_loaded_by_its_number() -> None:
    assert {"--useDLACore=1", "--allowGPUFallback", "--fp16"} <= set(built(V8_6, dla_core=1))
    assert "--useDLACore=1" in ran(V8_6, dla_core=1)


@pytest.mark.parametrize(
    ("version", "flag"), [(V8_2, "--separateProfileRun"), (V11, "--noCudaGraph")]
)
def test_layers_are_profiled_apart_and_without_a_graph(version: Version, flag: str) -> None:
    asked = Asked(version, Case(model="m.onnx"), FIXED, {"x": [1, 3, 8, 8]})

    flags = profile_flags(asked, "m.engine", runs=20, profile="p.json")

    assert {flag, "--exportProfile=p.json"} <= set(flags)
    assert "--useCudaGraph" not in flags
