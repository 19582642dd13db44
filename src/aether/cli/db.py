"""`aether db`: what a database is, bringing it up to date, and whether it is whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..adapters.clock import SystemClock
from ..adapters.store import sqlite_path
from ..adapters.store.postgres.connections import shown
from ..errors import Problem, Refused
from . import exits
from .backup import export, import_all
from .inspection import is_postgres
from .vacuum import vacuum

DEFAULT = "sqlite:///data/aether.db"


def database_options(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)
    return click.option(
        "--db", "url", default=DEFAULT, show_default=True, metavar="URL", help="Which database."
    )(function)


@click.group(short_help="Look after the database: migrate, check, copy, clean up.")
def command() -> None:
    """Look after the database behind a durable engine."""


command.add_command(export)
command.add_command(import_all)
command.add_command(vacuum)


@command.command(short_help="Bring a database up to date, or make one.")
@database_options
def migrate(url: str, as_json: bool) -> int:
    """Apply the migrations that the database lacks. An engine does the same when it starts.

    Needs a SQLite file for itself; a database of a newer version is refused.
    """
    if is_postgres(url):
        from ..adapters.store.postgres import database as server

        name, where = "url", shown(url)
        count = asyncio.run(server.migrate_database(url))
    else:
        from ..adapters.store.sqlite import database

        name, where = "path", str(_path(url))
        count = database.migrate(_path(url), SystemClock().now())
    if as_json:
        click.echo(json.dumps({name: where, "applied": count}))
    elif count:
        click.echo(f"{where}: {count} {'migration' if count == 1 else 'migrations'} applied")
    else:
        click.echo(f"{where}: up to date")
    return exits.OK


@command.command(short_help="Show what a database is, and which migrations it lacks.")
@database_options
def status(url: str, as_json: bool) -> int:
    """Read only, so it works beside a running engine. Exit code 3 if an engine would migrate first."""
    found, where, server = _status(url)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(found).decode())
    elif not found.exists:
        click.echo(f"{where}: does not exist yet; an engine makes it when it starts")
    else:
        click.echo(f"{where}: {found.bytes:,} bytes, {server}")
        click.echo(f"  schema    {found.schema} of {found.known}")
        click.echo(f"  runs      {found.runs:,}, of which {found.unfinished:,} unfinished")
        for name in found.pending:
            click.echo(f"  pending   {name}")
    return exits.INVALID if found.pending else exits.OK


@command.command(short_help="Look for damage.")
@database_options
def check(url: str, as_json: bool) -> int:
    """Read the whole database and report damage. Changes nothing, and works beside a running engine.

    Exit code 3 if there is any.
    """
    if is_postgres(url):
        from ..adapters.store.postgres import database as server

        name, where = "url", shown(url)
        problems = asyncio.run(server.check(url))
    else:
        from ..adapters.store.sqlite import database

        name, where = "path", str(_path(url))
        problems = database.check(_path(url))
    if as_json:
        click.echo(json.dumps({name: where, "problems": problems}))
    else:
        for problem in problems:
            click.echo(problem)
        click.echo(f"{where}: {'damaged: restore a backup' if problems else 'no damage found'}")
    return exits.INVALID if problems else exits.OK


def _status(url: str) -> tuple[Any, str, str]:
    """What there is, where, and what keeps it."""
    if is_postgres(url):
        from ..adapters.store.postgres import database as server

        found = asyncio.run(server.status(url))
        return found, found.url, f"PostgreSQL {found.server}"
    from ..adapters.store.sqlite import database

    kept = database.status(_path(url))
    return kept, kept.path, f"SQLite {kept.sqlite}"


def _path(url: str) -> Path:
    if not url.startswith("sqlite:"):
        raise Refused(
            Problem(
                "unknown-store",
                f"'{url}' is no database that these commands look after",
                fix=f"write --db {DEFAULT}, or postgresql://…",
            )
        )
    return sqlite_path(url)
