"""Both schedulers keep the contract, and the contract finds schedulers that do not."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from aether.adapters.cron import CronsimScheduler, ManualScheduler
from aether.adapters.errors import CollectingSink
from aether.errors import InvalidState
from aether.testing import CronSchedulerContract, FakeClock, rejects


class TestCronsimScheduler(CronSchedulerContract):
    def make(self, clock):
        return CronsimScheduler(clock)


class TestManualScheduler(CronSchedulerContract):
    """The test stands in for the clock: it tells the scheduler what is due."""

    def make(self, clock):
        return ManualScheduler()

    async def pass_time(self, scheduler, clock, to):
        while due := self._due(scheduler, clock.now(), to):
            at = due[0][0]
            await clock.advance(to=at)
            for when, cron_id in due:
                if when == at:
                    self._fire(scheduler, cron_id, at)
        await clock.advance(to=to)

    async def jump(self, scheduler, clock, to):
        due = self._due(scheduler, clock.now(), to)
        clock.jump(to)
        for at, cron_id in due:
            self._fire(scheduler, cron_id, at)

    @staticmethod
    def _due(scheduler, after, to):
        found = [
            (scheduler.next_fire(schedule, zone, after), cron_id)
            for cron_id, (schedule, zone) in scheduler.crons.items()
        ]
        return sorted(
            ((at, cron_id) for at, cron_id in found if at is not None and at <= to),
            key=lambda item: item[0],
        )

    @staticmethod
    def _fire(scheduler, cron_id, at):
        # Not started, or raised by the callback: the one who calls `fire` hears of both.
        with suppress(InvalidState, ValueError):
            if cron_id in scheduler.crons:
                scheduler.fire(cron_id, at)


class TwiceInAutumn(CronsimScheduler):
    """Takes each repeated local time for two instants."""

    def next_fire(self, schedule, timezone, after):
        right = super().next_fire(schedule, timezone, after)
        back = super().next_fire(schedule, timezone, after - 3_600_000_000)
        repeated = None if back is None else back + 3_600_000_000
        if timezone == "America/New_York" and repeated == 1_793_514_600_000_000 > after:
            return repeated
        return right


class SkipsTheGap(CronsimScheduler):
    """Leaves out local times that a clock change skips."""

    def next_fire(self, schedule, timezone, after):
        at = super().next_fire(schedule, timezone, after)
        if schedule == "30 2 * * *" and at is not None and at % 3_600_000_000 == 0:
            return super().next_fire(schedule, timezone, at)
        return at


class WithoutZones(CronsimScheduler):
    def next_fire(self, schedule, timezone, after):
        super().next_fire(schedule, timezone, after)
        return super().next_fire(schedule, "UTC", after)


class LosesTheRepeatedHour(CronsimScheduler):
    """Takes an hourly schedule for 24 times of the day."""

    def next_fire(self, schedule, timezone, after):
        at = super().next_fire(schedule, timezone, after)
        if timezone == "Europe/Berlin" and at == 1_792_890_000_000_000:  # 02:00 for the second time
            return super().next_fire(schedule, timezone, at)
        return at


class AtOrAfter(CronsimScheduler):
    def next_fire(self, schedule, timezone, after):
        return super().next_fire(schedule, timezone, after - 1)


class AcceptsSecondsField(CronsimScheduler):
    def next_fire(self, schedule, timezone, after):
        if len(schedule.split()) == 6:
            return after + 1_000_000
        return super().next_fire(schedule, timezone, after)


class ForgetsNotBefore(CronsimScheduler):
    def add(self, cron_id, schedule, timezone, on_fire, not_before=None):
        super().add(cron_id, schedule, timezone, on_fire)


class CallsAtOnce(CronsimScheduler):
    def add(self, cron_id, schedule, timezone, on_fire, not_before=None):
        super().add(cron_id, schedule, timezone, on_fire, not_before)
        if not_before is not None and not_before < self._clock.now():
            on_fire(not_before)


class FiresEarly(CronsimScheduler):
    def __init__(self, clock):
        super().__init__(_FastClock(clock))


class _FastClock:
    def __init__(self, clock):
        self._real = clock

    def now(self):
        return self._real.now() + 1_000_000

    def call_at(self, when, callback):
        return self._real.call_at(when - 1_000_000, callback)


class StopsWhenACallbackRaises(CronsimScheduler):
    def add(self, cron_id, schedule, timezone, on_fire, not_before=None):
        def guarded(at):
            try:
                on_fire(at)
            except ValueError:
                self.remove(cron_id)

        super().add(cron_id, schedule, timezone, guarded, not_before)


class BurstsAfterSleep(CronsimScheduler):
    def add(self, cron_id, schedule, timezone, on_fire, not_before=None):
        def every(at):
            now = self._clock.now()
            while at is not None and at <= now:
                on_fire(at)
                at = self.next_fire(schedule, timezone, at)

        super().add(cron_id, schedule, timezone, every, not_before)


class RepeatsWhenTheClockGoesBack(CronsimScheduler):
    """Asks for the next fire after now, whatever fired last."""

    def _call(self, cron_id, at):
        self._entries[cron_id].on_fire(at)
        self._push(cron_id)


class Polls(CronsimScheduler):
    def add(self, cron_id, schedule, timezone, on_fire, not_before=None):
        super().add(cron_id, schedule, timezone, on_fire, not_before)

        def again():
            if cron_id in self._entries:
                self._clock.call_at(self._clock.now() + 3_600_000_000, again)

        again()


class KeepsTheOldOne(CronsimScheduler):
    def add(self, cron_id, schedule, timezone, on_fire, not_before=None):
        super().add(
            cron_id if cron_id not in self._entries else cron_id + "'",
            schedule, timezone, on_fire, not_before,
        )  # fmt: skip


class ForgetsTheOldOneWhenRefused(CronsimScheduler):
    def add(self, cron_id, schedule, timezone, on_fire, not_before=None):
        self.remove(cron_id)
        super().add(cron_id, schedule, timezone, on_fire, not_before)


class StartsTwice(CronsimScheduler):
    def start(self):
        with suppress(InvalidState):
            super().start()


class FiresAfterStop(CronsimScheduler):
    def stop(self):
        self._heap.clear()


class KeepsItsFirstTimer(CronsimScheduler):
    def _arm(self):
        if self._timer is None or not self._heap:
            super()._arm()


class LosesItsOrder(CronsimScheduler):
    def __init__(self, clock):
        super().__init__(clock)
        self._orders = iter(range(10_000, 0, -1))


@pytest.mark.parametrize(
    ("broken", "by"),
    [
        (TwiceInAutumn, "test_repeated_local_time_fires_once"),
        (SkipsTheGap, "test_skipped_local_time_fires_at_the_first_instant_after_the_gap"),
        (LosesTheRepeatedHour, "test_hourly_and_minute_wise_schedules_keep_their_spacing"),
        (WithoutZones, "test_minute_wise_schedule_makes_up_for_nothing_of_a_skipped_hour"),
        (AtOrAfter, "test_next_fire_lies_strictly_behind_the_instant_given"),
        (AcceptsSecondsField, "test_schedule_that_cannot_be_read_is_refused"),
        (ForgetsNotBefore, "test_first_fire_does_not_lie_before_not_before"),
        (CallsAtOnce, "test_nothing_is_called_inside_add_and_start"),
        (FiresEarly, "test_each_fire_is_called_once_with_its_instant_and_never_early"),
        (StopsWhenACallbackRaises, "test_callback_that_raises_stops_neither_its_cron_nor_others"),
        (BurstsAfterSleep, "test_call_that_comes_late_leaves_out_what_passed_since"),
        (RepeatsWhenTheClockGoesBack, "test_clock_that_goes_back_repeats_no_fire"),
        (Polls, "test_nothing_is_polled_while_a_far_fire_is_awaited"),
        (KeepsTheOldOne, "test_add_replaces_what_has_the_same_id"),
        (ForgetsTheOldOneWhenRefused, "test_add_that_is_refused_leaves_the_old_one"),
        (StartsTwice, "test_start_twice_is_an_invalid_state"),
        (FiresAfterStop, "test_stop_silences_and_forgets_every_cron_and_may_be_repeated"),
        (KeepsItsFirstTimer, "test_cron_that_is_added_later_may_fire_earlier"),
        (LosesItsOrder, "test_crons_due_together_are_called_by_instant_then_as_they_were_added"),
    ],
)
def test_contract_finds_a_broken_scheduler(broken, by):
    rejects(CronSchedulerContract, broken, by=by)


def test_scheduler_serves_a_thousand_crons_due_together_without_hogging_the_loop():
    async def scenario():
        clock = FakeClock(0)
        scheduler = CronsimScheduler(clock)
        scheduler.start()
        calls = []
        for number in range(1000):
            scheduler.add(f"c{number}", "@hourly", "UTC", lambda at, n=number: calls.append(n))
        assert clock.waiting == 1
        clock.jump(3_600_000_000)
        asyncio.get_running_loop().call_soon(lambda: calls.append("somebody else"))
        await clock.settle()
        assert [call for call in calls if call != "somebody else"] == list(range(1000))
        assert calls.index("somebody else") < 1000
        scheduler.stop()
        assert clock.waiting == 0

    asyncio.run(scenario())


def test_callback_that_raises_is_reported_to_the_sink():
    async def scenario():
        clock, errors = FakeClock(0), CollectingSink()
        scheduler = CronsimScheduler(clock, errors)
        scheduler.start()

        def broken(at):
            raise ValueError("on purpose")

        scheduler.add("c", "@hourly", "UTC", broken)
        await clock.advance(to=3_600_000_000)
        scheduler.stop()
        assert ["ValueError: on purpose" in fault.what for fault in errors.faults] == [True]

    asyncio.run(scenario())


def test_manual_scheduler_says_which_cron_it_does_not_have():
    scheduler = ManualScheduler()
    with pytest.raises(InvalidState):
        scheduler.fire("c", 0)
    scheduler.start()
    with pytest.raises(Exception, match="no cron 'c' is scheduled"):
        scheduler.fire("c", 0)


def test_no_timer_is_longer_than_a_day():
    clock = FakeClock(0)
    scheduler = CronsimScheduler(clock)
    scheduler.start()
    scheduler.add("c", "0 0 29 2 *", "UTC", lambda at: None)
    assert clock.next_at == 24 * 3_600_000_000
    scheduler.stop()


def test_manual_scheduler_lets_another_schedule_begin_anew():
    scheduler, calls = ManualScheduler(), []
    scheduler.start()
    scheduler.add("c", "@daily", "UTC", calls.append)
    assert scheduler.fire("c", 100)
    scheduler.add("c", "@daily", "UTC", calls.append)
    assert not scheduler.fire("c", 100)
    scheduler.add("c", "@hourly", "UTC", calls.append)
    assert scheduler.fire("c", 50)
    assert calls == [100, 50]
