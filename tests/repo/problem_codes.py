"""The problem codes and error types that the source names, read from its syntax trees.

A code is the first argument of `Problem(...)`; an error type is what an `Outcome` is given as
`error_type`. Where the argument is a parameter of the function around it, the calls of that function in
the same module say what it can be. What is passed on from another problem has its own place already.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "aether"


class Unclear(AssertionError):
    """A code that this reader cannot follow; write it so that it can."""


class Module:
    """One module: `constants` are the texts that any module of the source binds to a name."""

    def __init__(self, path: Path, constants: dict[str, str]) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text("utf-8"))
        self.constants = constants
        self.around: dict[ast.AST, ast.FunctionDef] = {}
        for function in ast.walk(self.tree):
            if isinstance(function, ast.FunctionDef):
                self.around.update(dict.fromkeys(ast.walk(function), function))

    def problem_codes(self) -> Iterator[str]:
        for call in self.calls("Problem"):
            code = argument(call, 0, "code")
            if code is not None and not isinstance(code, ast.Attribute):
                yield from self.texts(code, call)

    def error_types(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                of_outcome = ast.unparse(node.func) in ("Outcome.failed", "Outcome.error")
                given = argument(node, 1 if of_outcome else 99, "error_type")
                yield from literal(given)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
                for target in node.targets:
                    for name, value in zip(names(target), node.value.elts, strict=False):
                        if name == "error_type":
                            yield from literal(value)

    def calls(self, name: str) -> Iterator[ast.Call]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                called = node.func
                found = called.attr if isinstance(called, ast.Attribute) else ast.unparse(called)
                if found == name:
                    yield node

    def texts(self, value: ast.expr, call: ast.Call) -> Iterator[str]:
        """Every text that `value`, an argument of `call`, can be."""
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value
        elif isinstance(value, ast.Name) and value.id in self.constants:
            yield self.constants[value.id]
        elif isinstance(value, ast.Name):
            yield from self.given(value.id, call)
        elif isinstance(value, ast.JoinedStr) and isinstance(value.values[0], ast.FormattedValue):
            ending = "".join(part.value for part in value.values if isinstance(part, ast.Constant))
            for text in self.given(ast.unparse(value.values[0].value), call):
                yield text + ending
        else:
            raise Unclear(f"{self.path}:{call.lineno}: `{ast.unparse(value)}` is no plain code")

    def given(self, parameter: str, call: ast.Call) -> Iterator[str]:
        """What callers of the function around `call` give for `parameter`."""
        function = self.around.get(call)
        arguments = [one.arg for one in function.args.args] if function is not None else []
        if function is None or parameter not in arguments:
            raise Unclear(f"{self.path}:{call.lineno}: where does `{parameter}` come from?")
        index = arguments.index(parameter) - (arguments[0] == "self")
        for caller in self.calls(function.name):
            value = argument(caller, index, parameter)
            if value is not None:
                yield from self.texts(value, caller)


def argument(call: ast.Call, index: int, name: str) -> ast.expr | None:
    if index < len(call.args):
        return call.args[index]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def names(target: ast.expr) -> list[str]:
    return [ast.unparse(one) for one in target.elts] if isinstance(target, ast.Tuple) else []


def literal(value: ast.expr | None) -> Iterator[str]:
    """A plain text; in a formatted one, `<name>` stands for what is filled in."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
        yield value.value
    elif isinstance(value, ast.JoinedStr):
        yield "".join(
            f"<{ast.unparse(part.value)}>"
            if isinstance(part, ast.FormattedValue)
            else ast.literal_eval(part)
            for part in value.values
        )


def modules(source: Path = SOURCE) -> list[Module]:
    constants: dict[str, str] = {}
    paths = sorted(source.rglob("*.py"))
    for path in paths:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                for target in node.targets:
                    if isinstance(node.value.value, str):
                        constants[ast.unparse(target)] = node.value.value
    return [Module(path, constants) for path in paths]
