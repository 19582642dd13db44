"""Lines: who waits for a slot of a key, in which order, and who has one.

In: tickets. Out: whose turn it is, and when a rate lets the next one begin. Never: a run, or a decision.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from ..ports import Handle
from ..record import Instant, Slots, Want

Place = tuple[str, int]
"""A run, and the ordinal of a task run in it, or RUN."""


class Ticket:
    """A place in line, and then what it has got. `got` counts keys that it has a slot of."""

    __slots__ = ("gone", "got", "held", "offered", "order", "place", "priority", "number", "wants")

    def __init__(self, place: Place, slots: Slots, wants: tuple[Want, ...]) -> None:
        self.place = place
        self.number = slots.number
        self.priority = slots.priority
        self.wants = wants
        self.order = (slots.since, *place)
        self.got = 0
        self.held = False  # its row says that it has taken them
        self.offered = False  # its run has been told, and has not answered
        self.gone = False

    @property
    def want(self) -> Want:
        """The slot that it waits for."""
        return self.wants[self.got]


_Entry = tuple[tuple[Instant, str, int], int, Ticket]


class Line:
    """Who waits for a slot of one key."""

    def __init__(self) -> None:
        self._levels: dict[int, dict[str, list[_Entry]]] = {}
        self._size = 0
        self._count = 0

    def __len__(self) -> int:
        return self._size

    def add(self, ticket: Ticket) -> None:
        groups = self._levels.setdefault(ticket.priority, {})
        self._count += 1
        entry = (ticket.order, self._count, ticket)
        heappush(groups.setdefault(ticket.want.group, []), entry)
        self._size += 1

    def head(self) -> Ticket | None:
        """Whose turn it is."""
        for priority in sorted(self._levels, reverse=True):
            groups = self._levels[priority]
            while groups:
                group = next(iter(groups))
                heap = groups[group]
                while heap and heap[0][2].gone:
                    heappop(heap)
                    self._size -= 1
                if heap:
                    return heap[0][2]
                del groups[group]
            del self._levels[priority]
        return None

    def take(self, ticket: Ticket) -> None:
        """The head leaves; its group gets behind the others."""
        groups = self._levels[ticket.priority]
        heap = groups.pop(ticket.want.group)
        heappop(heap)
        self._size -= 1
        if heap:
            groups[ticket.want.group] = heap

    def tickets(self) -> Iterator[Ticket]:
        for groups in self._levels.values():
            for heap in groups.values():
                yield from (ticket for _, _, ticket in heap if not ticket.gone)


class Key:
    __slots__ = ("alarm", "holders", "line", "recent", "span")

    def __init__(self) -> None:
        self.holders: dict[Place, Ticket] = {}
        self.line = Line()
        self.recent: list[Instant] = []  # when slots were taken, where that counts
        self.span = 0  # the longest that anybody counts over
        self.alarm: Handle | None = None

    def begun(self, want: Want, now: Instant) -> Instant | None:
        """When the rate of `want` lets another one begin; None is now."""
        if not want.count:
            return None
        self.span = max(self.span, want.span)
        if len(self.recent) < want.count:
            return None
        free = self.recent[-want.count] + want.span
        return None if free <= now else free

    def note(self, at: Instant) -> None:
        if self.span:
            self.recent.append(at)
            if self.recent[0] <= at - self.span and len(self.recent) > 64:
                self.recent = [instant for instant in self.recent if instant > at - self.span]

    def is_of_use(self, now: Instant) -> bool:
        if self.holders or len(self.line):
            return True
        return bool(self.recent) and self.recent[-1] > now - self.span
