"""Every error code of the code, and what carries it, read from the code's text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Final

from hive import errors
from hive.domain.job import Trouble
from hive.errors import Fault, HiveError, Refused, Transient

ROOT: Final = Path(__file__).parent.parent
CODE: Final = ("hive", "cli", "workers")
KINDS: Final = (Refused, Transient, Fault)
WORLDS: Final = {"WORLD": Transient}
"""Tables of `words: (code, hint)`, and what is raised with them."""

Kind = type[HiveError] | type[Trouble]
"""A class of errors; or `Trouble`, of what stands on a job's row and was never raised."""
Found = tuple[str, Kind | None]


def codes() -> dict[str, frozenset[Kind | None]]:
    """By code; None among its kinds where the text alone does not tell one."""
    modules = [ast.parse(path.read_text()) for code in CODE for path in _files(code)]
    reader = _Reader(modules)
    kinds: dict[str, set[Kind | None]] = {}
    for module in modules:
        for code, kind in reader.read(module):
            kinds.setdefault(code, set()).add(kind)
    return {code: frozenset(found) for code, found in sorted(kinds.items())}


def _files(code: str) -> list[Path]:
    """The sim's programs have numbers for codes, and none of ours."""
    return [path for path in (ROOT / code).rglob("*.py") if "sim" not in path.parts]


class _Reader:
    """Knows the classes of errors, the constants that hold codes, and who takes a code by place."""

    def __init__(self, modules: list[ast.Module]) -> None:
        nodes = [node for module in modules for node in ast.walk(module)]
        self._classes: dict[str, type] = {Trouble.__name__: Trouble}
        self._classes |= {k: v for k, v in vars(errors).items() if isinstance(v, type)}
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                above = (self._class(base) for base in node.bases)
                if kind := next(filter(None, above), None):
                    self._classes.setdefault(node.name, kind)
        self._constants = dict(pair for module in modules for pair in _constants(module))
        self._places = {
            node.name: [arg.arg for arg in node.args.args].index("code")
            for node in nodes
            if isinstance(node, ast.FunctionDef) and "code" in [arg.arg for arg in node.args.args]
        } | {Trouble.__name__: [field.name for field in fields(Trouble)].index("code")}

    def read(self, module: ast.Module) -> Iterator[Found]:
        for node in ast.walk(module):
            if isinstance(node, ast.Call):
                yield from self._of_call(node)
            elif isinstance(node, ast.ClassDef):
                yield from self._of_class(node)
        for name, value in _assigned(module.body):
            if isinstance(value, ast.Dict):
                yield from self._of_table(name, value)

    def _of_call(self, call: ast.Call) -> Iterator[Found]:
        kind = self._class(call.func)
        for keyword in call.keywords:
            if keyword.arg == "code" and (code := self._text(keyword.value)):
                yield code, kind
        place = self._places.get(_name(call.func), len(call.args))
        if place < len(call.args) and (code := self._text(call.args[place])):
            yield code, kind if kind is Trouble else None

    def _of_class(self, made: ast.ClassDef) -> Iterator[Found]:
        for name, value in _assigned(made.body):
            code = self._text(value)
            if code and name == "default_code":
                yield code, _kind(self._classes[made.name])
            elif code and name == "code":
                yield code, None

    def _of_table(self, name: str, table: ast.Dict) -> Iterator[Found]:
        """`code: class`, or what `WORLDS` says."""
        for key, value in zip(table.keys, table.values, strict=True):
            if kind := self._class(value):
                code = self._text(key)
                yield from [(code, kind)] if code else []
            elif name in WORLDS and isinstance(value, ast.Tuple):
                code = self._text(value.elts[0])
                yield from [(code, WORLDS[name])] if code else []

    def _class(self, node: ast.expr) -> Kind | None:
        found = self._classes.get(_name(node))
        return _kind(found) if found else None

    def _text(self, node: ast.expr | None) -> str | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value or None
        return self._constants.get(node.id) if isinstance(node, ast.Name) else None


def _kind(found: type) -> Kind | None:
    if found is Trouble:
        return Trouble
    return next((kind for kind in KINDS if issubclass(found, kind)), None)


def _constants(module: ast.Module) -> Iterator[tuple[str, str]]:
    for name, value in _assigned(module.body):
        text = value.value if isinstance(value, ast.Constant) else None
        if isinstance(text, str) and re.fullmatch(r"[a-z]+(-[a-z]+)*", text):
            yield name, text


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for node in body:
        if isinstance(node, ast.Assign):
            yield from ((_name(target), node.value) for target in node.targets)
        elif isinstance(node, ast.AnnAssign) and node.value:
            yield _name(node.target), node.value


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
