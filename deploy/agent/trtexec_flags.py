"""trtexec's command lines, by version: flags came, went, and turned their defaults round.

What is measured is the same on every version, whatever its defaults are:
    transfers included   as in the other engines, whose inputs and outputs are host memory
    spin wait off        a waiting thread would burn a core, and its power would be the model's
    CUDA graph on        from 8.2 on, every version that is known here has it
    one query at a time  --exposeDMA: else the next query's copy overlaps this one's computing
Up to TensorRT 10 the first two are defaults that no flag asks for; from 11 on they are asked for
and the CUDA graph is the default. trtexec prints what it took, and the engine holds it to that.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Mapping, Sequence, Tuple

from .errors import AgentError
from .onnx_file import OnnxFile
from .precision import types_for
from .protocol import Case

Version = Tuple[int, int, int]
OLDEST: Version = (8, 2, 0)
TYPED: Version = (10, 0, 0)
"""From here on it knows --stronglyTyped."""
TURNED: Version = (11, 0, 0)
"""From here on its defaults are the other way round, and every network is strongly typed."""
LAST_WITH_DLA, DLA_AGAIN = (10, 7), (11, 4, 1)  # the second on AGX Orin, JetPack 7.2.2 and later
WORKSPACE_MIB = 1024  # 8.2's own default is 16 MiB, that of 8.4 and later all memory
ROWS = 1000  # runs that trtexec averages in one line of its output: keeps that short
CHOSEN = {"transfers": True, "spin_wait": False, "cuda_graph": True, "one_at_a_time": True}


@dataclass(frozen=True)
class Asked:
    """A case, with what decides how trtexec is told of it."""

    version: Version
    case: Case
    onnx: OnnxFile
    shapes: Mapping[str, Sequence[int]]
    """The sizes of each input at the case's batch."""
    least: Mapping[str, Sequence[int]] | None = None
    """The smallest sizes that the engine takes; None: it takes `shapes` and no others."""
    most: Mapping[str, Sequence[int]] | None = None
    """The largest; given with `least`."""
    workspace_mib: int = WORKSPACE_MIB


def build_flags(
    asked: Asked, engine: str, timing_cache: str | None, layers: str | None = None
) -> list[str]:
    """Builds `engine` from the case's file and ends, without an inference.

    layers: a file for what the inspector says of the engine's layers.

    Raises:
        AgentError: this version cannot build it as asked, or is too old.
    """
    version, case = asked.version, asked.case
    if version < OLDEST:
        raise AgentError(
            "device", f"trtexec is of TensorRT {dotted(version)}; {dotted(OLDEST)} is the oldest"
        )
    return [
        f"--onnx={case.model}",
        f"--saveEngine={engine}",
        "--skipInference" if version >= (8, 6, 0) else "--buildOnly",
        f"--memPoolSize=workspace:{asked.workspace_mib}"
        if version >= (8, 4, 0)
        else f"--workspace={asked.workspace_mib}",
        *precision_flags(asked),
        *dla_flags(case),
        *(["--allowGPUFallback"] if case.dla_core is not None else []),
        *profile_shape_flags(asked),
        *([f"--timingCacheFile={timing_cache}"] if timing_cache else []),
        *([f"--exportLayerInfo={layers}", "--profilingVerbosity=detailed"] if layers else []),
    ]


def precision_flags(asked: Asked) -> list[str]:
    """How TensorRT learns which number types to use. Raises AgentError: it takes no such order."""
    version, case = asked.version, asked.case
    types = types_for(
        case.precision,
        asked.onnx,
        dotted(version),
        can_be_strong=version >= TYPED,
        dla=case.dla_core is not None,
    )
    strong = types.strong and TYPED <= version < TURNED  # since then there is nothing else
    return [
        *(["--stronglyTyped"] if strong else []),
        *(f"--{each.lower()}" for each in types.flags),
    ]


def run_flags(
    asked: Asked,
    engine: str,
    *,
    runs: int,
    seconds: float,
    warm_up_ms: int,
    times: str,
) -> list[str]:
    """Runs `engine` for at least `runs` and `seconds` after the warm-up; times go to a file."""
    length = math.ceil(seconds) if asked.version < (8, 4, 0) else seconds  # 8.2 takes whole ones
    return [
        *_load_flags(asked, engine),
        f"--iterations={runs}",
        f"--duration={length:.6g}",
        f"--warmUp={warm_up_ms}",
        f"--avgRuns={ROWS}",
        *timing_flags(asked.version),
        f"--exportTimes={times}",
    ]


def timing_flags(version: Version) -> list[str]:
    """Those for CHOSEN."""
    if version >= TURNED:
        return ["--includeDataTransfers", "--noSpinWait", "--exposeDMA"]
    return ["--useCudaGraph", "--exposeDMA"]


def profile_flags(
    asked: Asked,
    engine: str,
    *,
    runs: int,
    profile: str,
) -> list[str]:
    """Times each layer in a run of its own. No CUDA graph: it hides the layers."""
    return [
        *_load_flags(asked, engine),
        f"--iterations={runs}",
        "--duration=0",
        f"--avgRuns={ROWS}",
        "--noCudaGraph" if asked.version >= TURNED else "--separateProfileRun",
        f"--exportProfile={profile}",
    ]


def shape_flags(asked: Asked) -> list[str]:
    """--shapes where an axis is free; a file with fixed ones needs, and takes, none.

    Raises:
        AgentError: trtexec has no way to write an input's name.
    """
    return _shapes("shapes", asked, asked.shapes)


def profile_shape_flags(asked: Asked) -> list[str]:
    """What an engine is built for: --shapes, or from --minShapes to --maxShapes where they differ.

    Raises:
        AgentError: as `shape_flags`.
    """
    if asked.least is None or asked.most is None:
        return shape_flags(asked)
    return [
        *_shapes("minShapes", asked, asked.least),
        *_shapes("optShapes", asked, asked.shapes),
        *_shapes("maxShapes", asked, asked.most),
    ]


def dla_flags(case: Case) -> list[str]:
    """Where it runs; the GPU needs none."""
    return [] if case.dla_core is None else [f"--useDLACore={case.dla_core}"]


def why_no_dla(version: Version) -> str | None:
    """Why no engine for a DLA can be built; None: it can. Source: NVIDIA's "Working with DLA".

    >>> why_no_dla((10, 3, 0)) is None
    True
    """
    if version[:2] <= LAST_WITH_DLA or version >= DLA_AGAIN:
        return None
    return (
        f"TensorRT {dotted(version)} builds for no DLA: the last before it is 10.7, the next 11.4.1"
        " (AGX Orin, JetPack 7.2.2 and later)"
    )


def numbers(version: str) -> Version | None:
    """The first three numbers of a version; None: it is none.

    >>> numbers("10.16.1.11"), numbers("8.6"), numbers("ten")
    ((10, 16, 1), (8, 6, 0), None)
    """
    if not re.match(r"^\d{1,5}(\.\d{1,5}){1,3}$", version, re.ASCII):
        return None
    major, minor, patch = [*map(int, version.split(".")), 0][:3]
    return major, minor, patch


def dotted(version: Version) -> str:
    """The version as people write it.

    >>> dotted((10, 9, 0))
    '10.9.0'
    """
    return ".".join(str(part) for part in version)


def _shapes(flag: str, asked: Asked, shapes: Mapping[str, Sequence[int]]) -> list[str]:
    free = [name for name, sizes in asked.onnx.inputs.items() if list(shapes[name]) != sizes]
    for name in free:
        if "," in name or "'" in name:  # its separators; it takes the last colon
            raise AgentError("request", f"trtexec cannot be told the shape of an input {name!r}")
    texts = [f"{name}:{'x'.join(str(size) for size in shapes[name])}" for name in free]
    return [f"--{flag}=" + ",".join(texts)] if texts else []


def _load_flags(asked: Asked, engine: str) -> list[str]:
    return [f"--loadEngine={engine}", *dla_flags(asked.case), *shape_flags(asked)]
