"""Flow control as rows keep it: which keys a run or task run needs a slot of, and whether it has them."""

from __future__ import annotations

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

    @property
    def waits(self) -> bool:
        return self.taken is None and self.since > 0
