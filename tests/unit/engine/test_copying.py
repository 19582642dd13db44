"""One store brought into another: whole, again, after a stop, and where something stands in the way."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from aether.adapters.store import MemoryStore
from aether.engine import Copied, copy_store, verify_copy, verify_run
from aether.engine.transfer import is_half
from aether.ports import RunQuery, Schema
from aether.record import Phase, SchemaRow
from aether.testing.rows import a_cron, a_run, a_task, a_template, committed, creating
from unit.engine.engine_world import World, two_tasks

RUNS = 70  # more than are written side by side


async def a_store(history=True):
    store = MemoryStore(history=history)
    await store.open()
    return store


async def a_source(world):
    """Finished and unfinished runs of an engine, and one definition of each kind."""
    for number in range(RUNS):
        await world.submit(two_tasks(), run_id=f"run-{number:03}")
        if number % 3:
            await world.complete("first", answer=number)
        if number % 3 == 2:
            await world.complete("second")
    store = world.store
    await store.put_template(a_template("t", "1"))
    await store.put_template(a_template("t", "2"))
    await store.put_cron(a_cron("nightly"), None)
    schema = msgspec.json.encode(Schema(type="work"))
    await store.put_schema(SchemaRow(worker_id="w", type="work", schema=schema))
    return store


async def copy(source, target) -> Copied:
    copied = await copy_store(source, target)
    await verify_copy(source, target, copied)
    return copied


async def content(store):
    """All that a store holds, tokens and owners aside."""
    runs = (await store.runs(RunQuery(limit=1000))).runs
    rows = await store.load([run.run_id for run in runs])
    for each in rows:
        each.run.token = each.run.owner = 0
    return (
        rows,
        [await store.history(run.run_id) for run in runs],
        {run.document: await store.document(run.document) for run in runs},
        list(await store.templates()),
        [replace(cron, token=0) for cron in await store.crons()],
        list(await store.schemas()),
    )


async def test_everything_is_copied_and_verified() -> None:
    async with World() as world:
        source, target = await a_source(world), await a_store()
        copied = await copy(source, target)
        assert copied == Copied(
            runs=RUNS, copied=RUNS, verified=RUNS, templates=2, crons=1, schemas=1
        )
        assert await content(source) == await content(target)
        assert (await target.template("t")).version == "2"


async def test_an_engine_goes_on_with_what_was_copied() -> None:
    async with World() as world:
        source = await a_source(world)
    target = await a_store()
    await copy(source, target)
    async with World(store=target) as other:
        assert len(await target.unfinished(limit=1000)) > 0
        assignment = next(
            a for a in other.broker.assignments if a.task_run_id.startswith("run-000")
        )
        other.broker.complete(assignment)
        await other.settle()
        await other.complete("second")
        assert await other.status("run-000") == "Succeeded"
        assert (await verify_run(target, "run-000")).holds


async def test_second_copy_skips_what_is_there_and_brings_what_is_new() -> None:
    async with World() as world:
        source, target = await a_source(world), await a_store()
        await copy(source, target)
        await world.submit(two_tasks(), run_id="new")
        await world.complete("first")
        copied = await copy(source, target)
        assert (copied.copied, copied.skipped, copied.faults) == (1, RUNS, [])


async def test_run_that_went_on_since_is_copied_anew() -> None:
    async with World() as world:
        await world.submit(two_tasks(), run_id="r")
        target = await a_store()
        await copy(world.store, target)
        await world.complete("first")
        copied = Copied()
        await verify_copy(world.store, target, copied)
        assert copied.faults == [
            "run r: it has gone on in the source since it was copied; copy again"
        ]
        assert (await copy(world.store, target)).faults == []
        assert await content(world.store) == await content(target)


async def test_stopped_copy_goes_on_where_it_was() -> None:
    async with World() as world:
        source, target = await a_source(world), await a_store()
        commit, calls = target.commit, []

        async def breaks(batch):
            calls.append(batch)
            if len(calls) == 3:
                raise ConnectionError
            return await commit(batch)

        target.commit = breaks
        with pytest.raises(ConnectionError):
            await copy_store(source, target)
        half = [run for run in (await target.runs(RunQuery(limit=100))).runs if is_half(run)]
        assert half
        unfinished = {due.run_id for due in await target.unfinished()}
        assert unfinished.isdisjoint(run.run_id for run in half), "nobody goes on with half a run"
        target.commit = commit
        copied = await copy(source, target)
        assert copied.faults == []
        assert copied.copied + copied.skipped == RUNS
        assert await content(source) == await content(target)


async def test_another_run_of_the_same_id_is_left_alone_and_told() -> None:
    async with World() as world:
        await world.submit(two_tasks(), run_id="r")
        target = await a_store()
        other = a_run("r", name="other", seq=9, head=b"another head")
        await committed(target, creating(other))
        copied = await copy(world.store, target)
        assert copied.faults[0] == "run r: the target holds another run of that id"
        assert copied.verified == 0
        assert (await target.run("r")).name == "other"


async def test_earlier_step_of_another_run_is_not_taken_for_this_one() -> None:
    async with World() as world:
        await world.submit(two_tasks(), run_id="r")
        await world.complete("first")
        run = await world.store.run("r")
        target = await a_store()
        other = a_run("r", seq=1, head=b"another head", created_at=run.created_at)
        await committed(target, creating(other))
        assert "another run" in (await copy(world.store, target)).faults[0]


async def test_stores_without_a_log_are_copied_by_their_rows() -> None:
    source, target = await a_store(history=False), await a_store()
    run = a_run("r", phase=Phase.SUCCEEDED, seq=5, total=1, done=1)
    await committed(source, creating(run, tasks=[a_task(0, phase=Phase.SUCCEEDED)]))
    copied = await copy(source, target)
    assert (copied.verified, copied.faults) == (1, [])
    assert (await content(source))[0] == (await content(target))[0]


async def test_what_differs_in_the_target_is_told() -> None:
    source, target = await a_store(history=False), await a_store(history=False)
    await committed(source, creating(a_run("r", seq=1)))
    await committed(source, creating(a_run("s", seq=1)))
    await committed(target, creating(a_run("r", seq=1, message="edited")))
    await source.put_template(a_template("t", "1"))
    await source.put_cron(a_cron("c"), None)
    await source.put_schema(SchemaRow(worker_id="w", type="work", schema=b"{}"))
    copied = Copied()
    await verify_copy(source, target, copied)
    assert copied.faults == [
        "run r: its rows in the target differ from those in the source",
        "run s: it is not in the target",
        "template t 1 differs in the target",
        "cron c differs in the target",
        "schema work of 'w' differs in the target",
    ]


async def test_changed_cron_is_brought_up_to_date_and_other_templates_stay() -> None:
    source, target = await a_store(), await a_store()
    await source.put_cron(a_cron("c", suspended=True), None)
    await target.put_cron(a_cron("c"), None)
    await source.put_template(a_template("t", "1"))
    await target.put_template(replace(a_template("t", "1"), document=b"{}"))
    copied = await copy(source, target)
    assert (await target.cron("c")).suspended
    assert copied.faults == ["template t 1 differs in the target"]
    assert (await target.template("t", "1")).document == b"{}"


async def test_broken_log_is_copied_as_it_is_and_told() -> None:
    async with World() as world:
        await world.submit(two_tasks(), run_id="r")
        await world.complete("first")
        await world.complete("second")
        target, history = await a_store(), world.store.history

        async def gap(run_id, after_seq=0, limit=1000):
            return [entry for entry in await history(run_id, after_seq, limit) if entry.seq != 2]

        world.store.history = gap
        copied = await copy(world.store, target)
        assert len(copied.faults) == 1
        assert "a gap, 2 missing" in copied.faults[0]
