"""Limits as code declares them: on a key that names arguments, or that a function makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ..document import parse_rate
from ..errors import Problem, Refused
from ..record import CALLED, Want, as_mapping, wanted

Key = str | Callable[..., Any]


class Limit(msgspec.Struct, frozen=True):
    """At most `concurrency` at once, and at most `rate` begun in a span of time (`"10/1m"`), of all that
    names this key, wherever it does. In `key` and `fair` a text may name arguments in braces
    (`"customer:{customer_id}"`, `"{order.region}"`); a callable is given the arguments themselves. Those
    that wait take turns by `fair`."""

    key: Key
    concurrency: int = 0
    rate: str = ""
    fair: Key = ""

    def __post_init__(self) -> None:
        if self.key == "" or self.concurrency < 0 or not (self.concurrency or self.rate):
            what = f"{self!r} limits nothing"
            raise _bad(what, "give it a key, and a positive concurrency or a rate")
        if self.rate and parse_rate(self.rate) is None:
            what = f"'{self.rate}' is no rate"
            raise _bad(what, 'write how many and within what: "10/1m", "5/s"')


def declared(limits: Sequence[Limit]) -> tuple[Want, ...]:
    """What others may know of these limits: a key that code makes is CALLED."""
    return tuple(_want(limit, _pattern(limit.key), _pattern(limit.fair)) for limit in limits)


def wants_of(
    limits: Sequence[Limit],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    inputs: bytes | None,
) -> tuple[Want, ...]:
    """The slots that a call with these arguments needs; `inputs` are the arguments as they are recorded."""
    if not limits:
        return ()
    made = [
        _want(limit, _made(limit.key, args, kwargs), _made(limit.fair, args, kwargs))
        for limit in limits
    ]
    try:
        return wanted(made, as_mapping(inputs))
    except KeyError as missing:
        what = f"a limit is on '{{{missing.args[0]}}}', and there is no such argument"
        raise _bad(what, "name a parameter that every call gives, or use a callable") from None


def _want(limit: Limit, key: str, group: str) -> Want:
    count, span = (parse_rate(limit.rate) or (0, 0)) if limit.rate else (0, 0)
    return Want(key, limit.concurrency, count, span, group)


def _pattern(key: Key) -> str:
    return key if isinstance(key, str) else CALLED


def _made(key: Key, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    return key if isinstance(key, str) else str(key(*args, **kwargs))


def _bad(what: str, fix: str) -> Refused:
    return Refused(Problem("bad-limit", what, fix=fix))
