"""Wall time from the machine, calls through the running event loop.

In: instants and callbacks. Out: the callbacks, called in order. Never: a thread, a sleep.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from heapq import heapify, heappop, heappush

from ..ports import Handle
from ..record import Instant

LONGEST_NAP = 60.0
"""Seconds. The loop counts in monotonic time; looking up this often notices a wall clock that was set."""


class Call:
    """One entry of an Agenda. Ordered by instant, then by the order of asking."""

    __slots__ = ("callback", "_agenda", "order", "when")

    def __init__(self, when: Instant, order: int, callback: Callable[[], None], agenda: Agenda):
        self.when = when
        self.order = order
        self.callback: Callable[[], None] | None = callback
        self._agenda = agenda

    def __lt__(self, other: Call) -> bool:
        return (self.when, self.order) < (other.when, other.order)

    def cancel(self) -> None:
        if self.callback is not None:
            self.callback = None
            self._agenda.forget_one()


class Agenda:
    """Calls by instant. Cancelled ones are dropped when they come up, or when they are the majority."""

    def __init__(self) -> None:
        self._heap: list[Call] = []
        self._order = 0
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def add(self, when: Instant, callback: Callable[[], None]) -> Call:
        self._order += 1
        call = Call(when, self._order, callback, self)
        heappush(self._heap, call)
        return call

    def forget_one(self) -> None:
        self._cancelled += 1
        if self._cancelled > 64 and self._cancelled * 2 > len(self._heap):
            self._heap = [call for call in self._heap if call.callback is not None]
            heapify(self._heap)
            self._cancelled = 0

    def next_at(self) -> Instant | None:
        heap = self._heap
        while heap and heap[0].callback is None:
            heappop(heap)
            self._cancelled -= 1
        return heap[0].when if heap else None

    def last_order(self) -> int:
        """Marks this moment: calls added later have a higher order."""
        return self._order

    def pop(self, until: Instant, added_by: int) -> Callable[[], None] | None:
        """Take the next call that is due `until` and was added by that moment; None if there is none."""
        due_at = self.next_at()
        if due_at is None or due_at > until or self._heap[0].order > added_by:
            return None
        call = heappop(self._heap)
        callback, call.callback = call.callback, None
        return callback


class SystemClock:
    """The machine's clock. One SystemClock serves one event loop at a time.

    Were the machine's clock to be set forward, calls that this makes due happen within a minute.
    """

    def __init__(self, time_ns: Callable[[], int] = time.time_ns) -> None:
        self._time_ns = time_ns
        self._agenda = Agenda()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.Handle | None = None
        self._armed_for: Instant | None = None

    def now(self) -> Instant:
        return self._time_ns() // 1000

    def call_at(self, when: Instant, callback: Callable[[], None]) -> Call:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move_to(loop)
        call = self._agenda.add(when, callback)
        if self._armed_for is None or when < self._armed_for:
            self._arm(loop, when)
        return call

    def call_in(self, span: int, callback: Callable[[], None]) -> Handle:
        """The loop counts in monotonic time, which nobody sets."""
        return asyncio.get_running_loop().call_later(max(span, 0) / 1_000_000, callback)

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None and not self._loop.is_closed() and len(self._agenda):
            raise RuntimeError(
                "this SystemClock has calls waiting in another event loop; make one for each loop"
            )
        self._loop, self._agenda = loop, Agenda()
        self._timer, self._armed_for = None, None

    def _arm(self, loop: asyncio.AbstractEventLoop, when: Instant) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = when
        delay = (when - self.now()) / 1_000_000
        if delay <= 0:
            self._timer = loop.call_soon(self._wake, loop)
        else:
            self._timer = loop.call_later(min(delay, LONGEST_NAP), self._wake, loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, self._armed_for = None, None
        run_due(self._agenda, self.now(), loop)
        due_at = self._agenda.next_at()
        if due_at is not None and (self._armed_for is None or due_at < self._armed_for):
            self._arm(loop, due_at)


def run_due(agenda: Agenda, now: Instant, loop: asyncio.AbstractEventLoop) -> None:
    """Call what is due. What the callbacks add waits for the next round, so that the loop gets its turn."""
    added_by = agenda.last_order()
    while (callback := agenda.pop(now, added_by)) is not None:
        try:
            callback()
        except Exception as exc:  # noqa: BLE001  it must stop no other; the loop's handler hears of it
            loop.call_exception_handler(
                {"message": f"a callback of the clock failed: {callback!r}", "exception": exc}
            )
