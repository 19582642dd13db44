"""What a PostgreSQL store says before it works: whom it lets in, and how its schema comes to be."""

from __future__ import annotations

import asyncio
import builtins
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from aether.adapters.migrations import Migration, read_migrations
from aether.adapters.store.postgres import PostgresStore, sql
from aether.adapters.store.postgres.connections import Connection, Connections, shown
from aether.adapters.store.postgres.migrate import check_server, migrate
from aether.app import Aether
from aether.errors import InvalidState, Refused, StoreUnavailable
from aether.testing.postgres import (
    PostgresServer,
    binaries,
    free_port,
    postgres_schema,
    postgres_server,
)
from aether.testing.rows import a_run, committed, creating

__all__ = ["postgres_schema", "postgres_server"]  # fixtures

_SHAPE = """
SELECT 'column', c.relname, a.attnum::text, a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
    || a.attnotnull || coalesce(coll.collname, '') || coalesce(pg_get_expr(d.adbin, c.oid), '')
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_collation coll ON coll.oid = a.attcollation
WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'S')
UNION ALL SELECT 'table', relname, '', coalesce(reloptions::text, '')
FROM pg_class WHERE relnamespace = $1::text::regnamespace
UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = $1::text
UNION ALL SELECT 'function', proname, '', pg_get_functiondef(oid)
FROM pg_proc WHERE pronamespace = $1::text::regnamespace
ORDER BY 1, 2, 3
"""


async def test_the_schema_is_the_sum_of_its_migrations(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    other = postgres_schema + "_read"
    async with connected(postgres_server, postgres_schema) as connection:
        await migrate(connection, postgres_schema, "here")
        summed = await connection.fetch(_SHAPE, postgres_schema)
        await connection.execute(f"CREATE SCHEMA {other}")
        await connection.execute(f"SET search_path = {other}")
        await connection.execute(sql.schema())
        read = await connection.fetch(_SHAPE, other)
    assert len(summed) > 50
    assert [[cell.replace(postgres_schema, "S") for cell in row] for row in summed] == [
        [cell.replace(other, "S") for cell in row] for row in read
    ]


async def test_migrations_are_applied_once_and_in_order(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    shipped = read_migrations(sql.migrations())
    known = [*shipped, _migration(len(shipped) + 1, "CREATE TABLE more (n int)")]
    async with connected(postgres_server, postgres_schema) as connection:
        assert list(await migrate(connection, postgres_schema, "here", known[:1])) == known[:1]
        assert list(await migrate(connection, postgres_schema, "here", known)) == known[1:]
        assert list(await migrate(connection, postgres_schema, "here", known)) == []


async def test_a_migration_that_fails_leaves_nothing(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    known = read_migrations(sql.migrations())
    broken = [*known, _migration(len(known) + 1, "CREATE TABLE half (n int); SELECT 1 / 0")]
    async with connected(postgres_server, postgres_schema) as connection:
        with pytest.raises(Exception, match="division by zero"):
            await migrate(connection, postgres_schema, "here", broken)
        assert list(await migrate(connection, postgres_schema, "here", known)) == list(known)
        assert await connection.fetchval("SELECT to_regclass('half')") is None


async def test_processes_that_open_at_once_migrate_once(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    stores = [PostgresStore(postgres_server.dsn, schema=postgres_schema) for _ in range(5)]
    await asyncio.gather(*(store.open() for store in stores))
    await committed(stores[0], creating(a_run("run")))
    assert await stores[4].run("run") is not None
    for store in stores:
        await store.close()


async def test_a_schema_of_a_newer_version_is_refused_and_left_alone(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    shipped = read_migrations(sql.migrations())
    later = [*shipped, _migration(len(shipped) + 1, "CREATE TABLE more (n int)")]
    async with connected(postgres_server, postgres_schema) as connection:
        await migrate(connection, postgres_schema, "here", later)
    with pytest.raises(Refused) as caught:
        await PostgresStore(postgres_server.dsn, schema=postgres_schema).open()
    assert caught.value.code == "store-newer"
    assert postgres_schema in str(caught.value)


async def test_a_migration_whose_text_changed_is_refused(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    store = PostgresStore(postgres_server.dsn, schema=postgres_schema)
    await store.open()
    await store.close()
    async with connected(postgres_server, postgres_schema) as connection:
        await connection.execute("UPDATE migration SET checksum = 'other'")
    with pytest.raises(Refused) as caught:
        await store.open()
    assert caught.value.code == "store-migration-changed"


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
async def test_a_server_that_may_lose_commits_is_refused_unless_unsafe(
    postgres_server: PostgresServer, setting: str
) -> None:
    safe = {
        "version": 160_000,
        "encoding": "UTF8",
        "read_only": "off",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
    }
    await check_server(Saying(safe), "here", unsafe=False)
    lossy = Saying(safe | {setting: "off"})
    with pytest.raises(Refused) as caught:
        await check_server(lossy, "here", unsafe=False)
    assert caught.value.code == "store-not-durable"
    assert setting in str(caught.value)
    await check_server(lossy, "here", unsafe=True)
    for unfit in ({"version": 130_000}, {"encoding": "LATIN1"}, {"read_only": "on"}):
        with pytest.raises(Refused) as caught:
            await check_server(Saying(safe | unfit), "here", unsafe=True)
        assert caught.value.code == "store-unfit"


@pytest.mark.slow
async def test_a_real_server_without_fsync_is_refused_unless_unsafe(
    postgres_server: PostgresServer,
) -> None:
    place = binaries()
    assert place is not None
    with PostgresServer(place, {"fsync": "off"}) as server:
        with pytest.raises(Refused) as caught:
            await PostgresStore(server.dsn).open()
        assert caught.value.code == "store-not-durable"
        store = PostgresStore(server.dsn, unsafe=True)
        await store.open()
        await committed(store, creating(a_run("run")))
        await store.close()


async def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(Refused) as caught:
        await PostgresStore("postgresql://localhost/x").open()
    assert caught.value.code == "extra-missing"
    assert "pip install aether-workflows[postgres]" in str(caught.value)


def test_the_driver_is_not_loaded_before_a_store_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    original: Callable[..., Any] = builtins.__import__

    def noted(name: str, *rest: Any, **more: Any) -> Any:
        loaded.append(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", noted)
    Aether("postgresql://user:secret@localhost/database")
    assert "asyncpg" not in loaded


async def test_a_server_that_does_not_answer_is_unavailable_and_no_secret_is_told() -> None:
    store = PostgresStore(f"postgresql://user:s3cret@127.0.0.1:{free_port()}/database")
    with pytest.raises(StoreUnavailable) as caught:
        await store.open()
    assert "127.0.0.1" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert shown("postgresql://user:s3cret@host:99/db?sslkey=a") == "postgresql://host:99/db"


async def test_a_database_that_does_not_exist_is_a_problem_of_the_url(
    postgres_server: PostgresServer,
) -> None:
    with pytest.raises(Refused) as caught:
        await PostgresStore(postgres_server.dsn.replace("/postgres", "/nowhere")).open()
    assert caught.value.code == "store-refused"
    with pytest.raises(Refused) as caught:
        await PostgresStore("postgresql://host:many/database").open()
    assert caught.value.code == "bad-store-url"


def test_a_schema_name_that_would_need_quotes_is_refused() -> None:
    for name in ('a"b', "A", "", "1a", "a-b", "pg_aether", "x" * 49):
        with pytest.raises(Refused) as caught:
            PostgresStore("postgresql://localhost/x", schema=name)
        assert caught.value.code == "bad-schema-name"
    with pytest.raises(Refused) as caught:
        PostgresStore("postgresql://localhost/x", connections=2)
    assert caught.value.code == "too-few-connections"


async def test_a_commit_before_open_says_so() -> None:
    with pytest.raises(InvalidState) as caught:
        await PostgresStore("postgresql://localhost/x").commit([creating(a_run("run"))])
    assert caught.value.code == "not-open"


def test_every_statement_has_a_sentence() -> None:
    for file in ("opening", "commits", "reading", "definitions"):
        text = (sql.migrations().joinpath("..", "statements", f"{file}.sql")).read_text("utf-8")
        paragraphs = text.split("\n\n")
        assert paragraphs[0].startswith("-- ")
        assert len(sql.statements(file)) == len(paragraphs) - 1


@asynccontextmanager
async def connected(server: PostgresServer, schema: str) -> AsyncIterator[Connection]:
    connections = Connections(server.dsn, schema, 1, 30)
    try:
        async with connections.use() as connection:
            yield connection
    finally:
        await connections.close()


@pytest.mark.slow
def test_a_server_ends_with_the_process_that_started_it(postgres_server: PostgresServer) -> None:
    """Also when nothing is left that could stop it: the child dies by its own `kill -9`."""
    program = (
        "import os, signal\n"
        "from aether.testing.postgres import PostgresServer, binaries\n"
        "server = PostgresServer(binaries()).__enter__()\n"
        "print(server._data / 'postmaster.pid', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    pid_file = Path(ended.stdout.strip())
    assert pid_file.name == "postmaster.pid"
    deadline = time.monotonic() + 20
    while pid_file.exists():
        assert time.monotonic() < deadline, "the server is still there"


class Saying:
    """A connection to a server that is as a test wants it."""

    def __init__(self, server: dict[str, Any]) -> None:
        self._server = server

    async def fetchrow(self, statement: str, *values: Any) -> Any:
        return self._server

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was not expected")


def _migration(number: int, text: str) -> Migration:
    return Migration(number, "later", text, sha256(text.encode()).hexdigest())
