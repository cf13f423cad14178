"""Compares what NVIDIA's own TensorRT bindings have with the facts here; --write replaces them.

The bindings are ordinary wheels, and they import against libraries that export the handful of
symbols they need and do nothing: that is enough to list every class, member, parameter and enum
value, and no GPU, driver or TensorRT is needed. Needs pip, gcc, nm and the package index; wheels
are kept in the user's cache, where the tests look for them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
# Short version -> its distribution; the first that JetPack 6 has, to the newest.
WHEELS = {
    "8.6.1": "tensorrt-bindings==8.6.1",
    "10.3.0": "tensorrt-cu12-bindings==10.3.0",
    "10.16.1": "tensorrt-cu12-bindings==10.16.1.11",
    "11.4.0": "tensorrt-cu13-bindings==11.4.0.106",
}
CLASSES = (
    "Builder",
    "EngineInspector",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "IHostMemory",
    "ILogger",
    "INetworkDefinition",
    "IOptimizationProfile",
    "IProfiler",
    "ITensor",
    "ITimingCache",
    "Logger",
    "OnnxParser",
    "ParserError",
    "Runtime",
)
ENUMS = (
    "BuilderFlag",
    "DataType",
    "DeviceType",
    "LayerInformationFormat",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "ProfilingVerbosity",
    "TensorIOMode",
)
INSIDE = """
import json, re, sys
sys.path[:0] = sys.argv[1:2]
import tensorrt_bindings as trt
wanted = json.loads(sys.argv[2])
def kind(owner, name):
    for base in owner.__mro__:
        if name in base.__dict__:
            member = base.__dict__[name]
            if isinstance(member, property):
                return "read" if member.fset is None else "read-write"
            return "method" if callable(member) or hasattr(member, "__func__") else "value"
classes = {
    name: {each: kind(getattr(trt, name), each) for each in sorted(dir(getattr(trt, name)))
           if not each.startswith("_")}
    for name in wanted["classes"] if hasattr(trt, name)
}
def signatures(owner, name):
    "Parameter names of each overload; an ending ? marks those with a default."
    found = []
    for line in (getattr(owner, name).__doc__ or "").splitlines():
        told = re.match(r"^(?:\\d+\\. )?%s\\((self: .*)\\) ->" % name, line.strip())
        if told:
            given = re.findall(r"(\\w+): (.*?)(?=, \\w+: |$)", told.group(1))
            found.append([each + ("?" if " = " in rest else "") for each, rest in given[1:]])
    return found
parameters = {
    f"{name}.{each}": signatures(getattr(trt, name), each)
    for name, kinds in classes.items() for each, is_a in kinds.items()
    if is_a == "method" and signatures(getattr(trt, name), each)
}
def returned(owner, name):
    "The classes and enums, of those wanted, that a method or property gives."
    member = getattr(owner, name)
    text = (member.fget if isinstance(member, property) else member).__doc__ or ""
    found = set()
    for told in re.findall(r"(?m)^(?:\\d+\\. )?\\w*\\(.*\\) -> (\\S+)$", text):
        kind = re.split(r"\\.|::", told)[-1]
        found.add({"IParserError": "ParserError"}.get(kind, kind))  # by its C++ name
    return sorted(found & {*wanted["classes"], *wanted["enums"]})
returns = {
    f"{name}.{each}": returned(getattr(trt, name), each)
    for name, kinds in classes.items() for each, is_a in kinds.items()
    if is_a != "value" and returned(getattr(trt, name), each)
}
def members(enum):
    return {each: int(value) for each, value in sorted(enum.__members__.items())}
enums = {name: members(getattr(trt, name)) for name in wanted["enums"]}
enums["ILogger.Severity"] = members(trt.ILogger.Severity)
told = {"version": trt.__version__, "classes": classes, "parameters": parameters, "enums": enums}
print(json.dumps({**told, "returns": returns}))
"""


def dump(version: str, cache: Path) -> dict[str, object]:
    """The facts of one version.

    Raises:
        subprocess.CalledProcessError: the wheel cannot be had for this Python, or does not import.
    """
    place = fetched(version, cache)
    stubs = stubbed(place, cache / f"stubs-{version}")
    wanted = json.dumps({"classes": CLASSES, "enums": ENUMS})
    told = subprocess.run(
        [sys.executable, "-I", "-c", INSIDE, str(place), wanted],
        env={**os.environ, "LD_LIBRARY_PATH": str(stubs)},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, object] = json.loads(told.stdout)
    return found


def fetched(version: str, cache: Path) -> Path:
    """A folder with the unpacked wheel."""
    place = place_of(version, cache)
    if not place.is_dir():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--retries=0", "--timeout=15"]
        command += ["--only-binary=:all:", f"--dest={cache}", WHEELS[version]]
        subprocess.run(command, check=True, capture_output=True, text=True)
        name, _, number = WHEELS[version].partition("==")
        tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
        (wheel,) = cache.glob(f"{name.replace('-', '_')}-{number}-{tag}-*.whl")
        unfinished = place.with_name(f"{place.name}.{os.getpid()}")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unfinished)
        unfinished.rename(place)
    return place


def place_of(version: str, cache: Path) -> Path:
    """Where the unpacked wheel is, or would be."""
    return cache / f"bindings-{version}-{sys.version_info.major}.{sys.version_info.minor}"


def stubbed(place: Path, stubs: Path) -> Path:
    """A folder with a library of no use for each that the bindings ask for."""
    stubs.mkdir(parents=True, exist_ok=True)
    (module,) = place.glob("tensorrt_bindings/tensorrt*.so")
    said = subprocess.run(["nm", "-D", "--undefined-only", module], check=True, capture_output=True)
    symbols = re.findall(r" U ((?:create|get|init)\w+|_ZN\d+nv\w+)\n", said.stdout.decode())
    needed = subprocess.run(["readelf", "-d", module], check=True, capture_output=True)
    source = "\n".join(f"void *{symbol}(void) {{ return 0; }}" for symbol in symbols)
    (stubs / "stub.c").write_text(source)
    for library in re.findall(r"\[(libnv\w+\.so\.\d+)\]", needed.stdout.decode()):
        command = ["gcc", "-shared", "-fPIC", "-o", stubs / library, stubs / "stub.c"]
        subprocess.run(command, check=True)
    return stubs


def cache_folder(cache: Path) -> Path:
    """Where wheels are kept below the user's cache."""
    folder = cache / "edgestill" / "tensorrt-bindings"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> None:
    cache = cache_folder(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"))
    others = []
    for version in WHEELS:
        path, facts = HERE / f"{version}.json", dump(version, cache)
        if "--write" in sys.argv[1:]:
            path.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
        elif json.loads(path.read_text()) != facts:
            others.append(version)
    if others:
        sys.exit(f"not what the bindings have: {', '.join(others)}")


if __name__ == "__main__":
    main()
