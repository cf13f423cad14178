"""The names of one function and the values of its expressions, for trt_names.py."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from .trt_values import (
    FACTS,
    LOADERS,
    MODULE,
    OTHER,
    UNKNOWN,
    Atom,
    Class,
    Env,
    Found,
    Function,
    FunctionNode,
    Key,
    Use,
    Value,
    element,
    given_by,
    is_enum,
    several,
)

if TYPE_CHECKING:
    from .trt_names import Reading


class Scope:
    """The names of one function, and the values of its expressions."""

    def __init__(self, reading: Reading, path: str, outer: Env, local: Env) -> None:
        self.reading, self.path, self.outer, self.local = reading, path, outer, local
        self.returned: Value = OTHER

    def name(self, name: str) -> Value:
        for env in (self.local, self.outer, self.reading.modules[self.path]):
            if name in env:
                return env[name]
        return OTHER

    def typed(self, annotation: ast.expr | None, unknown: Value) -> Value:
        """By an annotation: objects of our classes, `unknown` for Any, else nothing."""
        if annotation is None:
            return unknown
        if isinstance(annotation, ast.Name):
            if annotation.id == "Any":
                return unknown
            known = self.name(annotation.id)
            return frozenset(("ours", what) for kind, what in known if kind == "our class")
        if isinstance(annotation, ast.BinOp):  # X | None
            return self.typed(annotation.left, unknown) | self.typed(annotation.right, unknown)
        if isinstance(annotation, ast.Subscript):  # a container: its elements are of these types
            parts = [each for each in ast.walk(annotation.slice) if isinstance(each, ast.expr)]
            inner = [self.typed(each, unknown) for each in parts]
            return several([*inner, self.typed(annotation.slice, unknown)])
        return OTHER

    # Statements

    def block(self, body: Sequence[ast.stmt]) -> None:
        for node in body:
            self.statement(node)

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = Function(self.path, node, {**self.outer, **self.inner()})
            self.local[node.name] = self.defined(node.name, function)
        elif isinstance(node, ast.ClassDef):
            self.define_class(node)
        elif isinstance(node, ast.ImportFrom):
            self.imports(node)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                is_it = alias.name == "tensorrt"
                self.local[alias.asname or alias.name] = MODULE if is_it else OTHER
        elif isinstance(node, ast.Assign):
            value = self.value(node.value)
            for target in node.targets:
                self.store(target, value)
        elif isinstance(node, ast.AnnAssign):
            value, typed = self.value(node.value), self.typed(node.annotation, UNKNOWN)
            self.store(node.target, value if typed == UNKNOWN else typed)
        elif isinstance(node, ast.For | ast.AsyncFor):
            self.store(node.target, element(self.value(node.iter)))
            self.block([*node.body, *node.orelse])
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                value = self.value(item.context_expr)
                if item.optional_vars is not None:
                    self.store(item.optional_vars, value)
            self.block(node.body)
        elif isinstance(node, ast.Return):
            self.returned |= self.value(node.value)
        else:  # an expression, or a statement that holds others
            self.children(node)

    def children(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                self.statement(child)
            elif isinstance(child, ast.expr):
                self.value(child)
            else:
                self.children(child)

    def inner(self) -> Env:
        return {} if self.local is self.reading.modules[self.path] else self.local

    def defined(self, name: str, function: Function) -> Value:
        key = (self.path, f"{name}@{function.node.lineno}")
        self.reading.functions[key] = function
        return frozenset({("function", key)})

    def define_class(self, node: ast.ClassDef) -> None:
        key = (self.path, f"{node.name}@{node.lineno}")
        env = {**self.outer, **self.inner()}
        known = Class(self.path, node, [self.value(base) for base in node.bases], {})
        self.reading.classes[key] = known
        self.reading.needed |= {
            what for base in known.bases for kind, what in base if kind == "outside"
        }
        self.local[node.name] = frozenset({("our class", key)})
        for each in node.body:
            if isinstance(each, FunctionNode):
                known.methods[each.name] = Function(self.path, each, env, key)
                self.defined(f"{node.name}.{each.name}", known.methods[each.name])
            elif isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                value = self.value(each.value) or self.typed(each.annotation, OTHER)
                self.keep(key, each.target.id, value)
            elif isinstance(each, ast.Assign):
                for target in each.targets:
                    if isinstance(target, ast.Name):
                        self.keep(key, target.id, self.value(each.value))

    def imports(self, node: ast.ImportFrom) -> None:
        if not node.level:
            for alias in node.names:
                self.local[alias.asname or alias.name] = OTHER
                if node.module == "tensorrt":
                    taken = self.member_of(("module", ()), alias.name, node.lineno, "read")
                    self.local[alias.asname or alias.name] = taken
            return
        reading, home = self.reading, home_of(node, self.path)
        for alias in node.names:
            value = OTHER
            for file in (f"{home}.py", f"{home / alias.name}.py"):
                if file in reading.every:
                    value = frozenset({("file" if file in reading.modules else "outside", file)})
            names = reading.modules.get(f"{home}.py", {})
            self.local[alias.asname or alias.name] = names.get(alias.name, value)

    def store(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self.local[target.id] = self.local.get(target.id, OTHER) | value
        elif isinstance(target, ast.Tuple | ast.List):
            for index, each in enumerate(target.elts):
                parts = [what for kind, what in value if kind == "several"]
                taken = [part[index] for part in parts if index < len(part)]
                self.store(each, frozenset().union(*taken) if taken else OTHER)
        elif isinstance(target, ast.Starred):
            self.store(target.value, OTHER)
        elif isinstance(target, ast.Attribute):
            for atom in self.value(target.value):
                if atom[0] == "ours":
                    self.keep(atom[1], target.attr, value)
                else:
                    self.member_of(atom, target.attr, target.lineno, "stored")
        elif isinstance(target, ast.Subscript):
            self.children(target)

    def keep(self, key: Key, name: str, value: Value) -> None:
        known = self.reading.attributes.get((key, name), OTHER)
        self.reading.attributes[key, name] = known | value

    # Expressions

    def value(self, node: ast.expr | None) -> Value:
        if node is None or isinstance(node, ast.Constant):
            return OTHER
        if isinstance(node, ast.Name):
            return self.name(node.id)
        if isinstance(node, ast.Attribute):
            return self.attribute(node)
        if isinstance(node, ast.Call):
            return self.called(node)
        if isinstance(node, ast.IfExp):
            self.value(node.test)
            return self.value(node.body) | self.value(node.orelse)
        if isinstance(node, ast.BoolOp):
            return frozenset().union(*map(self.value, node.values))
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return several([self.value(each) for each in node.elts])
        if isinstance(node, ast.NamedExpr):
            value = self.value(node.value)
            self.store(node.target, value)
            return value
        if isinstance(node, ast.Subscript):
            self.value(node.slice)
            return element(self.value(node.value))
        if isinstance(node, ast.Starred):
            return self.value(node.value)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            for each in node.generators:
                self.store(each.target, element(self.value(each.iter)))
                for test in each.ifs:
                    self.value(test)
            if isinstance(node, ast.DictComp):
                self.value(node.key)
            made = node.value if isinstance(node, ast.DictComp) else node.elt
            return several([self.value(made)])
        self.children(node)
        return OTHER

    def attribute(self, node: ast.Attribute) -> Value:
        base = self.value(node.value)
        kinds = {kind for kind, _ in base} or {"other"}
        self.reading.seen[self.path, node.lineno, node.col_offset, node.attr] |= kinds
        found = [self.member_of(atom, node.attr, node.lineno, "read") for atom in base]
        return frozenset().union(*found)

    def member_of(self, atom: Atom, name: str, line: int, how: str) -> Value:
        """A member of a value that may be many things; noted if it is TensorRT's."""
        kind, what = atom
        if kind == "unknown":
            return UNKNOWN
        if kind == "outside":
            return frozenset({atom})
        if kind == "file":
            return self.reading.modules.get(what, {}).get(name, OTHER)
        if kind == "our class":
            method = self.reading.classes[what].methods.get(name)
            return OTHER if method is None else frozenset({("bound", (what, name))})
        if kind == "ours":
            return self.of_ours(what, name, line, how)
        if kind not in ("module", "class", "object") or name.startswith("__"):
            return OTHER
        owner = "" if kind == "module" else what
        if kind == "object" and is_enum(owner):
            return OTHER  # its name and value, as every enum's
        getattr(self.found, how).add(Use(self.path, line, owner, name))
        if kind == "module":
            return frozenset({("class", name)})
        if is_enum(owner):
            return frozenset({("object", owner)})
        if any(facts["classes"].get(owner, {}).get(name) == "method" for facts in FACTS.values()):
            return frozenset({("method", f"{owner}.{name}")})
        return given_by(f"{owner}.{name}")

    def of_ours(self, key: Key, name: str, line: int, how: str) -> Value:
        found = self.reading.member(key, name)
        if found is not None:
            return found
        bases = [atom for base in self.reading.classes[key].bases for atom in base]
        theirs = [("object", what) for kind, what in bases if kind == "class"]
        return frozenset().union(*(self.member_of(atom, name, line, how) for atom in theirs))

    @property
    def found(self) -> Found:
        return self.reading.found

    def called(self, node: ast.Call) -> Value:
        given = [self.value(each) for each in node.args]
        named = {each.arg or "**": self.value(each.value) for each in node.keywords}
        words = ast.unparse(node.func).rpartition(".")[2]
        first = node.args[0] if node.args else None
        if words in LOADERS and isinstance(first, ast.Constant) and first.value == "tensorrt":
            return MODULE
        if words in ("getattr", "hasattr", "setattr") and isinstance(node.func, ast.Name):
            return self.by_name(node, given[0])
        spread = "**" in named or any(isinstance(each, ast.Starred) for each in node.args)
        found: list[Value] = []
        for atom in self.value(node.func):
            found.append(self.result(atom, node, None if spread else given, named))
        return frozenset().union(*found)

    def result(
        self, atom: Atom, node: ast.Call, given: list[Value] | None, named: dict[str, Value]
    ) -> Value:
        kind, what = atom
        reading = self.reading
        if kind == "unknown":
            return UNKNOWN
        if kind == "outside" and any(map(reading.holds, [*(given or []), *named.values()])):
            reading.needed.add(what)
        if kind == "class":
            return frozenset({("object", what)})
        if kind == "method":
            if given is not None:
                owner, name = what.split(".")
                use = Use(self.path, node.lineno, owner, name)
                self.found.calls.add((use, len(given), tuple(sorted(named))))
            return given_by(what)
        if kind == "function":
            return reading.call(reading.functions[what], given, named)
        if kind == "our class":
            self.make(what, given, named)
            return frozenset({("ours", what)})
        if kind == "bound":
            key, name = what
            method = reading.classes[key].methods[name]
            myself = frozenset({("ours", key)})
            return reading.call(method, None if given is None else [myself, *given], named)
        return OTHER

    def make(self, key: Key, given: list[Value] | None, named: dict[str, Value]) -> None:
        known = self.reading.classes[key]
        start = known.methods.get("__init__")
        if start is not None:
            myself = frozenset({("ours", key)})
            self.reading.call(start, None if given is None else [myself, *given], named)
            return
        fields = [each for each in known.node.body if isinstance(each, ast.AnnAssign)]
        names = [each.target.id for each in fields if isinstance(each.target, ast.Name)]
        for name, value in [*zip(names, given or [], strict=False), *named.items()]:
            self.keep(key, name, value)

    def by_name(self, node: ast.Call, base: Value) -> Value:
        """getattr and its like."""
        kind = ast.unparse(node.func)
        how = {"getattr": "read", "hasattr": "asked", "setattr": "stored"}[kind]
        wanted = node.args[1] if len(node.args) > 1 else None
        if isinstance(wanted, ast.Constant) and isinstance(wanted.value, str):
            how = "asked" if kind == "getattr" and len(node.args) > 2 else how
            found = [self.member_of(atom, wanted.value, node.lineno, how) for atom in base]
            return frozenset().union(*found)
        for kind, what in base:
            if kind in ("module", "class", "object"):
                owner = "" if kind == "module" else what
                self.found.computed.add(Use(self.path, node.lineno, owner, "*"))
        return OTHER


def home_of(node: ast.ImportFrom, path: str) -> PurePosixPath:
    """The module, without .py, or package that a relative import names."""
    home = PurePosixPath(path).parents[node.level - 1]
    return home.joinpath(*(node.module or "").split("."))
