"""`aether list`: the runs of a database, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import click
import msgspec
from msgspec.structs import replace

from ..engine import forks_of_each, moment, origin_of, whole_page
from ..ports import Fork, Page, RunQuery, Store
from ..record import Instant, Phase, RunRow, decode_json, is_ciphered
from ..server.instants import instant_of
from . import exits
from .filters import asked_of, query_of, run_filters
from .inspection import database_options, echo_json, reading, waiting_reasons
from .output import VALUE_WIDTH, json_text
from .progress import LOOKS, one_line, took
from .remote import Remote, server_option
from .result import duration_text, instant_text, link

_NAME_WIDTH = 32
_REASONS = 3


@click.command(short_help="List runs, newest first, and why they wait.")
@run_filters
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many."
)
@click.option("--after", default="", metavar="CURSOR", help="Go on where the page before ended.")
@click.option("--oldest", is_flag=True, help="Oldest first.")
@server_option
@database_options
def command(
    limit: int,
    after: str,
    oldest: bool,
    server: str,
    url: str | None,
    as_json: bool,
    **typed: Any,
) -> int:
    """List runs: how they stand, and of those that are not over, why they wait.

    Reads beside a running engine. When there are more, the last line shows how to go on.
    """
    query = replace(query_of(typed), newest_first=not oldest, after=after, limit=limit)
    if server:
        page, reasons = _there(server, typed, query)
        if as_json:
            runs = [summary(row, reasons.get(row.run_id, [])) for row in page.runs]
            echo_json({"runs": runs, "cursor": page.cursor})
        else:
            _show(page, reasons)
        return exits.OK

    async def look(store: Store) -> int:
        page = await whole_page(store, query)
        reasons = await waiting_reasons(store, page.runs)
        if as_json:
            forks = await forks_of_each(store, page.runs)
            runs = [
                summary(row, reasons.get(row.run_id, []), forks.get(row.run_id, ()))
                for row in page.runs
            ]
            echo_json({"runs": runs, "cursor": page.cursor})
        else:
            _show(page, reasons)
        return exits.OK

    return reading(url, look, values=False)


def _there(
    server: str, typed: Mapping[str, Any], query: RunQuery
) -> tuple[Page, dict[str, list[str]]]:
    """The page of a server, and why its runs wait."""
    order = "newest" if query.newest_first else "oldest"
    asked = {**asked_of(typed), "order": order, "after": query.after, "limit": query.limit}
    answer = Remote(server).call("GET", "/runs", query={**asked, "waiting": "true"})
    found = msgspec.json.decode(answer, type=_Listed)
    reasons = {run.run_id: run.waiting_for for run in found.runs}
    return Page([run.row() for run in found.runs], found.cursor), reasons


class _Run(msgspec.Struct, rename="camel"):
    """One run as a server lists it."""

    run_id: str
    name: str
    namespace: str
    cron_id: str
    labels: dict[str, str]
    attributes: dict[str, str]
    status: Phase
    message: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: str
    seq: int
    waiting_for: list[str]

    def row(self) -> RunRow:
        done, _, total = self.progress.partition("/")
        return RunRow(
            run_id=self.run_id,
            name=self.name,
            namespace=self.namespace,
            document=b"",
            labels=self.labels,
            attributes=self.attributes,
            cron_id=self.cron_id,
            created_at=instant_of(self.created_at),
            phase=self.status,
            message=self.message,
            started_at=None if self.started_at is None else instant_of(self.started_at),
            finished_at=None if self.finished_at is None else instant_of(self.finished_at),
            done=int(done or 0),
            total=int(total or 0),
            seq=self.seq,
        )


class _Listed(msgspec.Struct):
    runs: list[_Run]
    cursor: str = ""


def summary(row: RunRow, waiting_for: Sequence[str], forks: Sequence[Fork] = ()) -> dict[str, Any]:
    """One run of the list as JSON: no tasks, no values."""
    return {
        "runID": row.run_id,
        "name": row.name,
        "namespace": row.namespace,
        "cronID": row.cron_id,
        "labels": row.labels or {},
        "attributes": row.attributes or {},
        "reported": reported(row),
        "phase": str(row.phase),
        "message": row.message,
        "createdAt": _instant(row.created_at),
        "startedAt": _instant(row.started_at),
        "finishedAt": _instant(row.finished_at),
        "duration": duration_text(_duration(row)),
        "progress": _progress(row),
        "seq": row.seq,
        "waitingFor": waiting_for,
        "origin": None if (origin := origin_of(row)) is None else link(origin),
        "forks": [link(fork) for fork in forks],
    }


def _show(page: Page, reasons: Mapping[str, Sequence[str]]) -> None:
    if not page.runs:
        click.echo("no runs")
        return
    table = [_cells(row) for row in page.runs]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(table[0]))]
    for row, cells in zip(page.runs, table, strict=True):
        text = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        colour = LOOKS[row.phase][1]
        click.echo(click.style(text[: widths[0]], fg=colour) + text[widths[0] :].rstrip())
        if said := ", ".join(f"{k} = {json_text(v)}" for k, v in reported(row).items()):
            click.echo(click.style("    says: ", fg="cyan") + one_line(said, VALUE_WIDTH))
        told = reasons.get(row.run_id, ())
        for reason in told[:_REASONS]:
            click.echo(click.style("    waits: ", fg="yellow") + one_line(reason, VALUE_WIDTH))
        if len(told) > _REASONS:
            click.echo(f"    … and {len(told) - _REASONS} more")
        if row.message:
            click.echo(f"    {one_line(row.message, VALUE_WIDTH)}")
    if page.cursor:
        click.echo(f"there are more: --after {page.cursor}")


def reported(row: RunRow) -> dict[str, Any]:
    """What a function says of itself, unless it cannot be read without a key."""
    if not row.status or is_ciphered(row.status):
        return {}
    said = decode_json(row.status)
    return said if isinstance(said, dict) else {}


def _cells(row: RunRow) -> list[str]:
    return [
        f"{LOOKS[row.phase][0]} {row.phase}",
        one_line(row.name, _NAME_WIDTH),
        row.run_id,
        f"{moment(row.created_at):%Y-%m-%d %H:%M:%SZ}",
        took(_duration(row)) or "-",
        _progress(row) or "-",
    ]


def _progress(row: RunRow) -> str:
    return f"{row.done}/{row.total}" if row.total else ""


def _duration(row: RunRow) -> timedelta | None:
    if row.started_at is None or row.finished_at is None:
        return None
    return timedelta(microseconds=row.finished_at - row.started_at)


def _instant(instant: Instant | None) -> str:
    return "" if instant is None else instant_text(moment(instant))
