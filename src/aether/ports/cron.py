"""CronScheduler: says when a cron is to fire. It decides nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from ..record import Instant


class FireAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one fire of a cron: `run_id` is "" when no run was submitted, and then `reason`
    says why. Both are set when the run of that fire existed already."""

    cron_id: str
    fire_at: Instant
    run_id: str = ""
    reason: str = ""


class CronScheduler(Protocol):
    """Knows schedules and their zones, keeps no record of runs.

    `next_fire` returns the first instant after `after` at which the schedule fires, exact in its zone.
    A schedule is five fields (minute, hour, day of month, month, day of week) or one of `@yearly
    @annually @monthly @weekly @daily @midnight @hourly`. A local time that a clock change skips fires
    at the first instant after the gap, one that it repeats fires once. Schedules whose minute field
    begins with a star, or whose hour field takes every hour, fire whenever the local clock shows a
    matching time: they keep their real spacing through the repeated hour, and nothing of a skipped
    hour is made up for. None if it never fires again. A schedule that it cannot read, or whose date
    does not exist, raises Refused `bad-schedule`; a zone it does not know, Refused `unknown-timezone`.

    After `start`, each added cron's callback is called with the instant meant, never before that
    instant and never twice with the same one. Crons due together are called in the order of their
    instants, then in the order in which they were added. The first fire lies after the moment of `add`
    (of `start`, if that comes later) and not before `not_before`. When a call comes so late that further
    instants have passed (the process slept, the clock jumped), those are left out: the next call is for
    the first instant after now, and whoever wants the rest asks `next_fire`. A clock that goes back
    repeats no fire. A cron that never fires again costs nothing.

    `add` with a known id replaces it, and raises as `next_fire` does, in which case the old one stays;
    `remove` of an unknown id does nothing. A callback may call `add` and `remove`. Nothing is called
    inside `add` or `start`, after `remove` of that cron, or after `stop`. A callback that raises
    stops neither its cron nor the others. `start` twice raises InvalidState; `stop` is idempotent and
    forgets every cron. Nothing is polled, however far away the next fire is.
    """

    def next_fire(self, schedule: str, timezone: str, after: Instant) -> Instant | None: ...

    def start(self) -> None: ...

    def add(
        self,
        cron_id: str,
        schedule: str,
        timezone: str,
        on_fire: Callable[[Instant], None],
        not_before: Instant | None = None,
    ) -> None: ...

    def remove(self, cron_id: str) -> None: ...

    def stop(self) -> None: ...
