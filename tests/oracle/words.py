"""Values, references and the small corner of the expression language the oracle knows by itself.

Only what `documents` writes: `a OP b` joined by `&&`, bare references, literals, `{{key}}`.
"""

from __future__ import annotations

import json
import re
from typing import Any

Env = dict[str, Any]

ALIAS = "workflow.arguments.parameters."
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_COMPARISON = re.compile(r"^(.*?) (==|!=|<=|>=|<|>) (.*)$")


class Unresolved(Exception):
    """A reference to nothing, or an expression that fails."""


def aliased(key: str) -> str:
    return "workflow.parameters." + key[len(ALIAS) :] if key.startswith(ALIAS) else key


def printed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(left: Any, right: Any) -> bool:
    """Unequal types are unequal, except that a number equals its own printed text."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if is_number(left) and isinstance(right, str):
        return printed(left) == right
    if isinstance(left, str) and is_number(right):
        return left == printed(right)
    return type(left) is type(right) and left == right


def evaluate(text: str, env: Env) -> Any:
    clauses = text.split(" && ")
    if len(clauses) == 1:
        return _clause(text, env)
    return all(_clause(clause, env) for clause in clauses)


def _clause(text: str, env: Env) -> Any:
    match = _COMPARISON.match(text)
    if match is None:
        return _operand(text, env)
    left, operator, right = _operand(match[1], env), match[2], _operand(match[3], env)
    if operator in ("==", "!="):
        return equal(left, right) == (operator == "==")
    if not (is_number(left) and is_number(right)):
        raise Unresolved(text)
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[
        operator
    ]


def _operand(text: str, env: Env) -> Any:
    text = text.strip()
    if text.startswith("'"):
        return text[1:-1]
    if text in ("true", "false", "null") or text[0].isdigit() or text[0] == "-":
        return json.loads(text)
    if placeholder := _PLACEHOLDER.fullmatch(text):
        text = placeholder[1]
    return env.get(aliased(text))


def truth(text: str, env: Env) -> bool:
    """As retry expressions, conditions and `when` see it: an error counts as false."""
    try:
        value = evaluate(text, env)
    except Unresolved:
        return False
    return value is True or value == "true"


def substitute(value: Any, env: Env) -> Any:
    """`{{ }}` in strings at any depth, once; what is unknown stays as written."""
    if isinstance(value, list):
        return [substitute(item, env) for item in value]
    if isinstance(value, dict):
        return {name: substitute(item, env) for name, item in value.items()}
    if not isinstance(value, str):
        return value
    if "{{{{" in value:
        return value.replace("{{{{", "{{").replace("}}}}", "}}")
    if (whole := _PLACEHOLDER.fullmatch(value)) and _known(whole[1], env):
        return evaluate(whole[1], env)

    def one(match: re.Match[str]) -> str:
        return printed(evaluate(match[1], env)) if _known(match[1], env) else match[0]

    return _PLACEHOLDER.sub(one, value)


def _known(text: str, env: Env) -> bool:
    """A key that exists, or an expression."""
    return aliased(text) in env or _COMPARISON.match(text) is not None


def look_up(source: dict[str, Any], env: Env) -> Any:
    """A `valueFrom`. The first member that is set wins."""
    if path := source.get("path"):
        if path not in env:
            raise Unresolved(path)
        return env[path]
    if key := source.get("parameter"):
        if aliased(key) not in env:
            raise Unresolved(key)
        return env[aliased(key)]
    return evaluate(source["expression"], env)


def micros(text: str) -> int:
    """Durations as `documents` writes them: whole milliseconds or seconds."""
    if not text:
        return 0
    if text.endswith("ms"):
        return int(text[:-2]) * 1_000
    return int(text[:-1]) * 1_000_000
