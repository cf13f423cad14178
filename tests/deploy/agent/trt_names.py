"""Every name of TensorRT's Python API that the sources use, found by following values through them.

The sources are parsed, not run. A value is TensorRT's if it comes from `import_module("tensorrt")`,
from a parameter `trt`, or from a member of such a value; what a method gives is read from the facts
in trt_api/. Calls of our own functions are followed with what they are given, so that `engine: Any`
is known by its callers. What stays unknown in a file that uses TensorRT is told, not passed over.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from .trt_scope import Scope, home_of
from .trt_values import (
    LOADERS,
    MODULE,
    OF_TENSORRT,
    OTHER,
    UNKNOWN,
    Class,
    Env,
    Found,
    Function,
    Key,
    Value,
)

MENTIONS = re.compile(
    r"\btrt\b|\bimport tensorrt\b|\bfrom tensorrt\b|\b(" + "|".join(LOADERS) + r")\(\s*.tensorrt\b"
)


def names_in(sources: Mapping[str, str]) -> Found:
    """What `sources`, path below the repository's root -> text, do with TensorRT."""
    taken = {path for path, text in sources.items() if MENTIONS.search(text)}
    while True:
        reading = Reading({path: _parsed(sources[path]) for path in sorted(taken)}, set(sources))
        before = None
        while reading.attributes != before:
            before = dict(reading.attributes)
            reading.read()
        # Whoever gets such a value from a file, or is given one by it, is read as well.
        words = [PurePosixPath(path).stem for path in reading.gives_on]
        reached = {
            path
            for path, text in sources.items()
            if any(word in text for word in words) and _imported(text, path) & reading.gives_on
        }
        if reached | reading.needed <= taken:
            return reading.found
        taken |= reached | reading.needed


class Reading:
    """`trees` are read; of `every` file it is told where values of TensorRT's go."""

    def __init__(self, trees: Mapping[str, ast.Module], every: set[str]) -> None:
        self.trees, self.every = trees, every
        self.needed: set[str] = set()
        """Files that are given values of TensorRT's and were not read."""
        self.gives_on: set[str] = set()
        """Files with functions that give such values."""
        self.attributes: dict[tuple[Key, str], Value] = {}
        self.modules: dict[str, Env] = {path: {} for path in trees}
        self.classes: dict[Key, Class] = {}
        self.functions: dict[Key, Function] = {}

    def read(self) -> None:
        """A pass over every function, once by itself and once for what each call gives to it."""
        self.found = Found()
        self.memory: dict[Any, Value] = {}
        seen: dict[tuple[str, int, int, str], set[str]] = defaultdict(set)
        self.seen = seen
        for path, tree in self.trees.items():
            scope = Scope(self, path, {}, self.modules[path])
            scope.block(tree.body)
        for function in list(self.functions.values()):
            self.call(function, None, {})
        every = self.found.read | self.found.stored | self.found.asked | self.found.computed
        files = {use.path for use in every}
        self.found.unknown = {
            f"{path}:{line} .{name}"
            for (path, line, _, name), kinds in seen.items()
            if path in files and kinds == {"unknown"}
        }

    def call(
        self, function: Function, given: Sequence[Value] | None, named: Mapping[str, Value]
    ) -> Value:
        """What the function gives. given: its arguments by position, `self` among them."""
        values = [] if given is None else list(given)
        key = (id(function.node), given is None, *values, *sorted(named.items()))
        if key in self.memory:
            return self.memory[key]
        self.memory[key] = OTHER
        node, scope = function.node, Scope(self, function.path, function.env, {})
        parameters = [*node.args.posonlyargs, *node.args.args]
        if given is None and function.home is not None and parameters:
            values = [frozenset({("ours", function.home)})]
        for position, each in enumerate([*parameters, *node.args.kwonlyargs]):
            if position < min(len(values), len(parameters)):
                scope.local[each.arg] = values[position] or scope.typed(each.annotation, OTHER)
            elif each.arg in named:
                scope.local[each.arg] = named[each.arg] or scope.typed(each.annotation, OTHER)
            elif each.arg == "trt":
                scope.local[each.arg] = MODULE
            else:
                unknown = UNKNOWN if given is None else OTHER
                scope.local[each.arg] = scope.typed(each.annotation, unknown)
        for _ in range(2):  # a loop may use what it sets further down
            scope.block(node.body)
        self.memory[key] = scope.returned or scope.typed(node.returns, OTHER)
        if self.holds(self.memory[key]):
            self.gives_on.add(function.path)
        return self.memory[key]

    def holds(self, value: Value) -> bool:
        """Whether there is TensorRT's in it."""
        for kind, what in value:
            if kind in OF_TENSORRT:
                return True
            if kind == "several" and any(map(self.holds, what)):
                return True
            mine = [known for (key, _), known in self.attributes.items() if key == what]
            if kind == "ours" and any(k in OF_TENSORRT for known in mine for k, _ in known):
                return True
        return False

    def member(self, key: Key, name: str) -> Value | None:
        """Of an object of our class; None: neither it nor its own bases have that."""
        known = self.classes[key]
        if name in known.methods:
            method = known.methods[name]
            wrappers = {ast.unparse(each) for each in method.node.decorator_list}
            if wrappers & {"property", "cached_property"}:
                return self.call(method, [frozenset({("ours", key)})], {})
            return frozenset({("bound", (key, name))})
        if (key, name) in self.attributes:
            return self.attributes[key, name]
        for base in known.bases:
            for kind, what in base:
                if kind == "our class" and (found := self.member(what, name)) is not None:
                    return found
        return None


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def _imported(text: str, path: str) -> set[str]:
    """The files that it imports, those in functions too."""
    found = set()
    for node in ast.walk(_parsed(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            home = home_of(node, path)
            found |= {f"{home}.py", *(f"{home / alias.name}.py" for alias in node.names)}
    return found
