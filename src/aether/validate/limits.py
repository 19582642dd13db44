"""The rules of limits: what they are on, how much, and for whom."""

from __future__ import annotations

from ..document import Limit, Path, parse_rate
from .context import Context
from .expressions import check_placeholders
from .sight import Sight


def check_limits(ctx: Context, limits: tuple[Limit, ...], at: Path, sight: Sight) -> None:
    for index, limit in enumerate(limits):
        here = (*at, "limits", index)
        ctx.members(limit, here)
        if not limit.key:
            what = "this limit has no key, so nobody knows what it is on"
            ctx.report.missing(here, "key", what, "name what is limited: 'key: database'")
        if not limit.concurrency and not limit.rate:
            what = "this limit has neither concurrency nor rate, so it limits nothing"
            fix = "add for example 'concurrency: 2' or 'rate: 10/1m'"
            ctx.report.missing(here, "concurrency", what, fix, "limit-without-measure")
        if limit.rate and parse_rate(limit.rate) is None:
            what = f"'{limit.rate[:40]}' is no rate"
            fix = "write how many and within what: 10/1m, 5/s, 1000/1d"
            ctx.report.error("bad-rate", (*here, "rate"), what, fix)
        check_placeholders(ctx, limit.key, (*here, "key"), sight)
        check_placeholders(ctx, limit.fair, (*here, "fair"), sight)


def refuse_limits(ctx: Context, of: str, at: Path) -> None:
    """On what is no single task."""
    what = f"limits of a node are for a task, and this one runs {of}"
    fix = "put them on the tasks inside, or on 'spec' for the whole run"
    ctx.report.error("limits-on-container", (*at, "limits"), what, fix)
