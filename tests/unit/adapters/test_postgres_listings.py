"""Every listing of a PostgreSQL store goes along an index, which also gives the order."""

from __future__ import annotations

import asyncpg
import pytest

from aether.adapters.listings import branches, few, within
from aether.adapters.store import PostgresStore
from aether.adapters.store.postgres.connections import _SETTINGS
from aether.adapters.store.postgres.reading import _spelled
from aether.adapters.store.postgres.sql import statements
from aether.ports import RunQuery
from aether.record import Phase
from aether.testing.postgres import PostgresServer, postgres_schema, postgres_server
from aether.testing.rows import START, a_run, creating

__all__ = ["postgres_schema", "postgres_server"]  # fixtures


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (RunQuery(), "run_by_creation"),
        (RunQuery(created_from=1, finished_to=9, newest_first=False), "run_by_creation"),
        (RunQuery(phases=(Phase.SUCCEEDED,), text="x"), "run_by_creation"),
        (RunQuery(phases=(Phase.READY, Phase.RUNNING)), "run_open"),
        (RunQuery(phases=(Phase.FAILED, Phase.ERROR), name="flow"), "run_unsuccessful"),
        (RunQuery(id_prefix="0190-000"), "run_by_id"),
        (RunQuery(labels={"team": "etl"}, created_from=1), "run_label_pkey"),
        (RunQuery(cron_id="cron", name="flow"), "run_by_cron"),
        (RunQuery(name="flow", namespace="default"), "run_by_name"),
    ],
)
async def test_a_page_of_runs_is_found_by_an_index(
    query: RunQuery, index: str, postgres_server: PostgresServer, postgres_schema: str
) -> None:
    store = PostgresStore(postgres_server.dsn, schema=postgres_schema)
    await store.open()
    await store.commit(
        [
            creating(
                a_run(
                    f"0190-{number:04}",
                    name=f"n{number % 7}",
                    cron_id="" if number % 50 else "cron",
                    labels={"team": f"t{number % 3}"},
                    phase=Phase.RUNNING if number > 490 else Phase.SUCCEEDED,
                    created_at=START + number,
                )
            )
            for number in range(500)
        ]
    )
    await store.close()
    connection = await asyncpg.connect(
        postgres_server.dsn, server_settings=_SETTINGS | {"search_path": postgres_schema}
    )
    try:
        await connection.execute("ANALYZE")
        small = few(query)
        for branch in [small] if small else branches(query):
            name = "few_runs" if small else "labelled_runs" if "label" in index else "runs"
            branch = within(branch, query, (START + 400, "behind"))
            order = "DESC" if query.newest_first else "ASC"
            text = statements("reading")[name].format(conditions=_spelled(branch), order=order)
            rows = await connection.fetch(f"EXPLAIN {text}", 21, *branch.values)
            plan = "\n".join(row[0] for row in rows)
            assert index in plan, plan
            assert "Seq Scan" not in plan, plan
            if name == "runs":
                assert "Sort" not in plan, "the index gives the order too"
    finally:
        await connection.close()


async def test_no_index_speaks_of_what_ordinary_decisions_change(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    """A row that is rewritten then leaves the indexes as they are."""
    store = PostgresStore(postgres_server.dsn, schema=postgres_schema)
    await store.open()
    await store.close()
    connection = await asyncpg.connect(postgres_server.dsn)
    try:
        indexed = await connection.fetch(
            "SELECT DISTINCT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid"
            " WHERE indrelid = ($1 || '.run')::regclass AND attnum > 0"
            " AND (attnum = ANY (indkey) OR pg_get_expr(indpred, indrelid) ~ ('\\m' || attname || '\\M'))",
            postgres_schema,
        )
    finally:
        await connection.close()
    names = {row["attname"] for row in indexed}
    assert {"run_id", "failed", "open"} <= names
    assert not names & {"phase", "due_at", "token", "body", "changes"}
