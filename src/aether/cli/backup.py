"""`aether db export` and `aether db import`: a whole database into another one, of whatever kind."""

from __future__ import annotations

import asyncio
import json

import click
import msgspec

from ..adapters.store.sqlite import sqlite_path
from ..engine import Copied, copy_store, verify_copy
from ..errors import Problem, Refused
from . import exits
from .counting import bar, count_runs
from .inspection import CannotOpen, database_options, database_url, opened, writable


@click.command(short_help="Copy everything into another database.")
@click.argument("target", metavar="URL")
@database_options
def export(target: str, url: str | None, as_json: bool) -> int:
    """Copy everything from --db into the database at URL, and verify the copy: runs with their logs,
    documents, templates, crons, schemas. --db is only read.

    Stopped, it goes on where it was when it is called again; called later, it brings over what is new.
    No engine may serve URL meanwhile. Exit code 7 if something could not be copied or does not hold.
    """
    return _copy(database_url(url), database_url(target), as_json)


@click.command("import", short_help="Copy everything from another database into this one.")
@click.argument("source", metavar="URL")
@database_options
def import_all(source: str, url: str | None, as_json: bool) -> int:
    """Copy everything from the database at URL into --db, and verify the copy: `aether db export`, seen
    from the other end. URL is only read; no engine may serve --db meanwhile.

    Exit code 7 if something could not be copied or does not hold.
    """
    return _copy(database_url(source), database_url(url), as_json)


def _copy(source: str, target: str, as_json: bool) -> int:
    if _place(source) == _place(target):
        raise Refused(
            Problem(
                "same-database",
                f"'{source}' and '{target}' are one database",
                fix="name another database to copy to",
            )
        )
    try:
        copied = asyncio.run(_work(source, target))
    except CannotOpen as exc:
        click.echo(str(exc), err=True)
        return exits.USAGE
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(copied)))
    else:
        _show(copied)
    return exits.VERIFY if copied.faults else exits.OK


async def _work(source: str, target: str) -> Copied:
    async with opened(source) as a, writable(target) as b:
        total = await count_runs(a)
        with bar("copy  ", total) as advance:
            copied = await copy_store(a, b, advance)
        with bar("verify", total) as advance:
            await verify_copy(a, b, copied, advance)
        return copied


def _show(copied: Copied) -> None:
    for fault in copied.faults:
        click.echo(click.style("does not hold: ", fg="red") + fault)
    click.echo(
        f"{copied.runs:,} runs: {copied.copied:,} copied, {copied.skipped:,} were there, "
        f"{copied.verified:,} verified"
    )
    click.echo(
        f"{copied.templates:,} templates, {copied.crons:,} crons, {copied.schemas:,} schemas"
    )


def _place(url: str) -> str:
    return str(sqlite_path(url).resolve()) if url.startswith("sqlite:") else url
