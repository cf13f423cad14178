"""What the double of TensorRT is built from is what NVIDIA's own bindings have.

Their wheels, a megabyte each, are in the user's cache once trt_api/dump.py has fetched them from
the package index; no test does that, and without them these are skipped.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgestill.deploy.agent import cudart

from .trt_api import dump
from .trt_bindings import BEHAVIOURS, VERSIONS, Script, bindings, facts_of

SCRIPT = "tests/deploy/agent/trt_api/dump.py"


def real_bindings(version: str, users_cache: Path) -> tuple[Path, Path]:
    """Folders with NVIDIA's bindings and with the libraries that let them load."""
    cache = dump.cache_folder(users_cache)
    if not dump.place_of(version, cache).is_dir():
        pytest.skip(f"TensorRT {version}'s bindings are not kept here; fetch them: python {SCRIPT}")
    place = dump.fetched(version, cache)
    return place, dump.stubbed(place, cache / f"stubs-{version}")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_facts_are_those_of_nvidias_own_bindings(version: str, users_cache: Path) -> None:
    real_bindings(version, users_cache)

    assert dump.dump(version, dump.cache_folder(users_cache)) == facts_of(version)


ON_REAL_BINDINGS = """
import sys
sys.path[:0] = sys.argv[1:3]
import tensorrt_bindings as trt
from edgestill.deploy.agent import tensorrt_build, tensorrt_execution
from edgestill.deploy.agent.errors import AgentError
logger = tensorrt_build.messages(trt)
logger.log(trt.ILogger.ERROR, "CUDA initialization failure with error: 35")
times = tensorrt_execution._layer_times(trt)
times.report_layer_time("conv", 1.5)
assert times.total_ms == {"conv": 1.5}
assert str(trt.DataType.FLOAT).rpartition(".")[2] == "FLOAT"
assert set(trt.DataType.__members__) <= set(tensorrt_execution.BITS), trt.DataType.__members__
for kind in (trt.Builder, trt.Runtime):
    try:
        tensorrt_build.started(kind, logger)
    except AgentError as error:
        print(error)
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_our_code_on_nvidias_own_bindings_finds_no_device(version: str, users_cache: Path) -> None:
    place, stubs = real_bindings(version, users_cache)
    ours = Path(cudart.__file__).parents[3]

    told = subprocess.run(
        [sys.executable, "-c", ON_REAL_BINDINGS, str(place), str(ours)],
        env={**os.environ, "LD_LIBRARY_PATH": str(stubs)},
        capture_output=True,
        text=True,
    )

    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert len(lines) == 2
    assert all("TensorRT is here, a CUDA device is not" in line for line in lines)
    assert all("error: 35" in line and "nullptr" in line for line in lines)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_double_takes_the_arguments_that_the_version_takes(version: str) -> None:
    """So a call with too few, too many or misnamed arguments fails in tests as it would there."""
    overloads = facts_of(version)["parameters"]
    compared = 0

    for owner, behaviour in BEHAVIOURS.items():
        for name, method in vars(behaviour).items():
            if f"{owner}.{name}" not in overloads:
                continue
            taken = list(inspect.signature(method).parameters)[1:]
            known = overloads[f"{owner}.{name}"]
            needed = [[each for each in names if not each.endswith("?")] for names in known]
            every = [[each.rstrip("?") for each in names] for names in known]
            assert taken in needed + every, (owner, name, taken, known)
            compared += 1

    assert compared >= 25


def test_the_double_has_what_the_version_has_and_nothing_else(tmp_path: Path) -> None:
    """Without this no test of the engine would show that a call exists."""
    script = Script(tmp_path)
    old, new = bindings("8.6.1", script), bindings("11.4.0", script)

    assert not hasattr(new.BuilderFlag, "INT8")
    assert hasattr(old.BuilderFlag, "INT8")
    with pytest.raises(AttributeError, match=r"ParserError of TensorRT 8\.6\.1 has no node_name"):
        _ = old.ParserError().node_name
    with pytest.raises(AttributeError, match="cannot be set"):
        new.Builder(object()).num_DLA_cores = 2
