"""The rules of a cron: schedule, zone, window, limits."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ..document import CronSpec, Path
from .context import Context
from .names import shown

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_LONGEST_SCHEDULE = 200
_ANY_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_NO_DATE = "no such date"


def check_cron(ctx: Context, spec: CronSpec, at: Path) -> None:
    ctx.members(spec, at)
    _check_schedule(ctx, spec.schedule, at)
    _check_zone(ctx, spec.timezone, (*at, "timezone"))
    start = _instant(ctx, spec.start_at, (*at, "startAt"))
    end = _instant(ctx, spec.end_at, (*at, "endAt"))
    if start is not None and end is not None and end <= start:
        what = "'endAt' is not after 'startAt', so nothing would ever fire"
        ctx.report.error("end-before-start", (*at, "endAt"), what, "write a later 'endAt'")
    if not ctx.known.has_cron:
        what = "the document is a cron, and the engine has no scheduler"
        fix = "give Engine(...) cron_scheduler=CronsimScheduler()"
        ctx.report.error("no-scheduler", at, what, fix)


def _check_schedule(ctx: Context, schedule: str, at: Path) -> None:
    if not schedule.strip():
        what = "'schedule' is missing"
        ctx.report.missing(at, "schedule", what, "write for example '0 3 * * *' or '@daily'")
        return
    path = (*at, "schedule")
    found = schedule_problem(schedule)
    if found is None:
        return
    if found == _NO_DATE:
        what = f"'{shown(schedule)}' asks for a date that does not exist"
        fix = "correct the day of the month, or the month"
        ctx.report.error("schedule-never-fires", path, what, fix)
        return
    fix = "write minute hour day month weekday, as in '30 3 * * 1-5'"
    if schedule.startswith("@"):
        fix = ctx.report.speller.did_you_mean(schedule, MACROS, fix)
    ctx.report.error("bad-schedule", path, f"'{shown(schedule)}' is no schedule: {found}", fix)


def schedule_problem(schedule: str) -> str | None:
    """What is wrong with a schedule; None when a scheduler can follow it."""
    if schedule in MACROS:
        return None
    if schedule.startswith("@"):
        return "there is no such macro"
    if len(schedule) > _LONGEST_SCHEDULE:
        return "it is too long"
    fields = schedule.split()
    if len(fields) != 5:
        return f"it has {len(fields)} fields instead of five"
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(" ".join(fields), _ANY_DAY))
    except StopIteration:
        return _NO_DATE
    except CronSimError as exc:
        return _NO_DATE if "day-of-month" in str(exc) and _is_date(fields) else str(exc).lower()
    return None


def _is_date(fields: list[str]) -> bool:
    """Whether day and month are numbers that are each possible: only together they are not."""
    return all(re.fullmatch(r"[\d,*/-]+", field) for field in fields[2:4]) and all(
        1 <= int(number) <= most
        for field, most in zip(fields[2:4], (31, 12), strict=True)
        for number in re.findall(r"\d{1,9}", field)
    )


def _check_zone(ctx: Context, zone: str, path: Path) -> None:
    if not is_zone(zone):
        what = f"'{shown(zone)}' is no time zone"
        fix = "write an IANA name such as Europe/Berlin, or UTC"
        ctx.report.error("unknown-timezone", path, what, fix)


def is_zone(name: str) -> bool:
    if not name:
        return True
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # what is not found, not a name, not a file
        return False
    return True


def _instant(ctx: Context, text: str, path: Path) -> datetime | None:
    if not text:
        return None
    try:
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass  # the right form, but a day or an hour that does not exist
    what = f"'{shown(text)}' is no instant"
    fix = "write RFC 3339 with a zone, as in 2026-03-01T08:00:00Z"
    ctx.report.error("bad-instant", path, what, fix)
    return None
