"""`aether db vacuum`: old runs go, and the space they took is given back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import click
import msgspec

from ..adapters.artifacts import LocalArtifacts
from ..adapters.clock import SystemClock
from ..adapters.store.sqlite import sqlite_path
from ..document import parse_duration
from ..engine import drop_artifacts, expired
from ..errors import Refused
from ..ports import Store
from ..record import Phase
from . import exits
from .counting import bar
from .inspection import CannotOpen, database_options, database_url, echo_json, opened, writable

_TERMINAL = [phase for phase in Phase if phase.is_terminal and phase is not Phase.SKIPPED]


class Cleaned(msgspec.Struct, kw_only=True, rename="camel"):
    """What was deleted, or with --dry-run would be. Sizes are None where the database sees to them."""

    dry_run: bool
    deleted: dict[str, int] = {}
    bytes_before: int | None = None
    bytes_after: int | None = None


@click.command(short_help="Delete old runs, and give their space back.")
@click.option(
    "--older-than", metavar="AGE",
    help="Delete runs that ended longer ago: 30d, 12h. Without it nothing is deleted.",
)  # fmt: skip
@click.option(
    "--phase", "phases", multiple=True, metavar="P",
    type=click.Choice([str(phase) for phase in _TERMINAL], case_sensitive=False),
    help="With --older-than: only runs that ended so; may be given several times.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@database_options
def vacuum(
    older_than: str | None,
    phases: tuple[str, ...],
    dry_run: bool,
    url: str | None,
    as_json: bool,
) -> int:
    """Delete the runs that ended longer ago than AGE, with their logs and local artifacts, and compact
    the file. Runs of a cron are left to its history limits.

    A SQLite database must be in nobody's hands, except for --dry-run; PostgreSQL compacts itself. An
    engine deletes old runs by itself when it is given a Retention.
    """
    ages = _ages(older_than, phases)
    place = database_url(url)
    cleaned = Cleaned(dry_run=dry_run)
    try:
        if ages:
            cleaned.deleted = asyncio.run(_delete(place, ages, dry_run))
        if not dry_run:
            asyncio.run(_collect(place))
        if not dry_run and place.startswith("sqlite:"):
            from ..adapters.store.sqlite import database

            sizes = database.vacuum(sqlite_path(place), SystemClock().now())
            cleaned.bytes_before, cleaned.bytes_after = sizes
    except (CannotOpen, Refused) as exc:
        click.echo(str(exc), err=True)
        return exits.USAGE
    if as_json:
        echo_json(cleaned)
    else:
        _show(cleaned, bool(ages))
    return exits.OK


def _ages(older_than: str | None, phases: tuple[str, ...]) -> dict[Phase, timedelta]:
    if older_than is None:
        if phases:
            raise click.UsageError("--phase says which of the old runs go: write --older-than too")
        return {}
    age = parse_duration(older_than) if older_than else None
    if age is None:
        raise click.UsageError(f"`--older-than {older_than}` is no age: write 30d, 12h or 90m")
    return dict.fromkeys([Phase(phase) for phase in phases] or _TERMINAL, age)


async def _delete(place: str, ages: Mapping[Phase, timedelta], dry_run: bool) -> dict[str, int]:
    """How many were deleted, or would be, by phase."""
    now = SystemClock().now()
    async with opened(place) if dry_run else writable(place) as store:
        doomed = Counter([str(run.phase) async for run in expired(store, ages, now)])
        if dry_run:
            return dict(doomed)
        gone: Counter[str] = Counter()
        with bar("delete", doomed.total()) as advance:
            async for run in expired(store, ages, now):
                gone[str(run.phase)] += await _forget(store, run.run_id)
                advance(1)
    return dict(gone)


async def _collect(place: str) -> None:
    """Payloads that no run names any more. A file that is not there is not made for that."""
    if place.startswith("sqlite:") and not sqlite_path(place).exists():
        return
    async with writable(place) as store:
        while await store.collect():
            pass


async def _forget(store: Store, run_id: str) -> bool:
    rows = (await store.load([run_id]))[0]
    if rows is not None:
        repositories = {"local": LocalArtifacts(Path("data/artifacts"))}
        await drop_artifacts(
            store, rows, repositories, lambda what, error: click.echo(what, err=True)
        )
    return await store.delete(run_id)


def _show(cleaned: Cleaned, deleting: bool) -> None:
    if deleting:
        count = sum(cleaned.deleted.values())
        phases = ", ".join(f"{n:,} {phase}" for phase, n in sorted(cleaned.deleted.items()))
        verb = "would be deleted" if cleaned.dry_run else "deleted"
        plural = "run" if count == 1 else "runs"
        click.echo(f"{count:,} {plural} {verb}" + (f": {phases}" if phases else ""))
    if cleaned.bytes_before is not None and cleaned.bytes_after is not None:
        click.echo(f"{cleaned.bytes_before:,} bytes before, {cleaned.bytes_after:,} after")
    elif not deleting:
        click.echo(
            "nothing to do: "
            + (
                "--dry-run without --older-than"
                if cleaned.dry_run
                else "PostgreSQL compacts itself, and --older-than deletes old runs"
            )
        )
