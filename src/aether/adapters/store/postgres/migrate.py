"""Brings a schema up to date, one process at a time, and refuses servers that would break a promise.

In: connections. Out: a schema as this version knows it. Never: a change in a schema that a newer
version made.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from ....errors import Problem, Refused
from ...migrations import Applied, Migration, read_migrations, still_to_apply
from .connections import Connection
from .sql import migrations, statements

OLDEST_SERVER = 140_000  # PostgreSQL 14


async def check_server(connection: Connection, where: str, unsafe: bool) -> None:
    """Raises Refused `store-unfit` or `store-not-durable`."""
    server = await connection.fetchrow(statements("opening")["server"])
    assert server is not None, "a SELECT without FROM gives one row"
    if server["version"] < OLDEST_SERVER:
        raise _unfit(
            where, f"runs version {server['version'] // 10_000}", "use PostgreSQL 14 or newer"
        )
    if server["encoding"] != "UTF8":
        raise _unfit(
            where, f"keeps text as {server['encoding']}", "create the database with ENCODING 'UTF8'"
        )
    if server["read_only"] == "on":
        raise _unfit(where, "only reads", "name the primary server, not a standby")
    for setting, good in (
        ("fsync", server["fsync"] == "on"),
        ("full_page_writes", server["full_page_writes"] == "on"),
        ("synchronous_commit", server["synchronous_commit"] != "off"),
    ):
        if not good and not unsafe:
            raise Refused(
                Problem(
                    "store-not-durable",
                    f"{where} runs with {setting} = off: what it acknowledges may be lost",
                    fix=f"turn {setting} on, or accept the loss with unsafe=True",
                )
            )


def _unfit(where: str, why: str, fix: str) -> Refused:
    return Refused(Problem("store-unfit", f"{where} {why}", fix=fix))


async def migrate(
    connection: Connection,
    schema: str,
    where: str,
    known: Sequence[Migration] | None = None,
) -> Sequence[Migration]:
    """Apply what is missing, and give it back. All or nothing, under a lock of the whole database."""
    sql = statements("opening")
    key = int.from_bytes(sha256(b"aether " + schema.encode()).digest()[:8], "big", signed=True)
    if known is None:
        known = read_migrations(migrations())
    async with connection.transaction():
        await connection.execute(sql["lock"], key)
        if not await connection.fetchval(sql["has_migrations"], f'"{schema}".migration'):
            await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
            await connection.execute(sql["create_migrations"])
        rows = await connection.fetch(sql["migrations"])
        applied = [Applied(row["number"], row["name"], row["checksum"]) for row in rows]
        missing = still_to_apply(known, applied, f"{where}, schema {schema},")
        for each in missing:
            await connection.execute(each.text)
            await connection.execute(sql["add_migration"], each.number, each.name, each.checksum)
    return missing
