"""What a PostgreSQL store does when connection, server or neighbours misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from aether.adapters.store.postgres import PostgresStore
from aether.adapters.store.postgres.connections import Connection, Connections
from aether.app import Aether
from aether.errors import CommitUnknown, Refused, StoreUnavailable
from aether.ports import Commit, Committed, Conflict, Outcome, Refusal, Request, Schema
from aether.record import Phase, RunPatch, TaskPatch
from aether.testing.postgres import (
    PostgresServer,
    own_postgres_server,
    postgres_schema,
    postgres_server,
)
from aether.testing.rows import (
    DIGEST,
    TEXT,
    a_cron,
    a_hook,
    a_run,
    a_task,
    changing,
    commit_one,
    committed,
    creating,
    loaded,
)

__all__ = ["own_postgres_server", "postgres_schema", "postgres_server"]  # fixtures


@asynccontextmanager
async def opened(dsn: str, schema: str, **options: Any) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(dsn, schema=schema, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def beside(server: PostgresServer, schema: str) -> AsyncIterator[Connection]:
    """A connection of somebody else."""
    connections = Connections(server.dsn, schema, 1, 30)
    try:
        async with connections.use() as connection:
            yield connection
    finally:
        await connections.close()


class Wire:
    """Stands between a store and its server, and can be cut around the next commit."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.cut = ""  # "before" the server hears of what comes next, or "after" it has answered

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self.hang_up()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()

    async def _connected(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [to_client, to_server]
        for pair in ((client, to_server, "before"), (server, to_client, "after")):
            task = asyncio.ensure_future(self._carry(*pair))
            self._tasks.add(task)

    async def _carry(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, cut: str
    ) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                if self.cut == cut:
                    self.hang_up()
                    return
                target.write(data)
                await target.drain()
        target.close()


def through(wire: Wire, server: PostgresServer) -> str:
    return server.dsn.replace(f":{server.port}", f":{wire.port}")


async def test_a_connection_lost_before_the_server_heard_leaves_the_outcome_unknown(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    async with (
        Wire(postgres_server.port) as wire,
        opened(through(wire, postgres_server), postgres_schema) as store,
    ):
        token = await committed(store, creating(a_run("run"), tasks=[a_task(0)]))
        wire.cut = "before"
        commit = changing("run", token, RunPatch(seq=1), [TaskPatch(0, phase=Phase.READY)])
        with pytest.raises(CommitUnknown):
            await store.commit([commit])
        wire.cut = ""
        assert (await loaded(store, "run")).tasks == {0: a_task(0)}
        await committed(store, commit)
        assert (await loaded(store, "run")).tasks == {0: a_task(0, phase=Phase.READY)}


async def test_a_connection_lost_before_the_answer_leaves_the_outcome_unknown_though_it_is_written(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    async with (
        Wire(postgres_server.port) as wire,
        opened(through(wire, postgres_server), postgres_schema) as store,
    ):
        token = await committed(store, creating(a_run("run"), tasks=[a_task(0)]))
        wire.cut = "after"
        commit = changing("run", token, RunPatch(seq=1), [TaskPatch(0, phase=Phase.READY)])
        with pytest.raises(CommitUnknown):
            await store.commit([commit])
        wire.cut = ""
        rows = await loaded(store, "run")
        assert (rows.run.seq, rows.tasks[0].phase) == (1, Phase.READY)
        assert isinstance(await commit_one(store, commit), Conflict)
        await committed(
            store, changing("run", rows.run.token, tasks=[TaskPatch(0, message="goes on")])
        )
        assert (await loaded(store, "run")).tasks[0].message == "goes on"


async def test_a_server_process_killed_inside_a_transaction_takes_it_back(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    async with (
        opened(postgres_server.dsn, postgres_schema) as store,
        beside(postgres_server, postgres_schema) as other,
    ):
        await other.execute(
            "BEGIN; SELECT pg_advisory_xact_lock(document_lock($$\\x0101010101010101$$))"
        )
        batch = [creating(a_run("a"), tasks=[a_task(0)]), creating(a_run("b"))]
        writing = asyncio.ensure_future(store.commit(batch))
        waiting = (
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND pid <> pg_backend_pid()"
        )
        while (pid := await other.fetchval(waiting)) is None:
            assert not writing.done()
        await other.fetchval("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(CommitUnknown):
            await writing
        await other.execute("ROLLBACK")
        assert list(await store.load(["a", "b"])) == [None, None]
        assert await store.document(DIGEST) is None
        assert all(isinstance(each, Committed) for each in await store.commit(batch))


async def test_a_run_that_somebody_else_holds_is_a_conflict_and_nobody_waits(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    async with (
        opened(postgres_server.dsn, postgres_schema) as store,
        beside(postgres_server, postgres_schema) as other,
    ):
        held = await committed(store, creating(a_run("held")))
        free = await committed(store, creating(a_run("free")))
        await other.execute("BEGIN; SELECT 1 FROM run WHERE run_id = 'held' FOR UPDATE")
        first, second = await store.commit([changing("held", held), changing("free", free)])
        assert isinstance(first, Conflict)
        assert isinstance(second, Committed)
        await other.execute("ROLLBACK")
        assert isinstance(await commit_one(store, changing("held", held)), Committed)


async def test_of_racing_commits_of_two_stores_one_wins_each_time(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    async with (
        opened(postgres_server.dsn, postgres_schema) as one,
        opened(postgres_server.dsn, postgres_schema) as other,
    ):
        ids = [f"run-{number}" for number in range(6)]
        born = await asyncio.gather(
            *(
                s.commit([creating(a_run(i), tasks=[a_task(0)]) for i in o])
                for s, o in ((one, ids), (other, ids[::-1]))
            )
        )
        assert sum(isinstance(each, Committed) for answers in born for each in answers) == len(ids)
        for turn in range(1, 15):
            rows = await one.load(ids)
            batch = [
                changing(
                    row.run.run_id,
                    row.run.token,
                    RunPatch(seq=turn),
                    [TaskPatch(0, delivery=turn), a_task(turn)],
                )
                for row in rows
                if row is not None
            ]
            answers = await asyncio.gather(one.commit(batch), other.commit(batch[::-1]))
            for mine, theirs in zip(answers[0], reversed(answers[1]), strict=True):
                assert isinstance(mine, Committed) != isinstance(theirs, Committed)
        for rows_now in await other.load(ids):
            assert rows_now is not None
            assert rows_now.run.seq == 14
            assert rows_now.tasks[0] == a_task(0, delivery=14)
            assert list(rows_now.tasks) == list(range(15))


async def test_a_store_sees_what_another_one_changed_under_its_memory(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    async with (
        opened(postgres_server.dsn, postgres_schema) as one,
        opened(postgres_server.dsn, postgres_schema) as other,
    ):
        token = await committed(one, creating(a_run("run"), tasks=[a_task(0)], hooks=[a_hook(0)]))
        theirs = changing(
            "run", token, RunPatch(message="theirs"), [TaskPatch(0, message="theirs")]
        )
        token = await committed(other, theirs)
        mine = changing("run", token, RunPatch(total=1), [TaskPatch(0, worker="mine")])
        token = await committed(one, mine)
        rows = await loaded(other, "run")
        assert (rows.run.message, rows.run.total) == ("theirs", 1)
        assert rows.tasks == {0: a_task(0, message="theirs", worker="mine")}
        assert await other.delete("run")
        assert isinstance(await commit_one(one, changing("run", token)), Conflict)


async def test_a_document_that_another_store_deleted_is_written_again(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    async with (
        opened(postgres_server.dsn, postgres_schema) as one,
        opened(postgres_server.dsn, postgres_schema) as other,
    ):
        await committed(one, creating(a_run("first")))
        assert await other.delete("first")
        await committed(one, creating(a_run("second")))
        assert await other.document(DIGEST) == TEXT


async def test_a_document_never_goes_while_runs_that_name_it_come(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    async with (
        opened(postgres_server.dsn, postgres_schema) as one,
        opened(postgres_server.dsn, postgres_schema) as other,
    ):
        for turn in range(25):
            old, new = f"old-{turn}", f"new-{turn}"
            await committed(one, creating(a_run(old)))
            await asyncio.gather(one.delete(old), committed(other, creating(a_run(new))))
            assert await one.document(DIGEST) == TEXT
            assert await one.delete(new)
            assert await one.document(DIGEST) is None


async def test_a_value_that_no_server_keeps_is_refused_and_stops_no_other(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    async with opened(postgres_server.dsn, postgres_schema) as store:
        batch: list[Commit] = [
            creating(a_run("a")),
            creating(a_run("b", name="zero\0byte")),
            creating(a_run("long", name="x" * 10), tasks=[a_task(1 << 40)]),
            creating(a_run("lone \ud800 half")),
            creating(a_run("c")),
        ]
        kinds = [type(outcome) for outcome in await store.commit(batch)]
        assert kinds == [Committed, Refusal, Refusal, Refusal, Committed]
        with pytest.raises(Refused) as caught:
            await store.put_cron(a_cron("zero\0byte"), None)
        assert caught.value.code == "bad-value"
        with pytest.raises(Refused):
            await store.run("zero\0byte")


async def test_a_server_that_is_gone_is_unavailable_and_welcome_when_it_is_back(
    own_postgres_server: PostgresServer,
) -> None:
    async with opened(own_postgres_server.dsn, "aether") as store:
        token = await committed(store, creating(a_run("run")))
        await store.run("run")
        await asyncio.to_thread(own_postgres_server.stop)
        with pytest.raises((StoreUnavailable, CommitUnknown)):  # the news may still be on its way
            await store.commit([changing("run", token, RunPatch(seq=1))])
        with pytest.raises(StoreUnavailable):
            await store.commit([changing("run", token, RunPatch(seq=1))])
        with pytest.raises(StoreUnavailable):
            await store.run("run")
        with pytest.raises(StoreUnavailable):
            await store.crons()
        await asyncio.to_thread(own_postgres_server.start)
        await committed(store, changing("run", token, RunPatch(seq=1)))
        row = await store.run("run")
        assert row is not None
        assert row.seq == 1


async def test_runs_asked_for_at_once_come_in_one_statement_and_to_each_what_it_asked(
    postgres_server: PostgresServer, postgres_schema: str
) -> None:
    async with opened(postgres_server.dsn, postgres_schema) as store:
        for run_id in "abc":
            await committed(store, creating(a_run(run_id), tasks=[a_task(0)]))
        asked: list[Sequence[str]] = []
        read = store._loading._read

        async def noted(run_ids: Sequence[str]) -> dict[str, list[Any]]:
            asked.append(run_ids)
            return await read(run_ids)

        store._loading._read = noted
        answers = await asyncio.gather(
            store.load(["a"]), store.load(["b", "nobody"]), store.load(["a", "c"])
        )
        assert asked == [["a", "b", "nobody", "c"]]
        ids = [[rows and rows.run.run_id for rows in each] for each in answers]
        assert ids == [["a"], ["b", None], ["a", "c"]]
        one, other = answers[0][0], answers[2][0]
        assert one is not None
        assert one == other
        one.tasks[0].message = "changed"
        assert one != other
        bad, good = await asyncio.gather(
            store.load(["zero\0byte"]), store.load(["a"]), return_exceptions=True
        )
        assert isinstance(bad, Refused)
        assert isinstance(good, list)
        given_up = asyncio.ensure_future(store.load(["b"]))
        await asyncio.sleep(0)
        given_up.cancel()
        assert (await store.load(["c"]))[0] is not None


class Counting:
    """Counts, and tells the test when it is time."""

    schema = Schema(type="count")

    def __init__(self) -> None:
        self.calls = 0
        self.reached: dict[int, asyncio.Event] = {}

    async def execute(self, request: Request) -> Outcome:
        self.calls += 1
        if event := self.reached.get(self.calls):
            event.set()
        return Outcome()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_runs_end_although_the_server_is_started_anew_under_load(
    own_postgres_server: PostgresServer, mode: str
) -> None:
    tasks = [
        {"name": f"t{i}", "executor": {"type": "count"}}
        | ({"dependencies": [f"t{i - 1}"]} if i else {})
        for i in range(5)
    ]
    document = {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "steady"},
        "spec": {"entrypoint": "main", "templates": [{"dag": {"name": "main", "tasks": tasks}}]},
    }
    counting = Counting()
    marks = [counting.reached.setdefault(n, asyncio.Event()) for n in (60, 260)]
    app = Aether(own_postgres_server.dsn)
    app.register(counting)
    async with app:
        ids = [await app.submit(document) for _ in range(80)]
        for mark in marks:
            await mark.wait()
            await asyncio.to_thread(own_postgres_server.restart, mode)
        for run_id in ids:
            execution = await app.wait(run_id, timedelta(seconds=60))
            assert execution.status is Phase.SUCCEEDED
            assert len(execution.tasks) == 6
            history = await app.history(run_id)
            assert [entry.seq for entry in history] == list(range(1, len(history) + 1))
    assert counting.calls >= 400
