"""The clocks keep their promises, and the suite finds those that do not."""

import asyncio
import contextlib
import time
from datetime import timedelta

import pytest

from aether.adapters.clock import SystemClock
from aether.testing import ClockContract, FakeClock, accepts, rejects


class Hands:
    """The machine's clock, as somebody with the right to set it sees it."""

    def __init__(self):
        self.off = 0

    def time_ns(self):
        return time.time_ns() + self.off


class SystemClockSuite(ClockContract):
    def make(self):
        self.hands = Hands()
        return SystemClock(self.hands.time_ns)

    def set_back(self, clock, by):
        self.hands.off -= by // timedelta(microseconds=1) * 1000


class TestSystemClock(SystemClockSuite):
    pass


class FakeClockSuite(ClockContract):
    def make(self):
        return FakeClock()

    async def reach(self, clock, when):
        await clock.advance(to=when)

    async def pass_time(self, clock, span):
        await clock.advance(timedelta(microseconds=span))

    def set_back(self, clock, by):
        clock.set_back(by)


class TestFakeClock(FakeClockSuite):
    pass


class MillisecondClock(SystemClock):
    def now(self):
        return time.time_ns() // 1_000_000


class FloatClock(SystemClock):
    def now(self):
        return time.time_ns() / 1000


class InlineClock(FakeClock):
    def call_at(self, when, callback):
        if when <= self.now():
            callback()
            return super().call_at(10**18, lambda: None)
        return super().call_at(when, callback)


class EarlyClock(FakeClock):
    def call_at(self, when, callback):
        return super().call_at(when - 3_000, callback)


class LoopClock(SystemClock):
    """The obvious way to write it: the loop counts on when the wall clock is set back."""

    def call_at(self, when, callback):
        delay = max(0, when - self.now()) / 1_000_000
        return asyncio.get_running_loop().call_later(delay, callback)


class TwiceClock(FakeClock):
    def call_at(self, when, callback):
        super().call_at(when + 1, callback)
        return super().call_at(when, callback)


class FragileClock(FakeClock):
    """One callback that raises takes the others with it."""

    def call_at(self, when, callback):
        def call():
            try:
                callback()
            except RuntimeError:
                while self._agenda.pop(10**18, 10**18):
                    pass
                raise

        return super().call_at(when, call)


class StubbornClock(FakeClock):
    def call_at(self, when, callback):
        super().call_at(when, callback)
        return super().call_at(10**18, callback)


class UnfairClock(FakeClock):
    """Calls of one instant come last first."""

    def call_at(self, when, callback):
        call = super().call_at(when, callback)
        call.order = -call.order
        return call


class QuietClock(FakeClock):
    def call_at(self, when, callback):
        def call():
            with contextlib.suppress(RuntimeError):
                callback()

        return super().call_at(when, call)


class HandsClock(FakeClock):
    """Takes a span for an instant: set back, it waits for as long again."""

    def call_in(self, span, callback):
        return self.call_at(self.now() + span, callback)


class HastyClock(FakeClock):
    def call_in(self, span, callback):
        if span <= 0:
            callback()
        return super().call_in(10**15 if span <= 0 else span, callback)


class ShortClock(FakeClock):
    def call_in(self, span, callback):
        return super().call_in(span // 1_000_000, callback)


class DeafClock(FakeClock):
    def call_in(self, span, callback):
        super().call_in(span, callback)
        return super().call_in(10**15, callback)


class EvenClock(FakeClock):
    """Every span is the same to it."""

    def call_in(self, span, callback):
        return super().call_in(min(span, 4_000), callback)


class MuteClock(FakeClock):
    def call_in(self, span, callback):
        def call():
            with contextlib.suppress(RuntimeError):
                callback()

        return super().call_in(span, call)


@pytest.mark.parametrize(
    ("suite", "broken", "by"),
    [
        (ClockContract, MillisecondClock, "test_now_is_whole_microseconds_of_this_age"),
        (ClockContract, FloatClock, "test_now_is_whole_microseconds_of_this_age"),
        (FakeClockSuite, InlineClock, "test_an_instant_in_the_past_is_due_as_soon_as"),
        (FakeClockSuite, EarlyClock, "test_a_call_happens_once_and_not_before_its_instant"),
        (FakeClockSuite, TwiceClock, "test_a_call_happens_once_and_not_before_its_instant"),
        (FakeClockSuite, FragileClock, "test_a_callback_that_raises_stops_no_other"),
        (FakeClockSuite, QuietClock, "test_a_callback_that_raises_stops_no_other"),
        (FakeClockSuite, StubbornClock, "test_a_cancelled_call_does_not_happen"),
        (FakeClockSuite, HandsClock, "test_a_span_does_not_grow_when_the_clock_goes_backwards"),
        (FakeClockSuite, HastyClock, "test_no_span_at_all_is_due_as_soon_as_the_loop_is_free"),
        (FakeClockSuite, ShortClock, "test_a_call_after_a_span_happens_once_and_not_before"),
        (FakeClockSuite, DeafClock, "test_a_span_that_is_cancelled_calls_nothing"),
        (FakeClockSuite, EvenClock, "test_the_shorter_of_two_spans_is_over_first"),
        (FakeClockSuite, MuteClock, "test_a_callback_after_a_span_that_raises_stops_no_other"),
        (FakeClockSuite, UnfairClock, "test_calls_of_one_instant_run_in_the_order_of_asking"),
    ],
)
def test_the_suite_rejects(suite, broken, by):
    (by,) = [name for name in dir(suite) if name.startswith(by)]
    rejects(suite, broken, by=by)


def test_the_suite_rejects_a_clock_that_trusts_the_loop_when_it_is_set_back():
    hands = Hands()

    class Suite(ClockContract):
        def set_back(self, clock, by):
            hands.off -= by // timedelta(microseconds=1) * 1000

    rejects(
        Suite,
        lambda: LoopClock(hands.time_ns),
        by="test_a_clock_that_went_backwards_calls_nothing_early",
    )


def test_the_suite_accepts_the_same_clocks_unbroken():
    accepts(FakeClockSuite, FakeClock)
