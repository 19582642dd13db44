"""`ManualScheduler`: knows schedules, fires only when told."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import InvalidState, NotFound, Problem
from ...record import Instant
from .. import schedules


class ManualScheduler:
    """For tests, and for whoever brings the ticks from elsewhere (a cron of the operating system).

    `fire` stands for the clock reaching `at`. As by the clock, a cron is not called twice for one
    instant, and not before its `not_before`; `fire` answers whether it was called.
    """

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Callable[[Instant], None], Instant | None]] = {}
        self._schedules: dict[str, tuple[str, str]] = {}
        self._last: dict[str, Instant] = {}
        self._running = False

    @property
    def crons(self) -> dict[str, tuple[str, str]]:
        """Cron id to (schedule, zone), in the order in which they were added."""
        return dict(self._schedules)

    def next_fire(self, schedule: str, timezone: str, after: Instant) -> Instant | None:
        return schedules.next_fire(schedule, timezone, after)

    def start(self) -> None:
        if self._running:
            raise InvalidState(
                Problem("already-started", "the scheduler runs already", fix="call start once")
            )
        self._running = True

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
        if self._schedules.pop(cron_id, None) != (schedule, timezone):
            self._last.pop(cron_id, None)
        self._entries[cron_id] = (on_fire, not_before)
        self._schedules[cron_id] = (schedule, timezone)

    def remove(self, cron_id: str) -> None:
        self._entries.pop(cron_id, None)
        self._schedules.pop(cron_id, None)
        self._last.pop(cron_id, None)

    def fire(self, cron_id: str, at: Instant) -> bool:
        """Call the cron's callback for the instant `at`, whatever its schedule says.

        Raises NotFound `cron-not-found` for a cron that was not added, InvalidState `not-started`.
        What the callback raises is the caller's to see.
        """
        if not self._running:
            raise InvalidState(
                Problem("not-started", "the scheduler does not run", fix="call start first")
            )
        if cron_id not in self._entries:
            raise NotFound(
                Problem(
                    "cron-not-found",
                    f"no cron '{cron_id}' is scheduled",
                    fix="submit it first; a suspended cron is not scheduled",
                )
            )
        on_fire, not_before = self._entries[cron_id]
        last = self._last.get(cron_id)
        if (not_before is not None and at < not_before) or (last is not None and at <= last):
            return False
        self._last[cron_id] = at
        on_fire(at)
        return True

    def stop(self) -> None:
        self._running = False
        for cron_id in self.crons:
            self.remove(cron_id)
