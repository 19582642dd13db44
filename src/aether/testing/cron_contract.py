"""The contract of CronScheduler: every sentence of its docstring, as a test.

    class TestMyScheduler(CronSchedulerContract):
        def make(self, clock):
            return MyScheduler(clock)

A scheduler that does not follow the clock overrides `pass_time` and `jump` as well.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from ..adapters.clock import Call
from ..errors import InvalidState, Refused
from ..ports import CronScheduler
from ..record import Instant
from .clock import FakeClock
from .suites import ContractSuite

_MINUTE = 60_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(text: str) -> Instant:
    """`2026-03-08T07:00` in UTC, as an instant."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


def moment(at: Instant) -> str:
    """An instant as `2026-03-08T07:00`, for messages that can be read."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="minutes")[:16]


class CountingClock(FakeClock):
    """Counts how often it is asked for a call."""

    asked = 0

    def call_at(self, when: Instant, callback: Callable[[], None]) -> Call:
        self.asked += 1
        return super().call_at(when, callback)


class CronSchedulerContract(ContractSuite):
    """Subclass it and write `make`."""

    def make(self, clock: FakeClock) -> CronScheduler:
        raise NotImplementedError("return the scheduler under test, driven by `clock`")

    async def pass_time(self, scheduler: CronScheduler, clock: FakeClock, to: Instant) -> None:
        """Let the clock run on to `to`; whatever is due on the way fires."""
        await clock.advance(to=to)

    async def jump(self, scheduler: CronScheduler, clock: FakeClock, to: Instant) -> None:
        """Set the clock to `to`, as when a machine wakes up; whatever is due by then fires late."""
        clock.jump(to)
        await clock.settle()

    # Schedules

    def _fires(self, schedule: str, zone: str, after: str, count: int) -> list[str]:
        scheduler, at, found = self.make(FakeClock()), instant(after), []
        for _ in range(count):
            following = scheduler.next_fire(schedule, zone, at)
            assert following is not None, f"{schedule} in {zone} fires after {moment(at)}"
            assert following > at, f"{schedule} in {zone} fires at {moment(following)} again"
            at = following
            found.append(moment(at))
        return found

    def test_next_fire_lies_strictly_behind_the_instant_given(self) -> None:
        scheduler, noon = self.make(FakeClock()), instant("2026-05-04T12:00")
        assert scheduler.next_fire("0 12 * * *", "UTC", noon - 1) == noon
        following = scheduler.next_fire("0 12 * * *", "UTC", noon)
        assert following == instant("2026-05-05T12:00")

    def test_macros_mean_their_fields(self) -> None:
        scheduler, after = self.make(FakeClock()), instant("2026-05-06T10:20")
        expected = {
            "@yearly": "2027-01-01T00:00",
            "@annually": "2027-01-01T00:00",
            "@monthly": "2026-06-01T00:00",
            "@weekly": "2026-05-10T00:00",
            "@daily": "2026-05-07T00:00",
            "@midnight": "2026-05-07T00:00",
            "@hourly": "2026-05-06T11:00",
        }
        for macro, text in expected.items():
            assert scheduler.next_fire(macro, "UTC", after) == instant(text), macro

    def test_schedule_that_cannot_be_read_is_refused(self) -> None:
        scheduler = self.make(FakeClock())
        for bad in (
            "",
            "* * * *",
            "* * * * * *",
            "61 * * * *",
            "@often",
            "a b c d e",
            "*/0 * * * *",
        ):
            self._refused(partial(scheduler.next_fire, bad, "UTC", 0), "bad-schedule", bad)

    def test_date_that_does_not_exist_is_refused(self) -> None:
        scheduler = self.make(FakeClock())
        for bad in ("0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *"):
            self._refused(partial(scheduler.next_fire, bad, "UTC", 0), "bad-schedule", bad)

    def test_zone_that_is_not_known_is_refused(self) -> None:
        scheduler = self.make(FakeClock())
        for bad in ("Mars/Olympus", "../UTC", "/etc/localtime", "America", "\0"):
            self._refused(
                partial(scheduler.next_fire, "* * * * *", bad, 0), "unknown-timezone", bad
            )

    def _refused(self, call: Callable[[], object], code: str, what: str) -> None:
        answer = "accepted"
        try:
            call()
        except Refused as exc:
            answer = f"refused as {exc.code}"
        assert answer == f"refused as {code}", f"{what!r} is {answer}; wanted is {code}"

    def test_skipped_local_time_fires_at_the_first_instant_after_the_gap(self) -> None:
        found = self._fires("30 2 * * *", "America/New_York", "2026-03-07T12:00", 2)
        assert found == ["2026-03-08T07:00", "2026-03-09T06:30"], found
        found = self._fires("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00", 2)
        assert found == ["2026-10-03T15:30", "2026-10-04T15:15"], found

    def test_repeated_local_time_fires_once(self) -> None:
        found = self._fires("30 1 * * *", "America/New_York", "2026-10-31T12:00", 2)
        assert found == ["2026-11-01T05:30", "2026-11-02T06:30"], found
        found = self._fires("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00", 2)
        assert found == ["2026-04-04T14:45", "2026-04-05T15:15"], found

    def test_hourly_and_minute_wise_schedules_keep_their_spacing(self) -> None:
        found = self._fires("0 * * * *", "Europe/Berlin", "2026-10-24T23:30", 3)
        assert found == ["2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00"], found
        found = self._fires("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00", 3)
        assert found == ["2026-03-29T00:30", "2026-03-29T01:00", "2026-03-29T01:30"], found

    def test_minute_wise_schedule_makes_up_for_nothing_of_a_skipped_hour(self) -> None:
        found = self._fires("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", 1)
        assert found == ["2026-03-30T00:00"], found

    def test_schedule_at_the_end_of_the_calendar_never_fires_again(self) -> None:
        scheduler = self.make(FakeClock())
        assert scheduler.next_fire("@yearly", "UTC", instant("9999-06-01T00:00")) is None

    # Calls

    def _started(self, at: str) -> tuple[CronScheduler, CountingClock]:
        clock = CountingClock(instant(at))
        scheduler = self.make(clock)
        scheduler.start()
        self.defer(scheduler.stop)
        return scheduler, clock

    async def test_each_fire_is_called_once_with_its_instant_and_never_early(self) -> None:
        scheduler, clock = self._started("2026-05-04T11:00")
        calls: list[tuple[str, Instant]] = []
        scheduler.add("c", "0 * * * *", "UTC", lambda at: calls.append((moment(at), clock.now())))
        await self.pass_time(scheduler, clock, instant("2026-05-04T12:00") - 1)
        assert calls == [], f"called before its time: {calls}"
        await self.pass_time(scheduler, clock, instant("2026-05-04T14:30"))
        assert [name for name, _ in calls] == [f"2026-05-04T{hour}:00" for hour in (12, 13, 14)]
        assert all(moment(now) >= name for name, now in calls), f"called before its time: {calls}"

    async def test_crons_due_together_are_called_by_instant_then_as_they_were_added(self) -> None:
        scheduler, clock = self._started("2026-05-04T11:00")
        calls: list[str] = []
        scheduler.add("late", "30 * * * *", "UTC", lambda at: calls.append("late"))

        def note(number: int, at: Instant) -> None:
            calls.append(f"{number}")

        for number in range(150):
            scheduler.add(f"{number}", "20 * * * *", "UTC", partial(note, number))
        await self.jump(scheduler, clock, instant("2026-05-04T11:45"))
        assert calls == [*map(str, range(150)), "late"], calls

    async def test_cron_that_is_added_later_may_fire_earlier(self) -> None:
        scheduler, clock = self._started("2026-05-04T11:00")
        calls: list[str] = []
        scheduler.add("daily", "@daily", "UTC", lambda at: calls.append("daily"))
        scheduler.add("hourly", "@hourly", "UTC", lambda at: calls.append(moment(clock.now())))
        await self.pass_time(scheduler, clock, instant("2026-05-04T12:30"))
        assert calls == ["2026-05-04T12:00"], calls

    async def test_first_fire_lies_behind_the_moment_of_add_and_start(self) -> None:
        clock = FakeClock(instant("2026-05-04T11:00"))
        scheduler = self.make(clock)
        self.defer(scheduler.stop)
        calls: list[str] = []
        scheduler.add("early", "0 * * * *", "UTC", lambda at: calls.append("early " + moment(at)))
        await self.pass_time(scheduler, clock, instant("2026-05-04T12:30"))
        assert calls == [], f"called before start: {calls}"
        scheduler.start()
        scheduler.add("now", "30 * * * *", "UTC", lambda at: calls.append("now " + moment(at)))
        await self.pass_time(scheduler, clock, instant("2026-05-04T13:30"))
        assert calls == ["early 2026-05-04T13:00", "now 2026-05-04T13:30"], calls

    async def test_first_fire_does_not_lie_before_not_before(self) -> None:
        scheduler, clock = self._started("2026-05-04T11:00")
        calls: list[str] = []
        wanted = instant("2026-05-06T00:00")
        scheduler.add("c", "@daily", "UTC", lambda at: calls.append(moment(at)), wanted)
        await self.pass_time(scheduler, clock, wanted - 1)
        assert calls == [], f"called before not_before: {calls}"
        await self.pass_time(scheduler, clock, instant("2026-05-07T12:00"))
        assert calls == ["2026-05-06T00:00", "2026-05-07T00:00"], calls

    async def test_call_that_comes_late_leaves_out_what_passed_since(self) -> None:
        scheduler, clock = self._started("2026-05-04T11:00")
        calls: list[str] = []
        scheduler.add("c", "* * * * *", "UTC", lambda at: calls.append(moment(at)))
        await self.jump(scheduler, clock, instant("2026-05-04T15:00") + 1)
        assert calls == ["2026-05-04T11:01"], calls
        await self.pass_time(scheduler, clock, instant("2026-05-04T15:01"))
        assert calls == ["2026-05-04T11:01", "2026-05-04T15:01"], calls

    async def test_clock_that_goes_back_repeats_no_fire(self) -> None:
        scheduler, clock = self._started("2026-05-04T11:00")
        calls: list[str] = []

        def back(at: Instant) -> None:
            calls.append(moment(at))
            if len(calls) == 1:
                clock.set_back(timedelta(minutes=5))

        scheduler.add("c", "*/10 * * * *", "UTC", back)
        await self.pass_time(scheduler, clock, instant("2026-05-04T11:10"))
        await self.pass_time(scheduler, clock, instant("2026-05-04T11:25"))
        assert calls == ["2026-05-04T11:10", "2026-05-04T11:20"], calls

    async def test_cron_added_again_after_the_clock_went_back_repeats_no_fire(self) -> None:
        scheduler, clock = self._started("2026-05-04T11:00")
        calls: list[str] = []
        scheduler.add("c", "*/10 * * * *", "UTC", lambda at: calls.append(moment(at)))
        await self.pass_time(scheduler, clock, instant("2026-05-04T11:10"))
        clock.set_back(timedelta(minutes=5))
        scheduler.add("c", "*/10 * * * *", "UTC", lambda at: calls.append(moment(at)))
        await self.pass_time(scheduler, clock, instant("2026-05-04T11:25"))
        assert calls == ["2026-05-04T11:10", "2026-05-04T11:20"], calls

    async def test_cron_that_never_fires_again_costs_nothing(self) -> None:
        scheduler, clock = self._started("9999-06-01T00:00")
        scheduler.add("c", "@yearly", "UTC", lambda at: None)
        assert clock.waiting == 0, "a timer waits for a fire that never comes"

    async def test_nothing_is_polled_while_a_far_fire_is_awaited(self) -> None:
        scheduler, clock = self._started("2026-01-01T00:00")
        calls: list[str] = []
        scheduler.add("c", "0 0 29 2 *", "UTC", lambda at: calls.append(moment(at)))
        await self.pass_time(scheduler, clock, instant("2026-04-11T00:00"))
        assert clock.asked <= 210, f"the clock was asked {clock.asked} times within 100 days"
        assert clock.waiting <= 1, f"{clock.waiting} timers wait for one cron"
        await self.pass_time(scheduler, clock, instant("2028-03-01T00:00"))
        assert calls == ["2028-02-29T00:00"], calls

    # Changes

    async def test_add_replaces_what_has_the_same_id(self) -> None:
        scheduler, clock = self._started("2026-05-04T11:00")
        calls: list[str] = []
        scheduler.add("c", "*/10 * * * *", "UTC", lambda at: calls.append("old"))
        scheduler.add("c", "*/15 * * * *", "UTC", lambda at: calls.append("new " + moment(at)))
        await self.pass_time(scheduler, clock, instant("2026-05-04T11:20"))
        assert calls == ["new 2026-05-04T11:15"], calls

    async def test_add_that_is_refused_leaves_the_old_one(self) -> None:
        scheduler, clock = self._started("2026-05-04T11:00")
        calls: list[str] = []
        scheduler.add("c", "*/10 * * * *", "UTC", lambda at: calls.append(moment(at)))
        add = scheduler.add
        self._refused(lambda: add("c", "0 0 31 2 *", "UTC", lambda at: None), "bad-schedule", "it")
        self._refused(
            lambda: add("c", "@daily", "No/Where", lambda at: None), "unknown-timezone", "it"
        )
        await self.pass_time(scheduler, clock, instant("2026-05-04T11:10"))
        assert calls == ["2026-05-04T11:10"], calls

    async def test_removed_cron_is_not_called_and_unknown_ones_may_be_removed(self) -> None:
        scheduler, clock = self._started("2026-05-04T11:00")
        calls: list[str] = []
        scheduler.add("c", "* * * * *", "UTC", lambda at: calls.append("removed"))
        scheduler.add("d", "* * * * *", "UTC", lambda at: calls.append("kept"))
        scheduler.remove("c")
        scheduler.remove("nobody")
        await self.pass_time(scheduler, clock, clock.now() + _MINUTE)
        assert calls == ["kept"], calls

    async def test_callback_may_add_and_remove(self) -> None:
        scheduler, clock = self._started("2026-05-04T11:00")
        calls: list[str] = []

        def first(at: Instant) -> None:
            calls.append("first")
            scheduler.remove("first")
            scheduler.remove("second")
            scheduler.add("third", "* * * * *", "UTC", lambda at: calls.append("third"))

        scheduler.add("first", "* * * * *", "UTC", first)
        scheduler.add("second", "* * * * *", "UTC", lambda at: calls.append("second"))
        await self.pass_time(scheduler, clock, clock.now() + _MINUTE)
        assert calls == ["first"], calls
        await self.pass_time(scheduler, clock, clock.now() + _MINUTE)
        assert calls == ["first", "third"], calls

    async def test_callback_that_raises_stops_neither_its_cron_nor_others(self) -> None:
        scheduler, clock = self._started("2026-05-04T11:00")
        calls: list[str] = []

        def broken(at: Instant) -> None:
            calls.append("broken")
            raise ValueError("on purpose")

        scheduler.add("broken", "* * * * *", "UTC", broken)
        scheduler.add("sound", "* * * * *", "UTC", lambda at: calls.append("sound"))
        await self.pass_time(scheduler, clock, clock.now() + _MINUTE)
        await self.pass_time(scheduler, clock, clock.now() + _MINUTE)
        assert calls == ["broken", "sound"] * 2, calls

    def test_nothing_is_called_inside_add_and_start(self) -> None:
        clock = FakeClock(instant("2026-05-04T11:00"))
        scheduler = self.make(clock)
        self.defer(scheduler.stop)
        calls: list[Instant] = []
        scheduler.add("c", "* * * * *", "UTC", calls.append, clock.now() - 10 * _MINUTE)
        clock.jump(clock.now() + 10 * _MINUTE)
        scheduler.start()
        scheduler.add("d", "* * * * *", "UTC", calls.append, clock.now() - 10 * _MINUTE)
        assert calls == [], calls

    def test_start_twice_is_an_invalid_state(self) -> None:
        scheduler, _ = self._started("2026-05-04T11:00")
        try:
            scheduler.start()
        except InvalidState:
            return
        raise AssertionError("a second start raises InvalidState")

    async def test_stop_silences_and_forgets_every_cron_and_may_be_repeated(self) -> None:
        scheduler, clock = self._started("2026-05-04T11:00")
        calls: list[Instant] = []
        scheduler.add("c", "* * * * *", "UTC", calls.append)
        scheduler.stop()
        scheduler.stop()
        await self.pass_time(scheduler, clock, clock.now() + 2 * _MINUTE)
        scheduler.start()
        await self.pass_time(scheduler, clock, clock.now() + 2 * _MINUTE)
        assert calls == [], "called after stop"
