"""The growth path on real databases: a SQLite file into PostgreSQL, and back into another file."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from aether.adapters.store import PostgresStore, SqliteStore
from aether.app import Aether
from aether.engine import Copied, copy_store, verify_copy
from aether.ports import RunQuery, Store
from aether.record import RunRows
from aether.testing.postgres import PostgresServer, postgres_schema, postgres_server
from aether.testing.rows import a_cron, a_template

__all__ = ["postgres_schema", "postgres_server"]  # fixtures

DOCUMENT = """
apiVersion: aether/v1
kind: Workflow
metadata: {name: hello}
spec:
  entrypoint: main
  templates:
    - task:
        name: main
        executor: {type: echo}
        inputs: {parameters: [{name: text, value: "ä 🌍"}]}
"""


async def copy(source: Store, target: Store) -> Copied:
    copied = await copy_store(source, target)
    await verify_copy(source, target, copied)
    return copied


async def rows(store: Store) -> list[RunRows]:
    ids = [run.run_id for run in (await store.runs(RunQuery(limit=1000))).runs]
    found = [each for each in await store.load(ids) if each is not None]
    for each in found:
        each.run.token = each.run.owner = 0  # whoever works on a store, nobody does on its copy
    return found


async def test_sqlite_goes_to_postgres_and_back_unchanged(
    tmp_path: Path, postgres_server: PostgresServer, postgres_schema: str
) -> None:
    path = tmp_path / "first.db"
    async with Aether(store=SqliteStore(path, durability="normal")) as app:
        for number in range(80):
            await app.wait(await app.submit(DOCUMENT, run_id=f"run-{number}"))
    first = SqliteStore(path, durability="normal")
    middle = PostgresStore(postgres_server.dsn, schema=postgres_schema)
    last = SqliteStore(tmp_path / "last.db", durability="normal")
    stores = (first, middle, last)
    for store in stores:
        await store.open()
    try:
        await first.put_template(a_template("t", "1"))
        await first.put_cron(a_cron("c"), None)
        for source, target in pairwise(stores):
            copied = await copy(source, target)
            assert copied.faults == []
            assert (copied.copied, copied.verified, copied.crons) == (80, 80, 1)
        assert await rows(first) == await rows(middle) == await rows(last)
        assert await first.history("run-7") == await last.history("run-7")
        assert (await copy(first, middle)).skipped == 80
    finally:
        for store in stores:
            await store.close()
