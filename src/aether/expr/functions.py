"""The functions of the language, as one table.

In: values, with the run whose budget they work on. Out: a JSON value or InvalidExpression. Never:
clock, chance, a Python method of a value that is not the plain JSON kind it claims to be.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from .limits import CHARACTERS_PER_STEP, INT_MAX, INT_MIN, MAX_TEXT
from .pattern import Pattern
from .site import Run, Site
from .values import kind, printed_number


class Function(NamedTuple):
    """`least` and `most` count the receiver. `code` gets the site, the run, then the values."""

    code: Callable[..., Any]
    usage: str
    least: int = 1
    most: int = 1
    as_function: bool = True
    as_method: bool = False


def text_of(value: object, name: str, site: Site) -> str:
    """`value`, which must be a string."""
    if isinstance(value, str):
        return value
    fix = "string(x) makes a string of a number" if isinstance(value, int | float) else ""
    if value is None:
        fix = "a missing key is null: has(x) tells whether it exists"
    raise site.fails(f"{name} needs a string, not a {kind(value)}", fix)


def _whole(value: object, name: str, site: Site) -> int:
    if type(value) is not int:
        raise site.fails(f"{name} needs an int here, not a {kind(value)}")
    return value


def built(length: int, site: Site, run: Run) -> None:
    """Called before a string of this length is made."""
    if length > MAX_TEXT:
        raise site.exhausted(f"an expression builds strings of at most {MAX_TEXT} characters")
    site.spend(run, length // CHARACTERS_PER_STEP + 1)


def _read(text: str, site: Site, run: Run) -> None:
    site.spend(run, len(text) // CHARACTERS_PER_STEP + 1)


def _size(site: Site, run: Run, value: object) -> int:
    if isinstance(value, str | list | tuple | dict):
        return len(value)
    raise site.fails(
        f"size needs a string, list or map, not a {kind(value)}",
        "a missing key is null: has(x) tells whether it exists" if value is None else "",
    )


def _int(site: Site, run: Run, value: object) -> int:
    if type(value) is int:
        number = value
    elif type(value) is float:
        if value - value != 0:
            raise site.fails("int cannot convert this double")
        number = int(value)
    elif isinstance(value, str) and len(value) <= 40 and re.fullmatch(r"-?[0-9]+", value):
        number = int(value)
    else:
        shown = f"'{value[:40]}'" if isinstance(value, str) else f"a {kind(value)}"
        raise site.fails(f"int cannot convert {shown}", "it takes numbers, and text such as '42'")
    if not INT_MIN <= number <= INT_MAX:
        raise site.fails("this number does not fit into 64 bits", "use double(x)")
    return number


def _double(site: Site, run: Run, value: object) -> float:
    number: float | None = None
    if type(value) is float:
        return value
    if type(value) is int and value.bit_length() < 1000:
        number = float(value)
    elif isinstance(value, str) and len(value) <= 400:
        if re.fullmatch(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]{1,5})?", value):
            number = float(value)
    if number is None or number - number != 0:
        shown = f"'{value[:40]}'" if isinstance(value, str) else f"this {kind(value)}"
        raise site.fails(
            f"double cannot convert {shown}", "it takes numbers, and text such as '1.5'"
        )
    return number


def _string(site: Site, run: Run, value: object) -> str:
    if isinstance(value, str):
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int | float):
        return printed_number(value)
    raise site.fails(
        f"string cannot convert a {kind(value)}", "it takes numbers, bools and strings"
    )


_BOOLS = dict.fromkeys(("true", "True", "TRUE", "t", "1"), True)
_BOOLS |= dict.fromkeys(("false", "False", "FALSE", "f", "0"), False)


def _bool(site: Site, run: Run, value: object) -> bool:
    if value is True or value is False:
        return value is True
    if isinstance(value, str) and value in _BOOLS:
        return _BOOLS[value]
    raise site.fails(f"bool cannot convert this {kind(value)}", "it takes 'true' and 'false'")


TYPE_NAMES = ("int", "double", "string", "bool", "list", "map", "null_type")


def _type(site: Site, run: Run, value: object) -> str:
    name = kind(value)
    return "null_type" if name == "null" else name


def _dyn(site: Site, run: Run, value: object) -> object:
    return value


def _contains(site: Site, run: Run, value: object, part: object) -> bool:
    text = text_of(value, "contains", site)
    _read(text, site, run)
    return text_of(part, "contains", site) in text


def _starts_with(site: Site, run: Run, value: object, part: object) -> bool:
    return text_of(value, "startsWith", site).startswith(text_of(part, "startsWith", site))


def _ends_with(site: Site, run: Run, value: object, part: object) -> bool:
    return text_of(value, "endsWith", site).endswith(text_of(part, "endsWith", site))


def _matches(site: Site, run: Run, value: object, pattern: object) -> bool:
    text = text_of(value, "matches", site)
    written = text_of(pattern, "matches", site)
    site.spend(run, 500 + 50 * min(len(written), 1000))  # the price of compiling it
    return Pattern(written, site).search(text, run, site)


_LOWER = {code: code + 32 for code in range(65, 91)}
_UPPER = {code: code - 32 for code in range(97, 123)}


def _lower(site: Site, run: Run, value: object) -> str:
    text = text_of(value, "lowerAscii", site)
    built(8 * len(text) if not text.isascii() else len(text), site, run)
    return text.lower() if text.isascii() else text.translate(_LOWER)


def _upper(site: Site, run: Run, value: object) -> str:
    text = text_of(value, "upperAscii", site)
    built(8 * len(text) if not text.isascii() else len(text), site, run)
    return text.upper() if text.isascii() else text.translate(_UPPER)


def _trim(site: Site, run: Run, value: object) -> str:
    text = text_of(value, "trim", site)
    _read(text, site, run)
    return text.strip()


def _split(site: Site, run: Run, value: object, by: object, limit: object = -1) -> list[str]:
    text, separator = text_of(value, "split", site), text_of(by, "split", site)
    most = _whole(limit, "split", site)
    _read(text, site, run)
    if most == 0:
        return []
    pieces = text.count(separator) + (1 if separator else -1)
    pieces = max(pieces if most < 0 else min(pieces, most), 0)
    site.spend(run, pieces)
    if separator:
        return text.split(separator, pieces - 1 if most > 0 else -1)
    if not text:
        return [""]
    if most < 0 or most >= len(text):
        return list(text)
    return [*text[: most - 1], text[most - 1 :]]


def _join(site: Site, run: Run, value: object, by: object = "") -> str:
    separator = text_of(by, "join", site)
    if not isinstance(value, list | tuple):
        raise site.fails(f"join needs a list of strings, not a {kind(value)}")
    site.spend(run, len(value))
    length = 0
    for item in value:
        length += len(text_of(item, "join", site)) + len(separator)
    built(length, site, run)
    return separator.join(value)


def _replace(
    site: Site, run: Run, value: object, old: object, new: object, limit: object = -1
) -> str:
    text, before = text_of(value, "replace", site), text_of(old, "replace", site)
    after, most = text_of(new, "replace", site), _whole(limit, "replace", site)
    _read(text, site, run)
    if most == 0:
        return text
    count = text.count(before)
    count = count if most < 0 else min(count, most)
    built(len(text) + count * max(len(after) - len(before), 0), site, run)
    return text.replace(before, after, count)


def _substring(site: Site, run: Run, value: object, start: object, end: object = None) -> str:
    text = text_of(value, "substring", site)
    first = _whole(start, "substring", site)
    last = len(text) if end is None else _whole(end, "substring", site)
    if not 0 <= first <= last <= len(text):
        raise site.fails(
            f"substring({first}, {last}) lies outside a string of {len(text)} characters"
        )
    built(last - first, site, run)
    return text[first:last]


def _index_of(site: Site, run: Run, value: object, part: object, start: object = 0) -> int:
    text, wanted = text_of(value, "indexOf", site), text_of(part, "indexOf", site)
    first = _whole(start, "indexOf", site)
    if not 0 <= first <= len(text):
        raise site.fails(f"indexOf begins at {first}, outside a string of {len(text)} characters")
    _read(text, site, run)
    return text.find(wanted, first)


def _method(code: Callable[..., Any], usage: str, least: int, most: int = 0) -> Function:
    return Function(code, usage, least, most or least, False, True)


FUNCTIONS: dict[str, Function] = {
    "size": Function(_size, "size(x) or x.size()", as_method=True),
    "int": Function(_int, "int(x)"),
    "double": Function(_double, "double(x)"),
    "string": Function(_string, "string(x)"),
    "bool": Function(_bool, "bool(x)"),
    "type": Function(_type, "type(x)"),
    "dyn": Function(_dyn, "dyn(x)"),
    "matches": Function(_matches, "text.matches('pattern')", 2, 2, as_method=True),
    "contains": _method(_contains, "text.contains('part')", 2),
    "startsWith": _method(_starts_with, "text.startsWith('part')", 2),
    "endsWith": _method(_ends_with, "text.endsWith('part')", 2),
    "lowerAscii": _method(_lower, "text.lowerAscii()", 1),
    "upperAscii": _method(_upper, "text.upperAscii()", 1),
    "trim": _method(_trim, "text.trim()", 1),
    "split": _method(_split, "text.split(',') or text.split(',', limit)", 2, 3),
    "join": _method(_join, "list.join() or list.join(',')", 1, 2),
    "replace": _method(_replace, "text.replace('old', 'new') or with a limit", 3, 4),
    "substring": _method(_substring, "text.substring(start) or text.substring(start, end)", 2, 3),
    "indexOf": _method(_index_of, "text.indexOf('part') or text.indexOf('part', start)", 2, 3),
}
