"""What the language knows about JSON values: their kinds, how they print, when they are equal.

In: JSON values as they lie in the environment, never converted. Out: answers. Never: an error other
than InvalidExpression, recursion over values.
"""

from __future__ import annotations

import msgspec

from .limits import INT_MAX, INT_MIN
from .site import Run, Site

_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "double",
    str: "string",
    list: "list",
    tuple: "list",
    dict: "map",
}
_encode = msgspec.json.Encoder().encode


def kind(value: object) -> str:
    """The name of a value's kind; the class name for what is no JSON value."""
    found = _KINDS.get(type(value))
    if found is not None:
        return found
    for base in (str, int, float, list, dict):
        if isinstance(value, base):
            return _KINDS[base]
    return type(value).__name__


def printed_number(value: int | float) -> str:
    """As JSON prints it: 1000000, 2 for 2.0, 1.5, 1e+22, 1e-7."""
    if isinstance(value, float):
        if not value.is_integer() or abs(value) >= 1e21:
            return _encode(value).decode() if value - value == 0 else str(value)
        value = int(value)
    if INT_MIN <= value <= INT_MAX:
        return int.__str__(value)
    return str(value) if value.bit_length() < 10_000 else hex(value)


def printed(value: object) -> str:
    """The text that stands for a value: strings as they are, the rest as JSON.

    Raises ValueError for what has no JSON form.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int | float):
        return printed_number(value)
    try:
        return _encode(value).decode()
    except (TypeError, OverflowError, RecursionError, UnicodeError) as exc:
        raise ValueError(f"it has no JSON form: {exc}") from exc


def equals(left: object, right: object, run: Run, site: Site) -> bool:
    """Unequal kinds are unequal, except int with double, and a number with its own printed text."""
    stack = [(left, right)]
    while stack:
        a, b = stack.pop()
        if a is b:
            continue
        kind_a, kind_b = kind(a), kind(b)
        if kind_a == kind_b:
            if isinstance(a, list | tuple) and isinstance(b, list | tuple):
                if len(a) != len(b):
                    return False
                site.spend(run, 4 * len(a))
                stack.extend(zip(a, b, strict=True))
            elif isinstance(a, dict) and isinstance(b, dict):
                if len(a) != len(b):
                    return False
                site.spend(run, 4 * len(a))
                for key, value in a.items():
                    if key not in b:
                        return False
                    stack.append((value, b[key]))
            elif a != b:
                return False
        elif not _alike(a, b):
            return False
    return True


def _alike(a: object, b: object) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return False
    if isinstance(a, int | float):
        if isinstance(b, int | float):
            return a == b
        return isinstance(b, str) and printed_number(a) == b
    return isinstance(b, int | float) and isinstance(a, str) and printed_number(b) == a
