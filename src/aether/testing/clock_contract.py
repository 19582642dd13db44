"""What every Clock promises."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from ..ports import Clock, Handle
from ..record import Instant
from .clock import MICROSECOND
from .suites import ContractSuite

STEP = 4_000
"""Microseconds between two instants of a test: short, since a real clock is waited for."""


class ClockContract(ContractSuite):
    """`make` returns a clock. Override the helpers where time does not pass, or can be set, otherwise."""

    def make(self) -> Clock:
        raise NotImplementedError

    async def reach(self, clock: Clock, when: Instant) -> None:
        """Return when `clock.now() >= when` and what was due has been called."""
        reached = asyncio.Event()
        clock.call_at(when, reached.set)
        await reached.wait()

    def set_back(self, clock: Clock, by: timedelta) -> None:
        """Make the clock go backwards."""
        pytest.skip("override set_back to show what happens when this clock goes backwards")

    async def pass_time(self, clock: Clock, span: int) -> None:
        """Return when `span` microseconds have passed, whatever the clock shows, and what was due then has
        been called."""
        await asyncio.sleep(span / 1_000_000)

    async def _passed(self, clock: Clock, steps: int = 1) -> None:
        await self.reach(clock, clock.now() + steps * STEP)

    def test_now_is_whole_microseconds_of_this_age(self) -> None:
        now = self.make().now()
        assert type(now) is int
        year = timedelta(days=365) // MICROSECOND
        assert 30 * year < now < 230 * year

    async def test_now_passes(self) -> None:
        clock = self.make()
        before = clock.now()
        await self._passed(clock)
        assert clock.now() >= before + STEP

    async def test_a_call_happens_once_and_not_before_its_instant(self) -> None:
        clock = self.make()
        when = clock.now() + 2 * STEP
        seen: list[Instant] = []
        clock.call_at(when, lambda: seen.append(clock.now()))
        await self.reach(clock, when - STEP)
        await self.reach(clock, when)
        await self._passed(clock, 2)
        assert len(seen) == 1
        assert seen[0] >= when

    async def test_an_instant_in_the_past_is_due_as_soon_as_the_loop_is_free(self) -> None:
        clock = self.make()
        done: list[int] = []
        for ago in (0, 1, 10**15):
            clock.call_at(clock.now() - ago, partial(done.append, ago))
        assert done == [], "called inside call_at"
        for _ in range(50):
            await asyncio.sleep(0)
        assert sorted(done) == [0, 1, 10**15]

    async def test_calls_of_one_instant_run_in_the_order_of_asking(self) -> None:
        clock = self.make()
        when = clock.now() + STEP
        order: list[int] = []
        for number in range(20):
            clock.call_at(when, partial(order.append, number))
        await self.reach(clock, when)
        assert order == list(range(20))

    async def test_calls_run_in_the_order_of_their_instants(self) -> None:
        clock = self.make()
        base = clock.now() + STEP
        order: list[int] = []
        for number in (3, 0, 2, 1):
            clock.call_at(base + number, partial(order.append, number))
        await self.reach(clock, base + 4)
        assert order == [0, 1, 2, 3]

    async def test_an_earlier_call_may_be_asked_for_later(self) -> None:
        clock = self.make()
        base = clock.now()
        order: list[str] = []
        clock.call_at(base + timedelta(hours=1) // MICROSECOND, lambda: order.append("far"))
        clock.call_at(base + STEP, lambda: order.append("near"))
        await self.reach(clock, base + 2 * STEP)
        assert order == ["near"]

    async def test_a_cancelled_call_does_not_happen(self) -> None:
        clock = self.make()
        seen: list[str] = []
        first = clock.call_at(clock.now() + STEP, lambda: seen.append("cancelled"))
        clock.call_at(clock.now() + STEP, lambda: seen.append("kept"))
        first.cancel()
        first.cancel()
        await self._passed(clock, 2)
        assert seen == ["kept"]

    async def test_cancelling_a_call_that_has_happened_is_safe(self) -> None:
        clock = self.make()
        seen: list[str] = []
        handle = clock.call_at(clock.now() + STEP, lambda: seen.append("done"))
        await self._passed(clock, 2)
        handle.cancel()
        handle.cancel()
        clock.call_at(clock.now() + STEP, lambda: seen.append("next"))
        await self._passed(clock, 2)
        assert seen == ["done", "next"]

    async def test_a_call_due_together_can_still_be_cancelled_by_the_one_before(self) -> None:
        clock = self.make()
        when = clock.now() + STEP
        seen: list[str] = []
        handles: list[Handle] = []

        def cancel() -> None:
            handles[0].cancel()

        clock.call_at(when, cancel)
        handles.append(clock.call_at(when, lambda: seen.append("cancelled")))
        await self.reach(clock, when)
        assert seen == []

    async def test_a_callback_that_raises_stops_no_other_and_the_loop_is_told(self) -> None:
        clock = self.make()
        when = clock.now() + STEP
        seen: list[str] = []

        def fail() -> None:
            raise RuntimeError("planted")

        clock.call_at(when, fail)
        clock.call_at(when, lambda: seen.append("same instant"))
        clock.call_at(when + STEP, lambda: seen.append("later"))
        await self.reach(clock, when + STEP)
        assert seen == ["same instant", "later"]
        assert [str(context.get("exception")) for context in self.loop_errors] == ["planted"]

    async def test_a_callback_may_ask_for_further_calls(self) -> None:
        clock = self.make()
        when = clock.now() + STEP
        seen: list[str] = []

        def first() -> None:
            clock.call_at(when, lambda: seen.append("at once"))
            clock.call_at(when + STEP, lambda: seen.append("later"))
            assert seen == [], "called inside call_at"

        clock.call_at(when, first)
        await self.reach(clock, when + STEP)
        assert seen == ["at once", "later"]
        assert self.loop_errors == []

    async def test_a_clock_that_went_backwards_calls_nothing_early(self) -> None:
        clock = self.make()
        when = clock.now() + 2 * STEP
        early: list[Instant] = []
        called = asyncio.Event()

        def note() -> None:
            if clock.now() < when:
                early.append(clock.now())
            called.set()

        clock.call_at(when, note)
        self.set_back(clock, timedelta(microseconds=4 * STEP))
        await self.reach(clock, when)
        await called.wait()
        assert early == []

    async def test_a_call_after_a_span_happens_once_and_not_before(self) -> None:
        clock = self.make()
        seen: list[str] = []
        clock.call_in(STEP, lambda: seen.append("in a moment"))
        hour = clock.call_in(timedelta(hours=1) // MICROSECOND, lambda: seen.append("in an hour"))
        assert seen == [], "called inside call_in"
        await self.pass_time(clock, 3 * STEP)
        await self.pass_time(clock, 3 * STEP)
        hour.cancel()
        assert seen == ["in a moment"]

    async def test_no_span_at_all_is_due_as_soon_as_the_loop_is_free(self) -> None:
        clock = self.make()
        done: list[int] = []
        for span in (0, -1, -(10**12)):
            clock.call_in(span, partial(done.append, span))
        assert done == [], "called inside call_in"
        for _ in range(50):
            await asyncio.sleep(0)
        assert sorted(done) == [-(10**12), -1, 0]

    async def test_the_shorter_of_two_spans_is_over_first(self) -> None:
        clock = self.make()
        order: list[int] = []
        for number in (3, 1, 2):
            clock.call_in(number * STEP, partial(order.append, number))
        await self.pass_time(clock, 5 * STEP)
        assert order == [1, 2, 3]

    async def test_a_span_that_is_cancelled_calls_nothing(self) -> None:
        clock = self.make()
        seen: list[str] = []
        first = clock.call_in(STEP, lambda: seen.append("cancelled"))
        kept = clock.call_in(STEP, lambda: seen.append("kept"))
        first.cancel()
        first.cancel()
        await self.pass_time(clock, 3 * STEP)
        kept.cancel()
        assert seen == ["kept"]

    async def test_a_span_does_not_grow_when_the_clock_goes_backwards(self) -> None:
        clock = self.make()
        called = asyncio.Event()
        clock.call_in(2 * STEP, called.set)
        self.set_back(clock, timedelta(hours=1))
        await self.pass_time(clock, 4 * STEP)
        assert called.is_set()

    async def test_a_callback_after_a_span_that_raises_stops_no_other_and_the_loop_is_told(
        self,
    ) -> None:
        clock = self.make()
        seen: list[str] = []

        def fail() -> None:
            raise RuntimeError("planted")

        clock.call_in(STEP, fail)
        clock.call_in(STEP, lambda: seen.append("same span"))
        await self.pass_time(clock, 3 * STEP)
        assert seen == ["same span"]
        assert [str(context.get("exception")) for context in self.loop_errors] == ["planted"]

    async def test_waiting_calls_do_not_block_the_loop(self) -> None:
        clock = self.make()
        loop = asyncio.get_running_loop()
        began = loop.time()
        handle = clock.call_at(clock.now() + timedelta(days=1) // MICROSECOND, lambda: None)
        for _ in range(100):
            await asyncio.sleep(0)
        assert loop.time() - began < 0.5
        handle.cancel()
