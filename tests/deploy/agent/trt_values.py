"""Values as trt_names.py follows them, and what TensorRT gives by the facts in trt_api/."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .trt_bindings import VERSIONS, facts_of

# What a value may be, each ("kind", of what); nothing: a value of Python's or of other packages.
#   module ()   class NAME   object NAME   method NAME.MEMBER        of TensorRT
#   file PATH   function KEY   our class KEY   ours KEY   bound KEY  of our sources
#   several (VALUE, ...)   unknown ()                                a tuple; Any, and nobody knows
Atom: TypeAlias = tuple[str, Any]
Value: TypeAlias = frozenset[Atom]
Env: TypeAlias = dict[str, Value]
Key: TypeAlias = tuple[str, str]
FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
OTHER: Value = frozenset()
MODULE: Value = frozenset({("module", ())})
UNKNOWN: Value = frozenset({("unknown", ())})
OF_TENSORRT = ("module", "class", "object", "method")
LOADERS = ("import_module", "need", "__import__")
FACTS = {version: facts_of(version) for version in VERSIONS}


@dataclass(frozen=True, order=True)
class Use:
    """A name of TensorRT's at one place of the sources."""

    path: str
    line: int
    owner: str
    """The class or enum; "" for the module."""
    name: str


@dataclass
class Found:
    """What the sources do with TensorRT."""

    read: set[Use] = field(default_factory=set)
    stored: set[Use] = field(default_factory=set)
    """Members that are set."""
    asked: set[Use] = field(default_factory=set)
    """Names that hasattr asks for: a version may lack them."""
    computed: set[Use] = field(default_factory=set)
    """Of getattr with a name that is computed; the name is "*"."""
    calls: set[tuple[Use, int, tuple[str, ...]]] = field(default_factory=set)
    """Of methods: how many arguments by position, and the names of the others."""
    unknown: set[str] = field(default_factory=set)
    """Members of values of which nothing is known, in files that use TensorRT."""


@dataclass
class Function:
    path: str
    node: FunctionNode
    env: Env
    home: Key | None = None
    """The class that it is a method of."""


@dataclass
class Class:
    path: str
    node: ast.ClassDef
    bases: list[Value]
    methods: dict[str, Function]


def element(value: Value) -> Value:
    parts = [part for kind, what in value if kind == "several" for part in what]
    unknown = frozenset(atom for atom in value if atom[0] == "unknown")
    return unknown.union(*parts)


def several(values: Sequence[Value]) -> Value:
    """A tuple of these; what is in tuples in it counts as in it: no value grows without end."""
    flat = tuple(value if not element(value) else element(value) for value in values)
    return frozenset({("several", flat)}) if any(flat) else OTHER


def is_enum(name: str) -> bool:
    return any(name in facts["enums"] for facts in FACTS.values())


def given_by(member: str) -> Value:
    """What a method or property of TensorRT's gives, in any version."""
    names = {name for facts in FACTS.values() for name in facts["returns"].get(member, ())}
    return frozenset(("object", name) for name in names)
