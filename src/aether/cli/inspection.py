"""Looking at stored runs: which database, and which run in it. Shared by the commands without an engine.

In: `--db` and a RUN as the user names it. Out: an open store and rows. Never: a change, or an engine:
unless a command asks for a store that is `writable`, a SQLite database is opened read-only, beside
whatever engine works on it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import click
import msgspec

from ..adapters.secrets import EnvSecrets
from ..adapters.store import PostgresStore, SqliteStore, sqlite_path
from ..app import keyring_of
from ..engine import execution_of, obstacles_of, whole_page, with_payloads
from ..errors import NotFound, Problem, ProblemError, Refused
from ..ports import Execution, RunQuery, Store
from ..record import RunRow, RunRows
from . import exits

DEFAULT = "sqlite:///data/aether.db"
ENCRYPTION = "AETHER_ENCRYPTION"
"""The variable that says which key values are sealed with: `secret-name/key-id`."""

_LISTED = 5


class CannotOpen(ProblemError):
    """The database cannot be used as it was named."""


def database_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--db` and `--json`, as `url` and `as_json`."""
    function = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)
    return click.option(
        "--db", "url", metavar="URL",
        help=f"Where the runs are kept.  [default: AETHER_URL, else {DEFAULT}]",
    )(function)  # fmt: skip


def database_url(given: str | None) -> str:
    """What was given, else AETHER_URL, else the usual file if there is one. Raises CannotOpen."""
    url = given or os.environ.get("AETHER_URL") or ""
    if not url and sqlite_path(DEFAULT).exists():
        url = DEFAULT
    if not url:
        raise CannotOpen(
            Problem(
                "no-database",
                f"no database was named, and there is no {sqlite_path(DEFAULT)} here",
                fix="write --db sqlite:///path/to/aether.db, or set AETHER_URL",
            )
        )
    if url.startswith("memory:"):
        raise CannotOpen(
            Problem(
                "no-database",
                f"'{url}' keeps runs for the process that made them alone",
                fix="write --db sqlite:///path/to/aether.db, for `aether run` as well",
            )
        )
    return url


def reading(url: str | None, look: Callable[[Store], Awaitable[int]], **how: bool) -> int:
    """The exit code of `look`, called with the open store. What keeps it from opening is told. `how` is
    that of a PayloadStore: with or without values, blind or not."""

    async def work() -> int:
        async with opened(url, **how) as store:
            return await look(store)

    try:
        return asyncio.run(work())
    except CannotOpen as exc:
        click.echo(str(exc), err=True)
        return exits.USAGE
    except BrokenPipeError:  # `aether log … | head` has seen enough
        # What is left in the buffer must go somewhere when Python flushes it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK


@asynccontextmanager
async def opened(url: str | None, **how: bool) -> AsyncIterator[Store]:
    """The store, for reading. Raises CannotOpen."""
    async with _opened(url, read_only=True, **how) as store:
        yield store


@asynccontextmanager
async def writable(url: str | None) -> AsyncIterator[Store]:
    """The store, for commands that change it. Raises CannotOpen, also while an engine has the file."""
    async with _opened(url, read_only=False) as store:
        yield store


@asynccontextmanager
async def posting(url: str | None) -> AsyncIterator[Store]:
    """The store, for commands that leave a call for an engine. Raises CannotOpen."""
    beside = not is_postgres(database_url(url))  # one engine alone has a SQLite file
    async with _opened(url, read_only=beside) as store:
        yield store


@asynccontextmanager
async def _opened(url: str | None, *, read_only: bool, **how: bool) -> AsyncIterator[Store]:
    try:
        keyring = keyring_of(os.environ.get(ENCRYPTION, ""), EnvSecrets())
        bare = _store_of(database_url(url), read_only)
        store = with_payloads(bare, keyring=keyring, **how)
        await store.open()
    except Refused as exc:
        raise CannotOpen(exc.problems) from exc
    try:
        yield store
    finally:
        await store.close()


def is_postgres(url: str) -> bool:
    return url.startswith(("postgresql:", "postgres:"))


def _store_of(url: str, read_only: bool) -> Store:
    if url.startswith("sqlite:"):
        return SqliteStore(sqlite_path(url), read_only=read_only)
    if is_postgres(url):
        return PostgresStore(url, read_only=read_only)
    raise Refused(
        Problem(
            "unknown-store", f"'{url}' names no store", fix="write sqlite:///… or postgresql://…"
        )
    )


async def find_run(store: Store, text: str) -> RunRow:
    """The run that `text` means: its id, the beginning of its id, or `last`. Raises NotFound, and
    Refused `ambiguous-run`."""
    row = await store.run(text)
    if row is not None:
        return row
    if text == "last":
        newest = (await store.runs(RunQuery(limit=1))).runs
        if newest:
            return newest[0]
    query = RunQuery(id_prefix=text, limit=_LISTED + 1)
    found = (await whole_page(store, query)).runs if text != "last" else []
    if len(found) == 1 and text:
        return found[0]
    raise _ambiguous(text, found) if found else _unknown(text)


async def find_point(store: Store, text: str) -> tuple[RunRow, int | None]:
    """RUN or RUN@SEQ."""
    name, at, number = text.rpartition("@")
    if at and number.isascii() and number.isdigit() and await store.run(text) is None:
        return await find_run(store, name), int(number)
    return await find_run(store, text), None


async def view_of(store: Store, run_id: str) -> Execution:
    """The run as it stands. Which executor types are served is the engine's to know."""
    rows = (await store.load([run_id]))[0]
    if rows is None:
        raise _unknown(run_id)
    return execution_of(rows, served=None, obstacles=await obstacles_of(store, rows))


async def waiting_reasons(store: Store, rows: Sequence[RunRow]) -> dict[str, list[str]]:
    """Why those among `rows` that are not over wait."""
    waiting = [row.run_id for row in rows if not row.phase.is_terminal]
    loaded: Sequence[RunRows | None] = await store.load(waiting) if waiting else []
    return {
        each.run.run_id: execution_of(each, served=None).waiting_for
        for each in loaded
        if each is not None
    }


def echo_json(data: Any) -> None:
    click.echo(msgspec.json.encode(data).decode())


def _unknown(text: str) -> NotFound:
    what = "there is no run yet" if text == "last" else f"there is no run '{text}'"
    return NotFound(Problem("run-not-found", what, fix="find its id with `aether list`"))


def _ambiguous(text: str, found: Sequence[RunRow]) -> Refused:
    ids = ", ".join(row.run_id for row in found[:_LISTED])
    more = ", …" if len(found) > _LISTED else ""
    what = f"several ids begin with '{text}': {ids}{more}"
    return Refused(Problem("ambiguous-run", what, fix="give more of the id"))
