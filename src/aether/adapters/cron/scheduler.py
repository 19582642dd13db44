"""`CronsimScheduler`: one timer for the earliest fire of all crons."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable
from itertools import count

import msgspec

from ...errors import InvalidState, Problem
from ...ports import Clock, ErrorSink, Fault, Handle
from ...record import Instant
from .. import schedules
from ..clock import SystemClock

_LONGEST_WAIT = 24 * 3600 * 1_000_000  # well under what any loop's timers can take
_BATCH = 100  # fires of one turn; others get the loop in between

_log = logging.getLogger("aether.cron")


class _Entry(msgspec.Struct, gc=False):
    schedule: str
    timezone: str
    on_fire: Callable[[Instant], None]
    not_before: Instant | None
    order: int
    last: Instant | None = None  # the instant of the last call


class CronsimScheduler:
    """Follows `clock`, or the machine's own. `errors` hears of callbacks that raise; without it they
    are logged."""

    def __init__(self, clock: Clock | None = None, errors: ErrorSink | None = None) -> None:
        self._clock = clock or SystemClock()
        self._errors = errors
        self._entries: dict[str, _Entry] = {}
        self._heap: list[
            tuple[Instant, int, str]
        ] = []  # an item whose order is not its entry's is dead
        self._orders = count()
        self._timer: Handle | None = None
        self._timer_at: Instant = 0
        self._running = False

    def next_fire(self, schedule: str, timezone: str, after: Instant) -> Instant | None:
        return schedules.next_fire(schedule, timezone, after)

    def start(self) -> None:
        if self._running:
            raise InvalidState(
                Problem("already-started", "the scheduler runs already", fix="call start once")
            )
        self._running = True
        for cron_id in self._entries:
            self._push(cron_id)
        self._arm()

    def add(
        self,
        cron_id: str,
        schedule: str,
        timezone: str,
        on_fire: Callable[[Instant], None],
        not_before: Instant | None = None,
    ) -> None:
        schedules.parse_schedule(schedule)
        schedules.parse_zone(timezone)
        known = self._entries.pop(cron_id, None)
        entry = _Entry(schedule, timezone, on_fire, not_before, next(self._orders))
        # The same schedule added anew must not repeat what it fired, should the clock have gone back.
        if known and (known.schedule, known.timezone) == (schedule, timezone):
            entry.last = known.last
        self._entries[cron_id] = entry
        if self._running:
            self._push(cron_id)
            self._arm()

    def remove(self, cron_id: str) -> None:
        if self._entries.pop(cron_id, None):
            self._arm()

    def stop(self) -> None:
        self._running = False
        self._entries.clear()
        self._heap.clear()
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _push(self, cron_id: str) -> None:
        entry = self._entries[cron_id]
        after = self._clock.now()
        if entry.last is not None:
            after = max(after, entry.last)
        if entry.not_before is not None:
            after = max(after, entry.not_before - 1)
        at = schedules.next_fire(entry.schedule, entry.timezone, after)
        if at is not None:
            heapq.heappush(self._heap, (at, entry.order, cron_id))

    def _arm(self) -> None:
        """One timer, for the earliest fire that is still wanted."""
        while self._heap and not self._alive(self._heap[0]):
            heapq.heappop(self._heap)
        if not self._running or not self._heap:
            if self._timer:
                self._timer.cancel()
                self._timer = None
            return
        at = min(self._heap[0][0], self._clock.now() + _LONGEST_WAIT)
        if self._timer:
            if self._timer_at <= at:
                return  # wakes early enough, and looks again
            self._timer.cancel()
        self._timer, self._timer_at = self._clock.call_at(at, self._wake), at

    def _alive(self, item: tuple[Instant, int, str]) -> bool:
        entry = self._entries.get(item[2])
        return entry is not None and entry.order == item[1]

    def _wake(self) -> None:
        self._timer = None
        now, calls = self._clock.now(), 0
        while self._running and self._heap and self._heap[0][0] <= now and calls < _BATCH:
            item = heapq.heappop(self._heap)
            if self._alive(item):
                calls += 1
                self._call(item[2], item[0])
        self._arm()

    def _call(self, cron_id: str, at: Instant) -> None:
        entry = self._entries[cron_id]
        entry.last = at
        self._push(cron_id)
        try:
            entry.on_fire(at)
        except Exception as exc:  # noqa: BLE001  the port's promise: one callback never stops the others
            self._report(cron_id, exc)

    def _report(self, cron_id: str, error: Exception) -> None:
        if self._errors is None:
            _log.error(
                "the callback of cron %s raised; it stays scheduled", cron_id, exc_info=error
            )
            return
        fault = Fault(
            operation="fire a cron",
            what=f"the callback of cron '{cron_id}' raised {type(error).__name__}: {error}",
            next="the cron stays scheduled",
        )
        try:
            self._errors.on_error(fault, error)
        except Exception:  # noqa: BLE001  what a sink raises is dropped: that is its port's promise
            _log.exception("the error sink raised while hearing of cron %s", cron_id)
