"""Taking up what an earlier engine left: in the background, once, in bounded memory."""

from __future__ import annotations

import pytest

from aether.adapters.ids import CounterIds
from aether.adapters.store import MemoryStore
from aether.errors import InvalidState, StoreUnavailable
from aether.ports import Field, Schema
from unit.engine.engine_world import World, one_task


class SlowList(MemoryStore):
    """Fails to list unfinished runs for a while."""

    failures = 0

    async def orphans(self, session, after=None, limit=256):
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("down")
        return await super().orphans(session, after, limit)


async def left_behind(store, count):
    """Runs of an engine that is gone, each with a task handed out."""
    async with World(store=store) as world:
        return [await world.submit(one_task()) for _ in range(count)]


async def test_new_runs_are_served_while_old_ones_wait_to_be_taken_up():
    store = SlowList()
    old = await left_behind(store, 3)
    store.failures = 1
    async with World(store=store, id_generator=CounterIds("new-")) as world:
        new = await world.submit(one_task())
        await world.settle()
        assert [a.run_id for a in world.broker.assignments] == [new]
        await world.advance(1)
        assert sorted(a.run_id for a in world.broker.assignments) == sorted([new, *old])


async def test_a_list_that_stays_unreadable_is_asked_for_again_ever_less_often():
    store = SlowList()
    [old] = await left_behind(store, 1)
    store.failures = 10_000
    async with World(store=store) as world:
        for _ in range(600):
            await world.advance(1)
        asked = 10_000 - store.failures
        assert 10 <= asked <= 20
        assert len([fault for fault in world.errors.faults if "down" in fault.what]) == asked
        store.failures = 0
        for _ in range(60):
            await world.advance(1)
        assert [a.run_id for a in world.broker.assignments] == [old]


class Counting(MemoryStore):
    """Remembers how many commits came together."""

    sizes = ()

    async def commit(self, batch):
        self.sizes = (*self.sizes, len(batch))
        return await super().commit(batch)


async def test_runs_are_taken_up_a_few_at_a_time_so_that_a_new_one_waits_behind_few():
    store = Counting()
    old = await left_behind(store, 100)
    store.sizes = ()
    async with World(store=store, id_generator=CounterIds("new-")) as world:
        new = await world.submit(one_task())
        await world.advance(1)
        assert max(store.sizes) <= 33
        assert {a.run_id for a in world.broker.assignments} == {new, *old}


async def test_run_that_somebody_asks_for_is_taken_up_before_its_page_comes():
    store = SlowList()
    [old] = await left_behind(store, 1)
    store.failures = 1
    async with World(store=store, id_generator=CounterIds("new-")) as world:
        await world.engine.pause(old)
        assert (await world.engine.get(old)).paused_at is not None
        await world.advance(1)
        deliveries = [a for a in world.broker.assignments if a.run_id == old]
        assert len(deliveries) == 1, "taken up once"


async def test_state_of_runs_beyond_the_limit_waits_in_the_store_for_the_next_event():
    store = MemoryStore()
    async with World(store=store, runs_in_memory=10) as world:
        runs = [await world.submit(one_task()) for _ in range(200)]
        assert len(world.engine._runs._live) < 100
        for assignment in list(world.broker.assignments):
            world.broker.complete(assignment)
        await world.settle()
        assert {(await world.engine.get(run)).status for run in runs} == {"Succeeded"}


async def test_outputs_are_held_against_the_schema_although_the_run_is_not_in_memory():
    store = MemoryStore()
    async with World(store=store, runs_in_memory=1) as world:
        await world.engine.register_schema(Schema(type="work", outputs=(Field("count", "int"),)))
        runs = [await world.submit(one_task()) for _ in range(80)]
        first = next(a for a in world.broker.assignments if a.run_id == runs[0])
        assert runs[0] not in world.engine._runs._live
        world.broker.complete(first, colour="red")
        await world.settle()
        assert (await world.engine.get(runs[0])).status == "Error"


async def test_an_engine_that_was_replaced_on_its_store_leaves_it_to_the_other():
    async with World() as world:
        first = world.engine
        broker = world.broker
        run_id = await world.submit(one_task())
        second = await world.start()
        first._runs._live.clear()
        with pytest.raises(InvalidState) as replaced:
            await first.cancel(run_id)
        assert replaced.value.code == "engine-replaced"
        broker.complete(broker.named("only"))
        await world.advance(5)
        assert str((await second.get(run_id)).status) == "Ready"
        await second.cancel(run_id)
        assert str((await second.get(run_id)).status) == "Cancelled"
