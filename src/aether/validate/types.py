"""Parameter types: which JSON values fit which declared type."""

from __future__ import annotations

from typing import Any

TYPES = ("string", "int", "float", "bool", "array", "object", "any", "json", "list")
_NAMES = {str: "string", bool: "bool", int: "int", float: "float", list: "array", dict: "object"}


def fits(declared: str, value: Any) -> bool:
    """Whether `value` is of type `declared`. A bool is no int; a float takes an int. Types nobody
    knows and the absent type take everything; null is "not set" and fits everywhere."""
    if value is None:
        return True
    match declared:
        case "string":
            return isinstance(value, str)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "bool":
            return isinstance(value, bool)
        case "array" | "list":
            return isinstance(value, (list, tuple))
        case "object":
            return isinstance(value, dict)
        case _:
            return True


def type_name(value: Any) -> str:
    """The type `value` has, in the words of the protocol."""
    return "null" if value is None else _NAMES.get(type(value), type(value).__name__)


def same(left: Any, right: Any) -> bool:
    """Equality as JSON sees it: 1 equals 1.0, but true does not equal 1."""
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def in_enum(enum: tuple[Any, ...], value: Any) -> bool:
    if not enum or value is None:
        return True
    at = -1
    try:
        while True:
            at = enum.index(value, at + 1)
            if same(enum[at], value):
                return True
    except ValueError:
        return False
