"""A database as a whole, for whoever looks after it: what it is, bringing it up to date, finding damage.

In: an address. Out: numbers, and what is wrong, in words. Never: a change, except by `migrate_database`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from ....errors import Problem, Refused, StoreUnavailable
from ...migrations import Applied, Migration, read_migrations, still_to_apply
from .connections import Connection, Connections, driver, is_lost
from .migrate import check_server, migrate
from .reading import hook_row, run_row, task_row
from .sql import migrations, statements

SCHEMA = "aether"
PATIENCE = 3600.0
"""Seconds that one statement about everything may take."""

_MOST = 20  # damages that are told one by one
_COUNTED = (
    "lost_tasks", "lost_hooks", "lost_log", "lost_labels", "no_document", "lost_documents",
    "lost_uses", "no_payload", "wrongly_open", "double_log",
)  # fmt: skip
_DAMAGE = "XX"  # the class of errors about the server's own files


class Status(msgspec.Struct, kw_only=True):
    """What a database is, for people."""

    url: str
    exists: bool
    schema: int = 0
    known: int = 0
    pending: list[str] = []
    runs: int = 0
    unfinished: int = 0
    bytes: int = 0
    server: str = ""


async def migrate_database(dsn: str, schema: str = SCHEMA) -> int:
    """Bring a store up to date, or make one; answers how many migrations that took."""
    async with _connection(dsn, schema, read_only=False) as (connection, where):
        await check_server(connection, where, unsafe=False)
        return len(await migrate(connection, schema, where))


async def status(dsn: str, schema: str = SCHEMA) -> Status:
    """What there is, read beside running engines."""
    async with _connection(dsn, schema) as (connection, where):
        everything = read_migrations(migrations())
        pending = await pending_in(connection, schema, where)
        found = Status(
            url=where,
            exists=len(pending) < len(everything),
            schema=len(everything) - len(pending),
            known=len(everything),
            pending=[f"{each.number:04}_{each.name}" for each in pending],
        )
        if found.exists:
            counts = await connection.fetchrow(statements("checking")["counts"])
            found.runs, found.unfinished, found.bytes, found.server = counts
        return found


async def pending_in(connection: Connection, schema: str, where: str) -> list[Migration]:
    """The migrations that a store lacks: all where there is none. Raises Refused `store-newer`."""
    known, rows = read_migrations(migrations()), []
    if await connection.fetchval(statements("checking")["has_store"], f'"{schema}".migration'):
        rows = list(await connection.fetch(statements("opening")["migrations"]))
    applied = [Applied(row["number"], row["name"], row["checksum"]) for row in rows]
    return list(still_to_apply(known, applied, f"{where}, schema {schema},"))


async def expect_current(connection: Connection, schema: str, where: str) -> None:
    """For those who only read: raises Refused `store-missing`, `store-older`, `store-newer`."""
    pending = await pending_in(connection, schema, where)
    fix = f"start an engine on it, or run `aether db migrate --db {where}`"
    if len(pending) == len(read_migrations(migrations())):
        raise Refused(Problem("store-missing", f"there is no store in {where}", fix=fix))
    if pending:
        what = f"{where} lacks {len(pending)} migrations of this version"
        raise Refused(Problem("store-older", what, fix=fix))


async def check(dsn: str, schema: str = SCHEMA) -> list[str]:
    """What is wrong with a store; nothing if it is whole. Every row is read and decoded, and what belongs
    together is counted, all as of one moment. With the extension `amcheck` its indexes are checked too."""
    found: list[str] = []
    async with _connection(dsn, schema) as (connection, where):
        await expect_current(connection, schema, where)
        for look in (_unreadable, _apart, _bad_indexes):
            try:
                async with connection.transaction(isolation="repeatable_read"):
                    await connection.fetch(statements("checking")["plans"])
                    async for what in look(connection):
                        found.append(what)
                        if len(found) >= _MOST:
                            return [*found, "and perhaps more"]
            except driver().PostgresError as exc:
                if (exc.sqlstate or "")[:2] != _DAMAGE:
                    raise
                found.append(str(exc))
    return found


def _run(row: Mapping[str, Any]) -> object:
    return run_row(0, 0, row["body"], row["changes"])


def _task(row: Mapping[str, Any]) -> object:
    return task_row(row["body"], row["changes"])


def _hook(row: Mapping[str, Any]) -> object:
    return hook_row(row["body"], row["changes"])


def _entry(row: Mapping[str, Any]) -> object:
    return row["body"]  # the chain says whether it is what it was: `aether audit verify`


_DECODED: tuple[tuple[str, Callable[[Mapping[str, Any]], object]], ...] = (
    ("runs", _run),
    ("tasks", _task),
    ("hooks", _hook),
    ("log", _entry),
)


async def _unreadable(connection: Connection) -> AsyncIterator[str]:
    for name, decode in _DECODED:
        async for row in connection.cursor(statements("checking")[name], prefetch=500):
            try:
                decode(row)
            except (msgspec.DecodeError, ValueError) as exc:
                place = ", ".join(f"{key} {row[key]}" for key in list(row.keys())[:-2])
                yield f"a row of {name} cannot be read ({place}): {exc}"


async def _apart(connection: Connection) -> AsyncIterator[str]:
    for name in _COUNTED:
        count = await connection.fetchval(statements("checking")[name])
        if count:
            yield f"{count} {_SENTENCES[name]}"


_SENTENCES = {
    "lost_tasks": "task rows belong to no run",
    "lost_hooks": "hook rows belong to no run",
    "lost_log": "log entries belong to no run",
    "lost_labels": "labels belong to no run",
    "no_document": "runs name a document that is not there",
    "lost_documents": "documents are named by no run",
    "lost_uses": "uses of large values belong to no run",
    "no_payload": "large values are used that are not there",
    "wrongly_open": "runs are marked open although they are over, or not although they are not",
    "double_log": "numbers of log entries come twice",
}


async def _bad_indexes(connection: Connection) -> AsyncIterator[str]:
    where = await connection.fetchval(statements("checking")["amcheck"])
    if where is None:
        return
    text = statements("checking")["check_index"].format(amcheck=where)
    for name, oid in await connection.fetch(statements("checking")["indexes"]):
        try:
            async with connection.transaction():
                await connection.fetch(text, oid)
        except driver().PostgresError as exc:
            if (exc.sqlstate or "")[:2] != _DAMAGE:
                raise
            yield f"index {name}: {exc}"


@asynccontextmanager
async def _connection(
    dsn: str, schema: str, *, read_only: bool = True
) -> AsyncIterator[tuple[Connection, str]]:
    pg = driver()
    connections = Connections(dsn, schema, 1, PATIENCE, read_only=read_only)
    try:
        async with connections.use() as connection:
            yield connection, connections.where
    except pg.PostgresError as exc:
        if is_lost(exc):
            raise StoreUnavailable(f"{connections.where}: {exc}") from exc
        raise connections.answered(exc) from exc
    except (pg.InterfaceError, OSError, TimeoutError) as exc:
        raise StoreUnavailable(f"{connections.where}: {exc}") from exc
    finally:
        await connections.close()
