"""What every TimeoutWatcher promises."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from datetime import timedelta

import pytest

from ..adapters.clock import Call
from ..errors import InvalidState
from ..ports import TimeoutWatcher
from ..record import Instant
from .clock import MICROSECOND, FakeClock
from .suites import ContractSuite

SECOND = timedelta(seconds=1) // MICROSECOND


class CountingClock(FakeClock):
    """Counts how often it is asked for anything."""

    asked = 0

    def now(self) -> Instant:
        self.asked += 1
        return super().now()

    def call_at(self, when: Instant, callback: Callable[[], None]) -> Call:
        self.asked += 1
        return super().call_at(when, callback)


class TimeoutWatcherContract(ContractSuite):
    """`make` returns a watcher over the clock it is given, not started."""

    def make(self, clock: FakeClock) -> TimeoutWatcher:
        raise NotImplementedError

    def _started(
        self, clock: FakeClock | None = None
    ) -> tuple[FakeClock, TimeoutWatcher, list[str]]:
        clock = clock or FakeClock()
        watcher = self.make(clock)
        self.defer(watcher.stop)
        called: list[str] = []
        watcher.start(called.append)
        return clock, watcher, called

    async def test_due_runs_are_called_and_not_before_their_time(self) -> None:
        clock, watcher, called = self._started()
        due_at = clock.now() + SECOND
        watcher.set("a", due_at)
        await clock.advance(to=due_at - 1)
        assert called == []
        await clock.advance(to=due_at)
        assert called == ["a"]

    async def test_an_instant_is_forgotten_once_called(self) -> None:
        clock, watcher, called = self._started()
        watcher.set("a", clock.now() + SECOND)
        await clock.advance(timedelta(seconds=1))
        await clock.advance(timedelta(hours=1))
        assert called == ["a"]
        watcher.set("b", clock.now() + SECOND)
        await clock.advance(timedelta(hours=1))
        assert called == ["a", "b"]

    async def test_the_same_instant_can_be_set_again_after_it_was_called(self) -> None:
        clock, watcher, called = self._started()
        due_at = clock.now() + SECOND
        watcher.set("a", due_at)
        await clock.advance(to=due_at)
        watcher.set("a", due_at)
        await clock.settle()
        assert called == ["a", "a"]

    async def test_set_replaces_an_instant_by_a_later_one(self) -> None:
        clock, watcher, called = self._started()
        start = clock.now()
        watcher.set("a", start + SECOND)
        watcher.set("a", start + 5 * SECOND)
        await clock.advance(to=start + 5 * SECOND - 1)
        assert called == []
        await clock.advance(to=start + 5 * SECOND)
        assert called == ["a"]

    async def test_set_replaces_an_instant_by_an_earlier_one(self) -> None:
        clock, watcher, called = self._started()
        start = clock.now()
        watcher.set("a", start + 5 * SECOND)
        watcher.set("a", start + SECOND)
        await clock.advance(to=start + SECOND)
        assert called == ["a"]
        await clock.advance(to=start + 9 * SECOND)
        assert called == ["a"]

    async def test_an_instant_can_move_away_and_back(self) -> None:
        clock, watcher, called = self._started()
        start = clock.now()
        for due_at in (start + SECOND, start + 5 * SECOND, start + SECOND):
            watcher.set("a", due_at)
        await clock.advance(to=start + SECOND)
        assert called == ["a"]

    async def test_none_forgets(self) -> None:
        clock, watcher, called = self._started()
        watcher.set("a", clock.now() + SECOND)
        watcher.set("b", clock.now() + SECOND)
        watcher.set("a", None)
        watcher.set("a", None)
        watcher.set("never known", None)
        await clock.advance(timedelta(hours=1))
        assert called == ["b"]

    async def test_runs_due_together_are_called_in_the_order_of_their_instants(self) -> None:
        clock, watcher, called = self._started()
        start = clock.now()
        for number in (5, 3, 9, 1, 7, 2, 8, 4, 6):
            watcher.set(f"run-{number}", start + number * SECOND)
        clock.jump(start + 10 * SECOND)
        await clock.settle()
        assert called == [f"run-{number}" for number in range(1, 10)]

    async def test_an_instant_in_the_past_is_due_at_once_but_not_inside_set(self) -> None:
        clock, watcher, called = self._started()
        watcher.set("now", clock.now())
        watcher.set("past", clock.now() - SECOND)
        watcher.set("long past", 1)
        assert called == []
        await clock.settle()
        assert sorted(called) == ["long past", "now", "past"]

    async def test_what_is_set_before_start_counts_from_start_on(self) -> None:
        clock = FakeClock()
        watcher = self.make(clock)
        self.defer(watcher.stop)
        watcher.set("past", clock.now())
        watcher.set("later", clock.now() + SECOND)
        await clock.settle()
        called: list[str] = []
        watcher.start(called.append)
        assert called == [], "called inside start"
        await clock.settle()
        assert called == ["past"]
        await clock.advance(timedelta(seconds=1))
        assert called == ["past", "later"]

    async def test_a_clock_that_went_backwards_calls_nothing_early(self) -> None:
        clock, watcher, called = self._started()
        due_at = clock.now() + SECOND
        watcher.set("a", due_at)
        clock.set_back(timedelta(hours=1))
        await clock.advance(timedelta(minutes=30))
        assert called == []
        clock.jump(due_at)  # due, and gone back before the loop had its turn
        clock.set_back(timedelta(seconds=9))
        await clock.settle()
        assert called == []
        await clock.advance(to=due_at)
        assert called == ["a"]

    async def test_a_callback_that_raises_stops_no_other(self) -> None:
        clock = FakeClock()
        watcher = self.make(clock)
        self.defer(watcher.stop)
        called: list[str] = []

        def look(run_id: str) -> None:
            called.append(run_id)
            if run_id == "bad":
                raise RuntimeError("planted")

        watcher.start(look)
        start = clock.now()
        watcher.set("bad", start + SECOND)
        watcher.set("good", start + SECOND + 1)
        watcher.set("later", start + 60 * SECOND)
        clock.jump(start + 2 * SECOND)
        await clock.settle()
        assert called[:2] == ["bad", "good"]
        await clock.advance(to=start + 60 * SECOND)
        assert "later" in called

    async def test_the_callback_may_set_again(self) -> None:
        clock = FakeClock()
        watcher = self.make(clock)
        self.defer(watcher.stop)
        called: list[tuple[str, int]] = []
        start = clock.now()

        def look(run_id: str) -> None:
            called.append((run_id, (clock.now() - start) // SECOND))
            if len(called) < 4:
                watcher.set(run_id, clock.now() + SECOND)
                watcher.set("forgotten", None)

        watcher.start(look)
        watcher.set("a", start + SECOND)
        watcher.set("forgotten", start + 2 * SECOND)
        await clock.advance(timedelta(minutes=1))
        assert called == [("a", 1), ("a", 2), ("a", 3), ("a", 4)]

    async def test_many_runs_due_at_one_instant_are_all_called(self) -> None:
        clock, watcher, called = self._started()
        due_at = clock.now() + SECOND
        for number in range(5_000):
            watcher.set(f"{number}", due_at)
        await clock.advance(to=due_at)
        await clock.advance(timedelta(seconds=1))
        assert sorted(map(int, called)) == list(range(5_000))

    async def test_start_twice_is_an_invalid_state(self) -> None:
        clock, watcher, called = self._started()
        stranger: list[str] = []
        with pytest.raises(InvalidState) as raised:
            watcher.start(stranger.append)
        assert raised.value.code == "already-started"
        watcher.set("a", clock.now())
        await clock.settle()
        assert (called, stranger) == (["a"], [])

    async def test_nothing_is_called_after_stop(self) -> None:
        clock, watcher, called = self._started()
        watcher.set("soon", clock.now())
        watcher.set("later", clock.now() + SECOND)
        watcher.stop()
        watcher.set("late", clock.now() + SECOND)
        await clock.advance(timedelta(hours=1))
        assert called == []

    async def test_the_callback_may_stop_the_watcher(self) -> None:
        clock = FakeClock()
        watcher = self.make(clock)
        called: list[str] = []

        def look(run_id: str) -> None:
            called.append(run_id)
            watcher.stop()

        watcher.start(look)
        for name in ("a", "b"):
            watcher.set(name, clock.now() + SECOND)
        await clock.advance(timedelta(hours=1))
        assert len(called) == 1

    async def test_stop_is_idempotent_forgets_everything_and_start_may_follow(self) -> None:
        clock, watcher, called = self._started()
        watcher.set("old", clock.now() + SECOND)
        watcher.stop()
        watcher.stop()
        again: list[str] = []
        watcher.start(again.append)
        watcher.set("new", clock.now() + 2 * SECOND)
        await clock.advance(timedelta(hours=1))
        assert (called, again) == ([], ["new"])

    async def test_nothing_is_polled_while_nothing_is_due(self) -> None:
        clock = CountingClock()
        _, watcher, called = self._started(clock)
        start = clock.now()
        for number in range(50):
            watcher.set(f"{number}", start + (3600 + number) * SECOND)
        asked = clock.asked
        for second in range(1, 3600, 10):
            await clock.advance(to=start + second * SECOND)
        assert called == []
        assert clock.asked - asked < 10, "the watcher looks at the clock while nothing is due"

    async def test_setting_costs_no_more_with_many_runs(self) -> None:
        clock, watcher, _ = self._started()
        far = clock.now() + 3600 * SECOND

        def cost(begin: int) -> float:
            """Seconds of CPU for 500 runs that come, move and go."""
            began = time.process_time()
            for number in range(begin, begin + 500):
                watcher.set(f"run-{number}", far + number * 7919 % 100_003)
                watcher.set(f"run-{number}", far + number * 104_729 % 100_003)
                watcher.set(f"run-{number}", None)
            return time.process_time() - began

        few = min(cost(0) for _ in range(3))
        began = time.process_time()
        for number in range(40_000):
            watcher.set(f"watched-{number}", far + number * 7919 % 100_003)
            if number % 100 == 0:  # what grows with the number of runs would take minutes
                assert time.process_time() - began < 2, f"{number} runs took 2 s of CPU"
        many = min(cost(50_000) for _ in range(3))
        assert many < 8 * few + 0.005, f"500 runs cost {few:.6f} s at first and {many:.6f} s now"

    async def test_memory_is_in_proportion_to_the_runs_watched(self) -> None:
        clock, watcher, _ = self._started()
        far = clock.now() + 3600 * SECOND
        watcher.set("earliest", far)
        for number in range(100):
            watcher.set(f"{number % 10}", far + number)
        tracemalloc.start()
        self.defer(tracemalloc.stop)
        before, _peak = tracemalloc.get_traced_memory()
        for number in range(20_000):
            watcher.set(f"{number % 10}", far + number)
        after, _peak = tracemalloc.get_traced_memory()
        assert after - before < 200_000, (
            f"{after - before} bytes more after 20,000 calls for 10 runs"
        )
