"""Which runs a command is about: the options, and the query that they make.

In: what was typed, and what time it is. Out: a RunQuery, and its runs page by page. Shared by `list`
and by the commands that go through many runs at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import msgspec

from ..adapters.clock import SystemClock
from ..document import parse_duration
from ..errors import Problem, Refused
from ..ports import RunQuery, Store
from ..record import STATES, Instant, Phase, RunRow
from .arguments import split_pairs

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAGE = 500

OPTIONS = (
    click.option(
        "--phase", "phases", multiple=True, metavar="P",
        type=click.Choice([str(phase) for phase in Phase], case_sensitive=False),
        help="Only runs in this phase; may be given several times.",
    ),
    click.option(
        "--state", "states", multiple=True, metavar="S",
        type=click.Choice(list(STATES), case_sensitive=False),
        help=f"Only runs in this state ({', '.join(STATES)}); may be given several times.",
    ),
    click.option("--unfinished", is_flag=True, help="Only runs that are not over."),
    click.option("--name", "--type", "name", default="", help="Only runs of this workflow."),
    click.option("--cron", default="", metavar="ID", help="Only runs of this cron."),
    click.option(
        "--label", "labels", multiple=True, metavar="K=V",
        help="Only runs with this label; given several times, with all of them.",
    ),
    click.option(
        "--since", default="", metavar="TIME",
        help="Only runs created at or after: 2026-03-01, 2026-03-01T08:30, or 2h, 30m, 7d ago.",
    ),
    click.option("--until", default="", metavar="TIME", help="Only runs created before."),
    click.option("--finished-since", default="", metavar="TIME", help="Only runs that ended since."),
    click.option("--finished-until", default="", metavar="TIME", help="Only runs that ended before."),
    click.option(
        "--text", default="", help="Only runs whose id, name, message or label values contain this."
    ),
)  # fmt: skip
"""The filters as options, in the order of `--help`."""

_NAMES = (
    "phases", "states", "unfinished", "name", "cron", "labels", "since", "until",
    "finished_since", "finished_until", "text",
)  # fmt: skip


def run_filters(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the filters to a command. They arrive as `**typed`, which is for `query_of`."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def has_filters(typed: Mapping[str, Any]) -> bool:
    """Whether any filter was typed: without one a command may refuse to take all runs there are."""
    return any(typed[name] for name in _NAMES)


def query_of(typed: Mapping[str, Any], now: Instant | None = None) -> RunQuery:
    """Raises Refused `bad-argument`. `now` is for tests: ages are counted back from it."""
    if now is None:
        now = SystemClock().now()
    phases = {Phase(phase) for phase in typed["phases"]}
    for state in typed["states"]:
        phases |= set(STATES[state.upper()])
    if typed["unfinished"]:
        phases |= {phase for phase in Phase if not phase.is_terminal}
    return RunQuery(
        phases=tuple(sorted(phases)),
        name=typed["name"],
        cron_id=typed["cron"],
        labels=split_pairs(typed["labels"], "--label"),
        created_from=_instant("--since", typed["since"], now),
        created_to=_instant("--until", typed["until"], now),
        finished_from=_instant("--finished-since", typed["finished_since"], now),
        finished_to=_instant("--finished-until", typed["finished_until"], now),
        text=typed["text"],
    )


def asked_of(typed: Mapping[str, Any]) -> dict[str, Any]:
    """The filters as a server takes them, where the same words have the same meaning."""
    renamed = {
        "phases": "phase", "states": "state", "labels": "label",
        "finished_since": "finishedSince", "finished_until": "finishedUntil",
    }  # fmt: skip
    asked = {renamed.get(name, name): typed[name] for name in _NAMES}
    return {**asked, "unfinished": "true" if typed["unfinished"] else ""}


async def each_run(store: Store, query: RunQuery, most: int = 0) -> AsyncIterator[RunRow]:
    """All runs of a query, or the first `most`. They may change, or go, while this goes on."""
    query = msgspec.structs.replace(query, limit=_PAGE)
    seen = 0
    while True:
        page = await store.runs(query)
        for row in page.runs:
            yield row
            seen += 1
            if seen == most:
                return
        if not page.cursor:
            return
        query = msgspec.structs.replace(query, after=page.cursor)


def _instant(option: str, text: str, now: Instant) -> Instant | None:
    """A moment as it was typed: a date, a time of day in UTC or with its zone, or an age."""
    if not text:
        return None
    age = parse_duration(text)
    if age is not None:
        return now - age // _MICROSECOND
    try:
        given = datetime.fromisoformat(text)
    except ValueError as exc:
        raise _unreadable(option, text) from exc
    if given.tzinfo is None:
        given = given.replace(tzinfo=UTC)
    return (given - _EPOCH) // _MICROSECOND


def _unreadable(option: str, text: str) -> Refused:
    return Refused(
        Problem(
            "bad-argument",
            f"`{option} {text}` is neither a moment nor an age",
            fix=f"write {option} 2026-03-01T08:30, or {option} 2h for two hours ago",
        )
    )
