"""Operators on two values: `+ - * / %`, the orderings, and `in`.

In: JSON values. Out: a JSON value or InvalidExpression. Ints are 64 bits wide and doubles are finite:
what does not fit is an error, never a silent change of kind.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from .functions import built
from .limits import INT_MAX, INT_MIN
from .site import Run, Site
from .values import equals, kind

_NULL_FIX = "a missing key is null: write has(x) ? x : default"


def _divide(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _remainder(a: int, b: int) -> int:
    return a - b * _divide(a, b)


_INTS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": _remainder,
}
_DOUBLES: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def arithmetic(sign: str, a: object, b: object, run: Run, site: Site) -> object:
    """`a sign b` for values whose kinds are not known yet."""
    kind_a, kind_b = kind(a), kind(b)
    if isinstance(a, int) and isinstance(b, int) and kind_a == kind_b == "int":
        if b == 0 and sign in "/%":
            raise site.fails(
                "an int is divided by zero", "test the divisor first: b == 0 ? 0 : a / b"
            )
        return checked(_INTS[sign](a, b), site) if _small(a) and _small(b) else overflow(site)
    if isinstance(a, float) and isinstance(b, float) and sign in _DOUBLES:
        return doubles(sign, a, b, site)
    if sign == "+":
        if isinstance(a, str) and isinstance(b, str):
            built(len(a) + len(b), site, run)
            return a + b
        if isinstance(a, list | tuple) and isinstance(b, list | tuple):
            site.spend(run, len(a) + len(b))
            return [*a, *b]
    raise site.fails(
        f"'{sign}' has no meaning between {kind_a} and {kind_b}", _fix(sign, kind_a, kind_b)
    )


def _fix(sign: str, kind_a: str, kind_b: str) -> str:
    kinds = {kind_a, kind_b}
    if kinds == {"int", "double"}:
        return "use double(x)" if sign != "%" else "use int(x)"
    if "null" in kinds:
        return _NULL_FIX
    if "string" in kinds and sign == "+" and kinds <= {"string", "int", "double", "bool"}:
        return "use string(x)"
    if "string" in kinds and kinds <= {"string", "int", "double"}:
        return "use int(x) or double(x)"
    return ""


def _small(a: int) -> bool:
    return INT_MIN <= a <= INT_MAX


def checked(number: int, site: Site) -> int:
    """`number`, if it fits."""
    return number if INT_MIN <= number <= INT_MAX else overflow(site)


def overflow(site: Site) -> int:
    raise site.fails("the result does not fit into 64 bits", "use double(x)")


def doubles(sign: str, a: float, b: float, site: Site) -> float:
    """A finite double, or an error: JSON knows neither infinity nor NaN."""
    if sign == "/" and b == 0:
        raise site.fails(
            "a double is divided by zero", "test the divisor first: b == 0.0 ? 0.0 : a / b"
        )
    number = _DOUBLES[sign](a, b)
    if number - number != 0:
        raise site.fails("the result is too large for a double")
    return number


def negative(value: object, site: Site) -> object:
    if type(value) is int:
        return checked(-value, site)
    if type(value) is float:
        return -value
    fix = _NULL_FIX if value is None else ""
    raise site.fails(f"'-' needs a number, not a {kind(value)}", fix)


def ordered(sign: str, a: object, b: object, site: Site) -> bool:
    """Numbers with numbers, strings with strings, bools with bools."""
    kind_a, kind_b = kind(a), kind(b)
    number = ("int", "double")
    if (kind_a in number and kind_b in number) or (
        kind_a == kind_b and kind_a in ("string", "bool")
    ):
        return _ORDERS[sign](a, b)
    fix = ""
    if "null" in (kind_a, kind_b):
        fix = _NULL_FIX
    elif "string" in (kind_a, kind_b) and (kind_a in number or kind_b in number):
        fix = "use int(x) or double(x) on the string"
    raise site.fails(f"'{sign}' cannot order {kind_a} and {kind_b}", fix)


def within(value: object, container: object, run: Run, site: Site) -> bool:
    """`value in container`."""
    if isinstance(container, list | tuple):
        site.spend(run, len(container) + 1)
        text = type(value) is str
        for item in container:
            if text and type(item) is str:
                if item == value:
                    return True
            elif equals(value, item, run, site):
                return True
        return False
    if isinstance(container, dict):
        return isinstance(value, str) and value in container
    fix = "use text.contains(part)" if isinstance(container, str) else ""
    if container is None:
        fix = _NULL_FIX
    raise site.fails(f"'in' needs a list or a map on its right, not a {kind(container)}", fix)


def indexed(container: object, index: object, site: Site) -> Any:
    """`container[index]`. A member that is missing is null; an item that is missing is an error."""
    if isinstance(container, dict):
        if isinstance(index, str):
            return container.get(index)
        raise site.fails(f"the keys of a map are strings, not {kind(index)}", "use string(x)")
    if container is None:
        return None
    if not isinstance(container, list | tuple):
        raise site.fails(f"a {kind(container)} has no items")
    if type(index) is float and index.is_integer():
        index = int(index)
    if type(index) is not int:
        raise site.fails(f"the items of a list are numbered, from 0; this is a {kind(index)}")
    if not 0 <= index < len(container):
        raise site.fails(
            f"there is no item {index} in a list of {len(container)}", "size(list) tells its length"
        )
    return container[index]
