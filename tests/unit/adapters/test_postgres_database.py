"""A PostgreSQL database as a whole: read beside engines, migrated, shown, and searched for damage."""

from __future__ import annotations

import asyncio
import json
import re

import asyncpg
import pytest

from aether.adapters.store import PostgresStore
from aether.adapters.store.postgres import database
from aether.cli import exits
from aether.cli.main import run_cli
from aether.errors import Refused
from aether.ports import RunQuery
from aether.record import NamedValue, Phase, encode_values
from aether.testing.postgres import (
    PostgresServer,
    own_postgres_server,
    postgres_schema,
    postgres_server,
)
from aether.testing.rows import a_cron, a_run, a_task, changing, committed, creating

__all__ = ["own_postgres_server", "postgres_schema", "postgres_server"]  # fixtures


def large(number: int) -> bytes:
    return encode_values([NamedValue("n", "", f"{number} {'some text ' * 900}")])


async def filled(dsn: str, schema: str, runs: int = 20) -> PostgresStore:
    store = PostgresStore(dsn, schema=schema)
    await store.open()
    for number in range(runs):
        run = a_run(f"r{number}", total=1, labels={"n": str(number)})
        await committed(store, creating(run, tasks=[a_task(0, inputs=large(number))]))
    return store


async def told(dsn: str, schema: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": schema})
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


# Reading only


async def test_a_reader_sees_what_a_working_store_commits_and_changes_nothing(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    store = await filled(postgres_server.dsn, postgres_schema)
    reader = PostgresStore(postgres_server.dsn, schema=postgres_schema, read_only=True)
    await reader.open()
    await committed(store, creating(a_run("new")))
    assert (await reader.run("new")) == (await store.run("new"))
    assert len((await reader.runs(RunQuery(labels={"n": "7"}))).runs) == 1
    row = await reader.run("new")
    assert row is not None
    for change in (
        reader.commit([creating(a_run("other"))]),
        reader.commit([changing("new", row.token)]),
        reader.delete("new"),
        reader.put_cron(a_cron("c"), None),
    ):
        with pytest.raises(Refused) as caught:
            await change
        assert caught.value.code == "store-read-only"
    assert await store.run("new") == row
    assert await store.run("other") is None
    await reader.close()
    await store.close()


async def test_a_reader_makes_no_store_and_migrates_none(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    reader = PostgresStore(postgres_server.dsn, schema=postgres_schema, read_only=True)
    with pytest.raises(Refused) as caught:
        await reader.open()
    assert caught.value.code == "store-missing"
    await (await filled(postgres_server.dsn, postgres_schema, 1)).close()
    last = f"(SELECT max(number) FROM {postgres_schema}.migration)"
    delete = f"DELETE FROM {postgres_schema}.migration WHERE number = {last}"
    known = (await database.status(postgres_server.dsn, postgres_schema)).known
    await told(postgres_server.dsn, postgres_schema, delete)
    with pytest.raises(Refused) as caught:
        await reader.open()
    assert caught.value.code == ("store-older" if known > 1 else "store-missing")


async def test_a_server_that_may_lose_commits_may_be_read(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    await (await filled(postgres_server.dsn, postgres_schema, 1)).close()
    dsn = postgres_server.dsn + "?synchronous_commit=off"
    with pytest.raises(Refused) as caught:
        await PostgresStore(dsn, schema=postgres_schema).open()
    assert caught.value.code == "store-not-durable"
    reader = PostgresStore(dsn, schema=postgres_schema, read_only=True)
    await reader.open()
    assert await reader.run("r0") is not None
    await reader.close()


# aether db, and looking at runs


def db(verb: str, server: PostgresServer, *more: str) -> int:
    return run_cli(["db", verb, "--db", server.dsn, *more])


def test_a_database_is_made_shown_and_found_whole(
    own_postgres_server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server = own_postgres_server
    assert db("status", server) == exits.INVALID
    assert "does not exist yet" in capsys.readouterr().out
    assert db("check", server) == exits.INVALID
    assert "error[store-missing]" in capsys.readouterr().err
    assert db("migrate", server) == exits.OK
    assert "applied" in capsys.readouterr().out
    assert db("migrate", server) == exits.OK
    assert "up to date" in capsys.readouterr().out
    assert db("status", server) == exits.OK
    assert re.search(
        r"bytes, PostgreSQL \d+\.\d+\n  schema    (\d+) of \1\n", capsys.readouterr().out
    )
    assert db("check", server) == exits.OK
    assert "no damage found" in capsys.readouterr().out
    answers = []
    for verb in ("migrate", "status", "check"):
        assert db(verb, server, "--json") == exits.OK
        answers.append(json.loads(capsys.readouterr().out))
    assert [answer["url"] for answer in answers] == [server.dsn.replace("aether@", "")] * 3
    assert (answers[0]["applied"], answers[1]["exists"], answers[2]["problems"]) == (0, True, [])


async def test_runs_are_looked_at_beside_a_store_that_works(
    own_postgres_server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    dsn = own_postgres_server.dsn
    store = await filled(dsn, "aether", 3)
    run = a_run("over", phase=Phase.SUCCEEDED, created_at=5, finished_at=6)
    await committed(store, creating(run))
    for arguments in (
        ["list"],
        ["status", "over"],
        ["show", "ov"],
        ["db", "status"],
        ["db", "check"],
    ):
        code = await asyncio.to_thread(run_cli, [*arguments, "--db", dsn])
        out, err = capsys.readouterr()
        assert (code, err) == (exits.OK, ""), (arguments, out)
    assert "no damage found" in out
    await store.close()


async def test_a_newer_version_is_refused_by_all_who_look(
    own_postgres_server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    dsn = own_postgres_server.dsn
    await (await filled(dsn, "aether", 1)).close()
    await told(dsn, "aether", "INSERT INTO migration VALUES (999, 'of-tomorrow', 'x')")
    for arguments in (["list"], ["db", "status"], ["db", "check"], ["db", "migrate"]):
        code = await asyncio.to_thread(run_cli, [*arguments, "--db", dsn])
        assert code != exits.OK
        assert "error[store-newer]" in capsys.readouterr().err


# Damage


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("DELETE FROM run WHERE run_id = 'r3'", "1 task rows belong to no run"),
        ("DELETE FROM document", "20 runs name a document that is not there"),
        ("INSERT INTO payload_use SELECT number, 0 FROM run", "20 large values are used that are not"),
        ("UPDATE run SET open = false WHERE run_id = 'r3'", "1 runs are marked open although"),
        ("UPDATE run SET body = '\\x00' WHERE run_id = 'r3'", "cannot be read (run_id r3)"),
        ("UPDATE task SET body = '\\xc1' WHERE ordinal = 0", "and perhaps more"),
        ("INSERT INTO log SELECT number, 1, 1, ''::bytea FROM run UNION ALL SELECT number, 1, 1, ''::bytea FROM run",
         "20 numbers of log entries come twice"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_together_is_told(
    damage: str, found: str, postgres_server: PostgresServer, postgres_schema: str
) -> None:
    await (await filled(postgres_server.dsn, postgres_schema)).close()
    assert await database.check(postgres_server.dsn, postgres_schema) == []
    await told(postgres_server.dsn, postgres_schema, damage)
    assert found in "\n".join(await database.check(postgres_server.dsn, postgres_schema))


async def test_a_damaged_page_of_the_server_is_told(own_postgres_server: PostgresServer) -> None:
    server = own_postgres_server
    await (await filled(server.dsn, "aether", 200)).close()
    connection = await asyncpg.connect(server.dsn)
    place = await connection.fetchval("SELECT pg_relation_filepath('aether.task')")
    await connection.execute("CHECKPOINT")
    await connection.close()
    server.stop()
    path = server.data / place
    content = bytearray(path.read_bytes())
    content[8192 + 100 : 8192 + 4000] = bytes(3900)
    path.write_bytes(content)
    server.start()
    told = "\n".join(await database.check(server.dsn))
    assert "invalid page" in told or "cannot be read" in told
