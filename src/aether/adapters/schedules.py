"""Schedules in their zones: which instant comes next.

cronsim reads the fields and walks the *local* clock, without a zone. What a zone does to that walk is
decided here, because a shift need not be a whole hour (Lord Howe shifts by half of one, Troll by two)
and cronsim's own rules count whole hours.

Two kinds of schedule. *Fixed*: each local time means one instant; a skipped one means the first
instant after the gap, a repeated one its first occurrence. *Spaced* (the minute field begins with a
star, or every hour matches): every instant counts at which the local clock shows a matching time.
All times here are whole seconds since 1970; fires fall on whole seconds.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from ..errors import Problem, Refused
from ..record import Instant

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MICROS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH = _EPOCH.replace(tzinfo=None)
_FURTHEST_SHIFT = 26 * 3600  # no zone ever moved its clock further in one step
_LONGEST_TEXT = 256
# Of the system's database, but no zones: names for what the machine happens to use, or with leap seconds.
_NO_ZONES = ("localtime", "posixrules", "posix/", "right/")


class Schedule(NamedTuple):
    fields: CronSim
    spaced: bool


def next_fire(schedule: str, timezone: str, after: Instant) -> Instant | None:
    """The first fire after `after`, or None. Raises Refused `bad-schedule` or `unknown-timezone`."""
    parsed, zone = parse_schedule(schedule), parse_zone(timezone)
    step = _next_spaced if parsed.spaced else _next_fixed
    try:
        found = step(parsed.fields, zone, after // _MICROS)
    except OverflowError:  # the calendar ends with the year 9999
        return None
    return None if found is None else found * _MICROS


@lru_cache(maxsize=1024)
def parse_schedule(text: str) -> Schedule:
    """`text` read. Raises Refused `bad-schedule`."""
    written = MACROS.get(text.strip(), text)
    if written.startswith("@"):
        raise _bad_schedule(text, "there is no such name")
    if len(written) > _LONGEST_TEXT:
        raise _bad_schedule(text[:40] + "…", f"it has more than {_LONGEST_TEXT} characters")
    fields = written.split()
    if len(fields) != 5:
        raise _bad_schedule(text, f"it has {len(fields)} fields, not five")
    try:
        parsed = CronSim(written, _LOCAL_EPOCH)
    except (CronSimError, ValueError, TypeError, AssertionError) as exc:
        # cronsim reports most faults as its own error; a few odd texts reach int() or an assert.
        reason = str(exc) if isinstance(exc, CronSimError) else "its fields cannot be read"
        raise _bad_schedule(text, reason[:1].lower() + reason[1:]) from exc
    minute_wise = fields[0].startswith("*") and len(parsed.minutes) > 1
    return Schedule(parsed, minute_wise or len(parsed.hours) == 24)


@lru_cache(maxsize=1024)
def parse_zone(name: str) -> ZoneInfo:
    """The zone called `name`; UTC if it is empty. Raises Refused `unknown-timezone`."""
    if not name:
        return ZoneInfo("UTC")
    try:
        if name.startswith(_NO_ZONES):
            raise ValueError(name)
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise Refused(
            Problem(
                "unknown-timezone",
                f"there is no time zone '{name[:80]}'",
                fix="use an IANA name such as Europe/Berlin, America/New_York or UTC",
            )
        ) from exc


def _bad_schedule(text: str, reason: str) -> Refused:
    return Refused(
        Problem(
            "bad-schedule",
            f"the schedule '{text}' cannot be used: {reason}",
            fix="write five fields (minute hour day-of-month month day-of-week), such as "
            "'30 2 * * MON-FRI', or one of " + " ".join(MACROS),
        )
    )


def _next_fixed(fields: CronSim, zone: ZoneInfo, after: int) -> int | None:
    """The meaning of local times never decreases, so the first that lies behind `after` is it."""
    local = _next_local(fields, after + _offset(zone, after))
    while local is not None and (at := _meaning(zone, local)) <= after:
        local = _next_local(fields, local)
    return None if local is None else at


def _next_spaced(fields: CronSim, zone: ZoneInfo, after: int) -> int | None:
    """Walks the stretches between clock changes: within one, local time is the instant plus an offset.

    Only a change within `_FURTHEST_SHIFT` of the start can bring back local times that were passed, and
    only one that close to the end can move the end. So what lies between is jumped over.
    """
    start, offset = after, _offset(zone, after)  # the offset holds at `start`
    while (local := _next_local(fields, after + offset)) is not None:
        at = local - offset
        horizon = min(at, start + _FURTHEST_SHIFT)
        if _offset(zone, horizon) != offset:
            start = _change(zone, start, horizon)
            after, offset = start - 1, _offset(zone, start)
        elif horizon == at:
            return at
        else:
            start = after = at - _FURTHEST_SHIFT
            offset = _offset(zone, start)
    return None


def _next_local(fields: CronSim, after: int) -> int | None:
    """The next matching local time, zones aside."""
    walk = copy.copy(fields)
    walk.dt = _LOCAL_EPOCH + timedelta(seconds=after)
    found = next(walk, None)
    return None if found is None else round((found - _LOCAL_EPOCH).total_seconds())


def _meaning(zone: ZoneInfo, local: int) -> int:
    """The instant a local time stands for: in a gap its end, of two the first."""
    wall = (_LOCAL_EPOCH + timedelta(seconds=local)).replace(tzinfo=zone)
    at, early = local - _seconds(wall), local - _seconds(wall.replace(fold=1))
    # fold=0 reads the wall clock by the offset before the change and fold=1 by the one after it: in a
    # gap, where the offset grows, the instants they name stand on either side of the change.
    return _change(zone, early, at) if early < at else at


def _offset(zone: ZoneInfo, at: int) -> int:
    return _seconds((_EPOCH + timedelta(seconds=at)).astimezone(zone))


def _seconds(moment: datetime) -> int:
    offset = moment.utcoffset()
    return 0 if offset is None else round(offset.total_seconds())


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    """The first second in (`low`, `high`] at which the offset is no longer that of `low`."""
    before = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high
