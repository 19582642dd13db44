"""A clock that skips the time in which nothing happens."""

from __future__ import annotations

import asyncio

from ..record import Instant
from .clock import FakeClock

_STEPS = 5
_SOON = 2_000_000  # a run that waits gives its worker back after a second, and a status is written after one


class SkippingClock(FakeClock):
    """`skip` goes to what is due next: at once, however far it is.

    What waits for a span of time and repeats itself (leases, heartbeats of workers) is called once for a
    skip, as on a machine that was asleep; what waits for an instant has each its own.
    """

    _steps = 0  # short spans in a row: what repeats itself every second holds up nobody

    @property
    def next_due(self) -> Instant | None:
        """When something will happen by itself, if anything will."""
        at, by_span = self._agenda.next_at(), self._next_span()
        if by_span is None:
            return at
        is_soon = by_span <= self._now + _SOON and self._steps < _STEPS
        if at is None or (is_soon and by_span <= at):
            return by_span
        return max(at, self._now)

    def next_due_before(self, end: Instant) -> Instant | None:
        """The same, if it is not after `end`, and not what repeats itself for ever."""
        due = self.next_due
        if due is None or due > end:
            return None
        is_far = self._steps >= _STEPS or due > self._now + _SOON
        return None if is_far and self._agenda.next_at() is None else due

    def _next_span(self) -> Instant | None:
        passed = self._spans.next_at()
        return None if passed is None else self._now + passed - self._passed

    def skip(self, to: Instant) -> None:
        """Goes to `to`, and calls all that is due by then."""
        at = self._agenda.next_at()
        self._steps = 0 if at is not None and at <= to else self._steps + 1
        self._pass(to)
        self._run_due(asyncio.get_running_loop())
