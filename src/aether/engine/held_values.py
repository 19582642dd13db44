"""Which rows and patches hold a value at all: most hold none.

In: rows and patches. Out: their values. Never: a look inside a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from ..record import HOLDS_VALUES, PAYLOADS

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
