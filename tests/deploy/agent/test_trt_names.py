"""Every TensorRT name that the sources use is in NVIDIA's bindings of each version we support.

The names are collected from the sources (trt_names.py), and what there is was read from the real
bindings (trt_api/).
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from edgestill.deploy.agent.errors import AgentError
from edgestill.deploy.agent.onnx_file import OnnxFile
from edgestill.deploy.agent.precision import types_for
from edgestill.deploy.agent.protocol import PRECISIONS
from edgestill.deploy.agent.tensorrt_execution import BITS, DTYPES

from .test_cudart import compiled
from .trt_bindings import VERSIONS, facts_of
from .trt_board import board_with
from .trt_names import names_in
from .trt_values import Found, Use

ROOT = Path(__file__).parents[3]
FOLDERS = ("pipeline", "models", "export", "deploy", "benchmarks")
ONE_PLACE = "deploy/agent/tensorrt_build.py"
"""All that differs between versions stands there."""


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    return {
        path.relative_to(ROOT).as_posix(): path.read_text()
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


@pytest.fixture(scope="module")
def found(sources: dict[str, str]) -> Found:
    return names_in(sources)


def missing(found: Found, version: str) -> list[str]:
    """What the sources use and this version has not, each as path:line owner.name."""
    return [f"{use.path}:{use.line} {use.owner}.{use.name}" for use in absent(found, version)]


def absent(found: Found, version: str) -> list[Use]:
    facts = facts_of(version)
    enums: dict[str, dict[str, int]] = facts["enums"]
    classes: dict[str, dict[str, str]] = facts["classes"]

    def has(use: Use) -> bool:
        if not use.owner:
            return use.name in enums or use.name in classes
        return use.name in enums.get(use.owner, ()) or use.name in classes.get(use.owner, ())

    def can_be_set(use: Use) -> bool:
        return classes.get(use.owner, {}).get(use.name) == "read-write"

    wrong = [use for use in found.read if not has(use)]
    return sorted(wrong + [use for use in found.stored if not can_be_set(use)])


def misfits(found: Found, version: str) -> list[str]:
    """Calls whose arguments no form of the method takes in this version."""
    overloads = facts_of(version)["parameters"]
    wrong = []
    for use, count, named in sorted(found.calls):
        forms = overloads.get(f"{use.owner}.{use.name}", [])
        if forms and not any(takes(form, count, named) for form in forms):
            wrong.append(f"{use.path}:{use.line} {use.owner}.{use.name}")
    return wrong


def takes(form: list[str], count: int, named: tuple[str, ...]) -> bool:
    """form: names of parameters; an ending ? marks those with a default."""
    given = {name.rstrip("?") for name in form[:count]} | set(named)
    needed = {name for name in form if not name.endswith("?")}
    return count <= len(form) and needed <= given <= {name.rstrip("?") for name in form}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_name_is_in_the_bindings(found: Found, version: str) -> None:
    asked = {(use.owner, use.name) for use in found.asked}
    versioned = {(use.owner, use.name) for use in absent(found, version) if use.path == ONE_PLACE}
    elsewhere = [use for use in absent(found, version) if use.path != ONE_PLACE]

    assert elsewhere == []
    # Where a version lacks a name it is asked for first, or it is 8's word for what 10 does alone.
    assert versioned <= asked | {("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH")}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_call_has_arguments_that_the_method_takes(found: Found, version: str) -> None:
    assert misfits(found, version) == []


def test_nothing_of_tensorrts_is_used_that_could_not_be_followed(found: Found) -> None:
    assert found.unknown == set()
    assert {use.path for use in found.computed} <= {ONE_PLACE}


def test_the_names_are_those_of_the_whole_life_of_an_engine(found: Found) -> None:
    used = {f"{use.owner}.{use.name}" for use in found.read | found.stored}

    assert {
        "Builder.create_network",
        "OnnxParser.parse_from_file",
        "IBuilderConfig.set_timing_cache",
        "IOptimizationProfile.set_shape",
        "Runtime.deserialize_cuda_engine",
        "EngineInspector.get_engine_information",
        "IExecutionContext.execute_async_v3",
        "MemoryPoolType.WORKSPACE",
    } <= used
    assert len({f"{use.owner}.{use.name}" for use in found.read}) >= 55


@pytest.mark.parametrize("version", VERSIONS)
def test_no_name_that_the_double_sees_used_is_overlooked(
    found: Found,
    version: str,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with board_with(compiled(tmp_path), tiny_model, tmp_path / "state", monkeypatch) as board:
        board.script.dla_cores = 1
        board.has(version).warm(dla_core=0).layers()
        board.script.parser_errors = ((3, "/head/Foo", "No importer for Foo"),)
        with pytest.raises(AgentError, match="No importer"):
            board.fed(batch=2)

    used = {f"{use.owner}.{use.name}" for use in found.read | found.stored | found.asked}
    assert len(board.script.used) >= 30
    assert board.script.used <= used


MUTATIONS = [  # file, what stands there, what is made of it, what is told
    ("tensorrt_build.py", "builder.create_network(", "builder.make_network(", "make_network"),
    ("tensorrt_build.py", "MemoryPoolType.WORKSPACE", "MemoryPoolType.SCRATCH", "SCRATCH"),
    ("tensorrt_build.py", "config.profiling_verbosity =", "config.verbosity =", "verbosity"),
    ("tensorrt_build.py", ".serialize()", ".to_bytes()", "ITimingCache.to_bytes"),
    ("tensorrt_build.py", "flags.EXPLICIT_BATCH", "flags.IMPLICIT_BATCH", "IMPLICIT_BATCH"),
    ("tensorrt_execution.py", "modes.INPUT", "modes.IN", "TensorIOMode.IN"),
    ("tensorrt_execution.py", "_context.profiler =", "_context.timer =", "IExecutionContext.timer"),
    ("tensorrt_execution.py", "trt.IProfiler)", "trt.ITimer)", ".ITimer"),
    ("engine_tensorrt.py", "_runtime.DLA_core", "_runtime.core", "Runtime.core"),
]


@pytest.mark.parametrize(("file", "stands", "made", "told"), MUTATIONS)
def test_a_made_up_name_is_told_with_its_place(
    sources: dict[str, str], file: str, stands: str, made: str, told: str
) -> None:
    changed = mutated(sources, file, stands, made)

    wrong = missing(names_in(changed), "11.4.0")

    assert [each for each in wrong if each.startswith(f"deploy/agent/{file}:") and told in each]


@pytest.mark.parametrize(
    ("file", "stands", "made"),
    [
        ("tensorrt_execution.py", "stream_handle=", "stream="),
        ("tensorrt_execution.py", "set_input_shape(name, sizes)", "set_input_shape(sizes)"),
        ("tensorrt_build.py", "get_timing_cache()", "get_timing_cache(True)"),
    ],
)
def test_arguments_that_a_method_does_not_take_are_told(
    sources: dict[str, str], file: str, stands: str, made: str
) -> None:
    changed = mutated(sources, file, stands, made)

    assert [each for each in misfits(names_in(changed), "10.3.0") if file in each]


def test_a_value_that_cannot_be_followed_is_told(sources: dict[str, str]) -> None:
    path = "deploy/agent/tensorrt_build.py"
    text = sources[path] + "\n\ndef lost(thing: Any) -> Any:\n    return thing.anything_at_all\n"

    found = names_in({path: text})

    assert [each for each in found.unknown if each.endswith(".anything_at_all")]


def mutated(sources: dict[str, str], file: str, stands: str, made: str) -> dict[str, str]:
    """TensorRT's part of the agent, with one name changed."""
    agent = {path: sources[path] for path in sources if path.startswith("deploy/agent/")}
    agent = {path: text for path, text in agent.items() if "tensorrt" in path}
    text = agent[f"deploy/agent/{file}"]
    assert stands in text
    return {**agent, f"deploy/agent/{file}": text.replace(stands, made)}


@pytest.mark.parametrize("version", VERSIONS)
def test_flags_for_a_precision_are_some_that_the_version_has(version: str) -> None:
    facts = facts_of(version)
    strong = "STRONGLY_TYPED" in facts["enums"]["NetworkDefinitionCreationFlag"]
    asked: set[str] = set()
    for precision, dla, quantized, half in itertools.product(
        PRECISIONS, (False, True), (False, True), (False, True)
    ):
        file = OnnxFile({}, quantized, half)
        try:
            asked.update(types_for(precision, file, version, strong, dla).flags)
        except AgentError:  # a precision that this file or version has not
            continue

    assert asked <= set(facts["enums"]["BuilderFlag"])
    assert asked == (set() if version.startswith("11") else {"FP16", "INT8"})


@pytest.mark.parametrize("version", VERSIONS)
def test_every_element_type_of_the_version_has_a_size(version: str) -> None:
    assert set(facts_of(version)["enums"]["DataType"]) <= set(BITS)
    assert set(DTYPES) <= set(BITS)
