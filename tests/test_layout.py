"""The shape of the repository: one-way imports, a complete wheel, a light start."""

from __future__ import annotations

import ast
import doctest
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("pipeline", "models", "export", "deploy")
REACHES = {  # layer -> the layers it may import; the agent is carried to the device alone
    "deploy/agent": set[str](),
    "models": set[str](),
    "deploy": {"deploy/agent"},
    "export": {"models", "deploy/agent"},
    "pipeline": {"models", "export", "deploy", "deploy/agent"},
}
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
MODULES = [
    ".".join(("edgestill", *path.relative_to(ROOT).with_suffix("").parts))
    for path in SOURCES
    if path.stem not in ("__init__", "__main__")
]
HEAVY = {"torch", "torchvision", "onnx", "onnxruntime", "tensorrt", "pyarrow", "sklearn"}


def layer(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return "deploy/agent" if parts[:2] == ("deploy", "agent") else parts[0]


def imported(path: Path) -> set[str]:
    """Layers that `path` imports, and any of our names that it imports absolutely."""
    relative, absolute = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            home = path.parents[node.level - 1]
            relative.add(layer(home.joinpath(*(node.module or "").split("."), "_")))
        elif isinstance(node, ast.ImportFrom):
            absolute.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.Import):
            absolute.update(alias.name.split(".")[0] for alias in node.names)
    return relative | {f"absolute {name}" for name in absolute & {*FOLDERS, "edgestill"}}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_one_way(path: Path) -> None:
    assert imported(path) <= REACHES[layer(path)] | {layer(path)}


def test_the_wheel_lists_every_package() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    on_disk = {
        ".".join(("edgestill", *path.parent.relative_to(ROOT).parts))
        for path in SOURCES
        if path.name == "__init__.py"
    }

    assert set(told["tool"]["setuptools"]["packages"]) == on_disk
    assert {path.parent for path in SOURCES} == {
        path.parent for path in SOURCES if path.name == "__init__.py"
    }


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize(
    "name", ["edgestill.pipeline.cli", "edgestill.pipeline.run", "edgestill.deploy.agent.cli"]
)
def test_starting_up_needs_no_heavy_package(name: str) -> None:
    code = f"import sys, {name}; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()

    assert not HEAVY & set(loaded)


def test_every_file_stays_readable() -> None:
    long = {
        path.relative_to(ROOT).as_posix(): count
        for path in [*SOURCES, *(ROOT / "tests").rglob("*.py")]
        if (count := len(path.read_text().splitlines())) > (300 if path in SOURCES else 450)
    }

    assert long == {}
