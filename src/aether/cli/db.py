"""`aether db`: what a database is, bringing it up to date, and whether it is whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..adapters.clock import SystemClock
from ..adapters.store.sqlite import sqlite_path
from ..errors import Problem, Refused
from . import exits
from .backup import export, import_all
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

    Needs the database for itself; a database of a newer version is refused.
    """
    from ..adapters.store.sqlite import database

    path = _path(url)
    count = database.migrate(path, SystemClock().now())
    if as_json:
        click.echo(json.dumps({"path": str(path), "applied": count}))
    elif count:
        click.echo(f"{path}: {count} {'migration' if count == 1 else 'migrations'} applied")
    else:
        click.echo(f"{path}: up to date")
    return exits.OK


@command.command(short_help="Show what a database is, and which migrations it lacks.")
@database_options
def status(url: str, as_json: bool) -> int:
    """Read only, so it works beside a running engine. Exit code 3 if an engine would migrate first."""
    from ..adapters.store.sqlite import database

    found = database.status(_path(url))
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(found).decode())
    elif not found.exists:
        click.echo(f"{found.path}: does not exist yet; an engine makes it when it starts")
    else:
        click.echo(f"{found.path}: {found.bytes:,} bytes, SQLite {found.sqlite}")
        click.echo(f"  schema    {found.schema} of {found.known}")
        click.echo(f"  runs      {found.runs:,}, of which {found.unfinished:,} unfinished")
        for name in found.pending:
            click.echo(f"  pending   {name}")
    return exits.INVALID if found.pending else exits.OK


@command.command(short_help="Look for damage.")
@database_options
def check(url: str, as_json: bool) -> int:
    """Read the whole file and report damage. Changes nothing, and works beside a running engine.

    Exit code 3 if there is any.
    """
    from ..adapters.store.sqlite import database

    path = _path(url)
    problems = database.check(path)
    if as_json:
        click.echo(json.dumps({"path": str(path), "problems": problems}))
    else:
        for problem in problems:
            click.echo(problem)
        click.echo(f"{path}: {'damaged: restore a backup' if problems else 'no damage found'}")
    return exits.INVALID if problems else exits.OK


def _path(url: str) -> Path:
    if not url.startswith("sqlite:"):
        raise Refused(
            Problem(
                "unknown-store",
                f"'{url}' is no database that these commands look after",
                fix=f"write --db {DEFAULT}",
            )
        )
    return sqlite_path(url)
