"""A clock that stands still until a test moves it.

In: instants and callbacks. Out: the callbacks, when a test says that their time has come. Never: waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from ..adapters.clock import Agenda, Call, run_due
from ..record import Instant

MICROSECOND = timedelta(microseconds=1)


class FakeClock:
    """Starts at `start` and stays there.

        clock = FakeClock()
        await clock.advance(timedelta(hours=1))   # what is due in between is called, at its own instant
        await clock.advance(to=deadline)
        clock.set_back(timedelta(minutes=5))      # somebody corrected the machine's clock

    After each callback the loop runs on until what the callback woke has had its say: `rounds` turns of
    the loop. Work in threads or sockets is not waited for.
    """

    def __init__(self, start: Instant = 1_750_000_000_000_000, *, rounds: int = 20) -> None:
        self._now = start
        self._rounds = rounds
        self._agenda = Agenda()
        self._passed = 0  # microseconds since the start, whatever was done to the hands
        self._spans = Agenda()  # by what will have passed

    def now(self) -> Instant:
        return self._now

    def call_at(self, when: Instant, callback: Callable[[], None]) -> Call:
        call = self._agenda.add(when, callback)
        if when <= self._now:
            self._wake_soon()
        return call

    def call_in(self, span: int, callback: Callable[[], None]) -> Call:
        call = self._spans.add(self._passed + max(span, 0), callback)
        if span <= 0:
            self._wake_soon()
        return call

    @property
    def waiting(self) -> int:
        """How many calls are asked for and have not happened."""
        return len(self._agenda) + len(self._spans)

    @property
    def next_at(self) -> Instant | None:
        """The instant of the earliest call that is asked for, if nobody sets the clock meanwhile."""
        at, passed = self._agenda.next_at(), self._spans.next_at()
        if passed is None:
            return at
        by_span = self._now + passed - self._passed
        return by_span if at is None else min(at, by_span)

    async def advance(self, by: timedelta = timedelta(0), *, to: Instant | None = None) -> None:
        """Move on `by` a span, or up to the instant `to`, and call what is due on the way.

        Each callback sees its own instant as `now`. What callbacks ask for on the way is called too, if
        it is due by the end. An instant that has passed already only lets the loop settle.
        """
        end = self._now + by // MICROSECOND if to is None else to
        await self.settle()
        while (due_at := self.next_at) is not None and due_at <= end:
            self._pass(due_at)
            self._run_due(asyncio.get_running_loop())
            await self.settle()
        self._pass(end)
        await self.settle()

    def _pass(self, to: Instant) -> None:
        span = max(0, to - self._now)
        self._now += span
        self._passed += span

    def _run_due(self, loop: asyncio.AbstractEventLoop) -> None:
        run_due(self._agenda, self._now, loop)
        run_due(self._spans, self._passed, loop)

    async def settle(self) -> None:
        """Let the loop finish what is ready, without moving."""
        self._wake_soon()
        for _ in range(self._rounds):
            await asyncio.sleep(0)

    def jump(self, to: Instant) -> None:
        """Set the hands, forward or back, and call nothing now: what that makes due is called soon.
        No time passes: what waits for a span waits on."""
        self._now = to
        due_at = self._agenda.next_at()
        if due_at is not None and due_at <= to:
            self._wake_soon()

    def set_back(self, by: timedelta) -> None:
        """Go backwards. What is due at an instant that now lies ahead again waits for it again."""
        self.jump(self._now - by // MICROSECOND)

    def _wake_soon(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # set up before the loop runs: `advance` and `settle` see to it
        loop.call_soon(self._run_due, loop)
