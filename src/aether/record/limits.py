"""Flow control as rows keep it: which keys a run or task run needs a slot of, and whether it has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

Instant = int


class Want(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True, gc=False):
    """A slot of `key`: at most `concurrency` hold one at once, at most `count` take one within `span`
    microseconds; 0 is no limit. Those that wait take turns by `group`."""

    key: str
    concurrency: int = 0
    count: int = 0
    span: int = 0
    group: str = ""


class Slots(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """`since` is when it got into line, 0 before, and `number` that of the decision in which it did: no
    other place in line is taken for this one. `taken` is when it got all that it wants. That is its own
    until the row is over, or says otherwise."""

    wants: tuple[Want, ...]
    priority: int = 0
    since: Instant = 0
    number: int = 0
    taken: Instant | None = None
    covered: tuple[str, ...] = ()  # keys of which somebody above has a slot that does for all below
    before: tuple[Instant, ...] = ()  # when earlier attempts took theirs, where that counts

    def released(self) -> Slots | None:
        """What there is to remember once they are its own no more."""
        if self.taken is None or not any(want.count for want in self.wants):
            return None
        before = (*self.before, self.taken)
        return msgspec.structs.replace(self, since=0, taken=None, before=before)

    @property
    def waits(self) -> bool:
        return self.taken is None and self.since > 0


CALLED = "\x00"
"""In the place of a pattern: a key that only the code of the function can tell."""

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.]*)\}")


def filled(pattern: str, values: Mapping[str, Any]) -> str:
    """`pattern` with `{name}` and `{name.member}` replaced by the arguments of that name. Raises KeyError
    with the name of one that is not there."""

    def value(found: re.Match[str]) -> str:
        here: Any = values
        for word in found[1].split("."):
            if not isinstance(here, Mapping) or word not in here:
                raise KeyError(found[1])
            here = here[word]
        return here if isinstance(here, str) else msgspec.json.encode(here).decode()

    return _NAME.sub(value, pattern)


def wanted(declared: Iterable[Want], values: Mapping[str, Any]) -> tuple[Want, ...]:
    """Declared limits, with the keys that these arguments make of their patterns, in the order of the
    keys. Of two on one key the narrower one counts in each respect. Raises KeyError as `filled`."""
    found: dict[str, Want] = {}
    for each in declared:
        key, group = filled(each.key, values), filled(each.group, values)
        want = Want(key, each.concurrency, each.count, each.span, group)
        known = found.get(key)
        found[key] = want if known is None else narrower(known, want)
    return tuple(found[key] for key in sorted(found))


def narrower(one: Want, other: Want) -> Want:
    """Both limits of one key as one."""
    least = min(filter(None, (one.concurrency, other.concurrency)), default=0)
    rates = [want for want in (one, other) if want.count]
    rate = min(rates, key=lambda want: want.count / want.span, default=one)
    return Want(one.key, least, rate.count, rate.span, one.group or other.group)
