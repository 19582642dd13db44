"""The watcher keeps its promises, and the suite finds those that do not."""

from datetime import timedelta

import pytest

from aether.adapters.timeouts import HeapTimeoutWatcher
from aether.testing import TimeoutWatcherContract, rejects


class TestHeapTimeoutWatcher(TimeoutWatcherContract):
    def make(self, clock):
        return HeapTimeoutWatcher(clock)


class PlainWatcher:
    """One call of the clock for each run: simple, right, and the base of the broken ones below."""

    def __init__(self, clock):
        self.clock = clock
        self.due = {}
        self.handles = {}
        self.on_due = None

    def start(self, on_due):
        if self.on_due is not None:
            self.refuse()
        self.on_due = on_due
        for run_id, due_at in self.due.items():
            self.arm(run_id, due_at)

    def refuse(self):
        raise RuntimeError("started twice")

    def set(self, run_id, due_at):
        self.due.pop(run_id, None)
        if run_id in self.handles:
            self.handles.pop(run_id).cancel()
        if due_at is not None:
            self.due[run_id] = due_at
            if self.on_due is not None:
                self.arm(run_id, due_at)

    def arm(self, run_id, due_at):
        self.handles[run_id] = self.clock.call_at(due_at, lambda: self.call(run_id))

    def call(self, run_id):
        del self.handles[run_id], self.due[run_id]
        self.on_due(run_id)

    def stop(self):
        self.on_due = None
        for handle in self.handles.values():
            handle.cancel()
        self.handles.clear()
        self.due.clear()


class KeepingWatcher(PlainWatcher):
    """An instant that was replaced still counts."""

    def set(self, run_id, due_at):
        if due_at is not None:
            self.clock.call_at(due_at, lambda: self.on_due and self.on_due(run_id))


class InlineWatcher(PlainWatcher):
    def set(self, run_id, due_at):
        if due_at is not None and due_at <= self.clock.now() and self.on_due:
            self.on_due(run_id)
        else:
            super().set(run_id, due_at)


class StubbornWatcher(PlainWatcher):
    def set(self, run_id, due_at):
        if due_at is not None:
            super().set(run_id, due_at)


class StrictWatcher(PlainWatcher):
    def set(self, run_id, due_at):
        if due_at is None:
            self.handles.pop(run_id).cancel()
            del self.due[run_id]
        else:
            super().set(run_id, due_at)


class ImmortalWatcher(PlainWatcher):
    def stop(self):
        """It forgets nothing and goes on."""


class FirstOnlyWatcher(PlainWatcher):
    """What is set before start is lost."""

    def start(self, on_due):
        self.due.clear()
        super().start(on_due)


class ForgetfulWatcher(PlainWatcher):
    """The same instant a second time is taken for known, though it was called meanwhile."""

    def __init__(self, clock):
        super().__init__(clock)
        self.known = {}

    def set(self, run_id, due_at):
        if self.known.get(run_id) != due_at:
            self.known[run_id] = due_at
            super().set(run_id, due_at)


class PollingWatcher(PlainWatcher):
    def start(self, on_due):
        super().start(on_due)
        self.poll()

    def poll(self):
        now = self.clock.now()
        for run_id, due_at in sorted(self.due.items(), key=lambda item: item[1]):
            if due_at <= now:
                del self.due[run_id]
                self.on_due(run_id)
        self.polled = self.clock.call_at(now + 1_000_000, self.poll)

    def arm(self, run_id, due_at):
        """The next poll finds it."""

    def stop(self):
        super().stop()
        self.polled.cancel()


class OrderlessWatcher(HeapTimeoutWatcher):
    """Those due together come in the order of their names, backwards."""

    def _wake(self):
        self._armed = None
        now = self._clock.now()
        for run_id in sorted((r for r, at in self._due.items() if at <= now), reverse=True):
            del self._due[run_id]
            self._on_due(run_id)
        self._arm()


class FragileWatcher(HeapTimeoutWatcher):
    """A callback that raises leaves it without an armed clock."""

    def _wake(self):
        self._armed = None
        while self._heap and self._heap[0][0] <= self._clock.now():
            _, run_id = self._heap.pop(0)
            if self._due.pop(run_id, None):
                self._on_due(run_id)
        self._arm()


class LatestArmedWatcher(HeapTimeoutWatcher):
    """Only the first instant arms the clock; an earlier one that comes later waits for it."""

    def set(self, run_id, due_at):
        armed = self._armed_at
        self._armed_at = 0
        super().set(run_id, due_at)
        self._armed_at = armed or due_at or 0


class SortingWatcher(HeapTimeoutWatcher):
    def set(self, run_id, due_at):
        super().set(run_id, due_at)
        self._heap = [(at, run) for run, at in self._due.items()]
        self._heap.sort()


class HoardingWatcher(HeapTimeoutWatcher):
    def _compact(self):
        """Stale entries stay until their time comes."""


class LenientWatcher(PlainWatcher):
    def refuse(self):
        """A second start replaces the callback."""


class HastyWatcher(PlainWatcher):
    """A start that calls what is due."""

    def start(self, on_due):
        super().start(on_due)
        for run_id in [r for r, at in self.due.items() if at <= self.clock.now()]:
            self.handles[run_id].cancel()
            self.call(run_id)


class TrustingClockless(PlainWatcher):
    """Counts spans, not instants: a clock that goes back does not hold it up."""

    def arm(self, run_id, due_at):
        span = timedelta(microseconds=max(1, due_at - self.clock.now()))
        self.handles[run_id] = self.clock.call_at(
            self.clock.now() + span // timedelta(seconds=1), lambda: self.call(run_id)
        )


@pytest.mark.parametrize(
    ("broken", "by"),
    [
        (KeepingWatcher, "test_set_replaces_an_instant_by_a_later_one"),
        (InlineWatcher, "test_an_instant_in_the_past_is_due_at_once_but_not_inside_set"),
        (StubbornWatcher, "test_none_forgets"),
        (StrictWatcher, "test_none_forgets"),
        (ImmortalWatcher, "test_nothing_is_called_after_stop"),
        (FirstOnlyWatcher, "test_what_is_set_before_start_counts_from_start_on"),
        (HastyWatcher, "test_what_is_set_before_start_counts_from_start_on"),
        (ForgetfulWatcher, "test_the_same_instant_can_be_set_again_after_it_was_called"),
        (PollingWatcher, "test_nothing_is_polled_while_nothing_is_due"),
        (OrderlessWatcher, "test_runs_due_together_are_called_in_the_order_of_their_instants"),
        (FragileWatcher, "test_a_callback_that_raises_stops_no_other"),
        (LatestArmedWatcher, "test_set_replaces_an_instant_by_an_earlier_one"),
        (SortingWatcher, "test_setting_costs_no_more_with_many_runs"),
        (HoardingWatcher, "test_memory_is_in_proportion_to_the_runs_watched"),
        (LenientWatcher, "test_start_twice_is_an_invalid_state"),
        (TrustingClockless, "test_due_runs_are_called_and_not_before_their_time"),
    ],
)
def test_the_suite_rejects(broken, by):
    rejects(TimeoutWatcherContract, broken, by=by, seconds=5)
