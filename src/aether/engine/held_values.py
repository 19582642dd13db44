"""Which rows and patches hold a value at all: most hold none, and every commit asks.

In: rows and patches. Out: their values. Never: a look inside a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from ..record import PAYLOADS


def _asker(fields: tuple[str, ...]) -> Callable[[Any], bool]:
    """A function that tells whether one of these members is a value. It is made of one expression: a loop
    over their names takes five times as long."""
    tests = (f"(change.{field} is not None and change.{field} is not UNSET)" for field in fields)
    text = f"lambda change, UNSET=UNSET: {' or '.join(tests) or 'False'}"
    made: Callable[[Any], bool] = eval(text, {"UNSET": UNSET})  # noqa: S307 - of our own names
    return made


HOLDS_VALUES = {kind: _asker(fields) for kind, fields in PAYLOADS.items()}
"""Asked by the type of a row or patch."""


_MEMBERS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    # Two names at least make a getter answer with a tuple.
    kind: attrgetter(*(fields if len(fields) > 1 else fields * 2))
    for kind, fields in PAYLOADS.items()
    if fields
}


def changes_with_values(changes: Iterable[Any]) -> list[Any]:
    return [change for change in changes if HOLDS_VALUES[type(change)](change)]


def values_of(change: Any) -> list[bytes]:
    """Of a change that holds any."""
    return [value for value in _MEMBERS[type(change)](change) if value.__class__ is bytes]
