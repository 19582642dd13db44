"""How long runs are kept: by phase and age, a few at a time, by the clock alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aether.adapters.store import MemoryStore
from aether.engine import Retention, expired
from aether.errors import Refused, StoreUnavailable
from aether.ports import Outcome, RunQuery
from aether.record import Phase, encode_json
from aether.testing.rows import START, a_cron, a_run, a_task, committed, creating
from unit.engine.engine_world import World, one_task

DAY = timedelta(days=1)
_DAY = 86_400_000_000


async def ended(store, run_id, days_ago, phase=Phase.SUCCEEDED, began=None, **members):
    """A run that ended so many days before the clock's first instant."""
    finished = START - int(days_ago * _DAY)
    created = finished if began is None else START - int(began * _DAY)
    run = a_run(run_id, created_at=created, finished_at=finished, phase=phase, seq=1, **members)
    await committed(store, creating(run))


async def ids(store):
    return [run.run_id for run in (await store.runs(RunQuery(newest_first=False, limit=1000))).runs]


async def found(store, ages):
    return [run.run_id async for run in expired(store, ages, START)]


@pytest.fixture
async def store():
    store = MemoryStore(history=True)
    await store.open()
    return store


async def test_only_runs_older_than_the_age_of_their_phase_are_expired(store) -> None:
    await ended(store, "old", 8)
    await ended(store, "new", 6)
    await ended(store, "old failure", 8, Phase.FAILED)
    await ended(store, "older failure", 40, Phase.ERROR)
    await ended(store, "cancelled", 400, Phase.CANCELLED)
    ages = Retention(succeeded=7 * DAY, failed=30 * DAY).ages()
    assert await found(store, ages) == ["older failure", "old"]


async def test_expired_runs_come_oldest_first_over_many_pages(store) -> None:
    for number in range(250):
        await ended(store, f"run-{number:03}", 300 - number)
    assert await found(store, {Phase.SUCCEEDED: 100 * DAY}) == [
        f"run-{number:03}" for number in range(201)
    ]


async def test_age_counts_from_the_end_and_not_from_the_beginning(store) -> None:
    await ended(store, "long", 1, began=90)
    await ended(store, "short", 80)
    assert await found(store, {Phase.SUCCEEDED: 7 * DAY}) == ["short"]


async def test_run_that_is_not_over_is_never_expired(store) -> None:
    await committed(store, creating(a_run("r", created_at=1, phase=Phase.RUNNING)))
    every = Retention(succeeded=DAY * 0, failed=DAY * 0, cancelled=DAY * 0).ages()
    assert await found(store, every) == []


async def test_runs_of_a_cron_are_left_to_its_own_limits_while_it_exists(store) -> None:
    await store.put_cron(a_cron("nightly"), None)
    await ended(store, "of the cron", 90, cron_id="nightly")
    await ended(store, "of a deleted cron", 90, cron_id="gone")
    assert await found(store, {Phase.SUCCEEDED: DAY}) == ["of a deleted cron"]


async def test_runs_may_be_deleted_while_they_are_listed(store) -> None:
    for number in range(250):
        await ended(store, f"run-{number:03}", 300 - number)
    async for run in expired(store, {Phase.SUCCEEDED: DAY}, START):
        await store.delete(run.run_id)
    assert await ids(store) == []


@pytest.mark.parametrize("bad", [{"succeeded": -DAY}, {"every": timedelta(0)}])
def test_retention_that_makes_no_sense_is_refused(bad) -> None:
    with pytest.raises(Refused, match="bad-retention"):
        Retention(**bad).ages()


# In an engine


async def test_engine_deletes_what_has_become_old_enough() -> None:
    async with World(retention=Retention(succeeded=DAY)) as world:
        run_id = await world.submit(one_task())
        await world.complete("only")
        failed = await world.submit(one_task())
        await world.complete("only", Outcome.failed("no luck"))
        await world.clock.advance(DAY - timedelta(hours=1))
        assert await ids(world.store) == [run_id, failed]
        await world.clock.advance(timedelta(hours=2))
        assert await ids(world.store) == [failed], "failed runs are kept for ever here"


async def test_first_look_comes_soon_after_the_start() -> None:
    world = World(retention=Retention(succeeded=DAY, every=timedelta(hours=6)))
    await ended(world.store, "old", 3)
    async with world:
        await world.advance(59)
        assert await ids(world.store) == ["old"]
        await world.advance(2)
        assert await ids(world.store) == []


async def test_deletes_pause_so_that_they_never_stand_in_the_way() -> None:
    world = World(retention=Retention(succeeded=DAY))
    for number in range(50):
        await ended(world.store, f"run-{number}", 90 - number)
    async with world:
        await world.clock.advance(timedelta(seconds=60))
        await world.clock.settle()
        await world.clock.settle()
        assert len(await ids(world.store)) == 30, "after twenty deletes others have their turn"
        await world.advance(1)
        await world.clock.settle()
        assert await ids(world.store) == []


class Shelf:
    """An artifact repository that remembers what it was told to delete."""

    type = "shelf"

    def __init__(self, mishap=None):
        self.deleted = []
        self.mishap = mishap

    def check(self, config):
        return []

    async def delete(self, config):
        self.deleted.append(config)
        if self.mishap is not None:
            raise self.mishap


@pytest.mark.parametrize("mishap", [None, OSError("no such shelf")])
async def test_artifacts_go_with_the_run(mishap) -> None:
    shelf = Shelf(mishap)
    world = World(retention=Retention(succeeded=DAY), artifact_repositories=[shelf])
    artifacts = encode_json({"report": {"type": "shelf", "config": {"path": "there"}}})
    run = a_run("r", created_at=1, finished_at=2, phase=Phase.SUCCEEDED, seq=1, total=1, done=1)
    task = a_task(0, phase=Phase.SUCCEEDED, artifacts_out=artifacts)
    await committed(world.store, creating(run, tasks=[task]))
    async with world:
        await world.advance(61)
        assert await ids(world.store) == []
        assert shelf.deleted == [{"path": "there"}]
        assert [fault.run_id for fault in world.errors.faults] == (["r"] if mishap else [])


async def test_store_that_fails_is_told_and_looked_at_again() -> None:
    world = World(retention=Retention(succeeded=DAY))
    await ended(world.store, "old", 3)
    runs, mishaps = world.store.runs, [StoreUnavailable("gone for a moment")]

    async def sometimes(query):
        if mishaps:
            raise mishaps.pop()
        return await runs(query)

    async with world:
        world.store.runs = sometimes
        await world.advance(61)
        assert await ids(world.store) == ["old"]
        assert [fault.operation for fault in world.errors.faults] == ["delete old runs"]
        await world.advance(601)
        assert await ids(world.store) == []


async def test_nothing_is_deleted_after_a_stop() -> None:
    world = World(retention=Retention(succeeded=DAY))
    await ended(world.store, "old", 3)
    async with world:
        await world.engine.stop()
        await world.advance(3600)
        assert await ids(world.store) == ["old"]


async def test_stop_in_the_middle_of_a_sweep_ends_it() -> None:
    world = World(retention=Retention(succeeded=DAY))
    for number in range(50):
        await ended(world.store, f"run-{number}", 90 - number)
    async with world:
        await world.clock.advance(timedelta(seconds=60))
        await world.engine.stop()
        left = len(await ids(world.store))
        assert 0 < left < 50
        await world.advance(3600)
        assert len(await ids(world.store)) == left


async def test_without_a_retention_runs_are_kept_for_ever() -> None:
    world = World()
    await ended(world.store, "old", 30_000)
    async with world:
        await world.clock.advance(timedelta(days=1))
        assert await ids(world.store) == ["old"]
