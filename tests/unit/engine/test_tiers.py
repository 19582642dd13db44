"""What each durability tier promises, and no more is written than that."""

from __future__ import annotations

import asyncio

import pytest

from aether.errors import CommitUnknown, NotFound, NotSupported, Refused, StoreUnavailable
from aether.ports import Outcome, RunQuery
from unit.engine.engine_world import one_task, soon, two_tasks, workflow
from unit.engine.tiers_world import TieredWorld

UNKNOWN = CommitUnknown("the connection broke while the commit was on its way")


def chain(length):
    nodes = [
        {"name": f"t{n}", "executor": {"type": "work"}}
        | ({"dependencies": [f"t{n - 1}"]} if n else {})
        for n in range(length)
    ]
    return workflow({"dag": {"name": "main", "tasks": nodes}}, entrypoint="main")


# memory


async def test_tier_memory_writes_nothing_and_is_unknown_after_a_restart():
    async with TieredWorld("memory") as world:
        run = await world.submit(two_tasks())
        await world.complete("first")
        await world.advance(5)
        await world.complete("second")
        assert await world.status(run) == "Succeeded"
        await world.engine.stop()
        assert world.store.batches == []
        await world.crash()
        with pytest.raises(NotFound) as caught:
            await world.engine.get(run)
        assert caught.value.code == "run-not-found"


async def test_id_of_a_stored_run_cannot_be_taken_by_one_in_memory():
    async with TieredWorld() as world:
        await world.submit(one_task(), run_id="mine", tier="state-action-log")
        for tier in ("memory", "snapshot", "state-action-log"):
            with pytest.raises(Refused) as caught:
                await world.submit(one_task(), run_id="mine", tier=tier)
            assert caught.value.code == "run-exists"
        await world.submit(one_task(), run_id="other", tier="memory")
        for tier in ("memory", "snapshot", "state-action-log"):
            with pytest.raises(Refused) as caught:
                await world.submit(one_task(), run_id="other", tier=tier)
            assert caught.value.code == "run-exists"


# snapshot: what is written, and when


async def test_a_step_is_written_200_ms_later_at_the_latest():
    async with TieredWorld() as world:
        run = await world.submit(two_tasks())
        await world.advance(1)
        before = world.store.writes
        await world.complete("first")
        assert world.store.writes == before
        await world.advance(0.199)
        assert world.store.writes == before
        assert (await world.store.saved(run))["first"] == "Ready"
        await world.advance(0.001)
        assert world.store.writes == before + 1
        assert (await world.store.saved(run)) == {
            "main": "Running",
            "first": "Succeeded",
            "second": "Ready",
        }
        await world.advance(60)
        assert world.store.writes == before + 1, "nothing changed any more"


async def test_a_run_is_written_after_100_changes_without_waiting():
    async with TieredWorld() as world:
        run = await world.submit(chain(60))
        before = world.store.writes
        for n in range(50):
            await world.complete(f"t{n}")
        assert world.store.writes > before
        saved = await world.store.saved(run)
        behind = sum(1 for n in range(50) if saved.get(f"t{n}") != "Succeeded")
        assert behind * 3 <= 105


async def test_steps_of_many_runs_are_written_in_one_batch():
    async with TieredWorld() as world:
        runs = [await world.submit(two_tasks()) for _ in range(20)]
        await world.advance(1)
        before = len(world.store.batches)
        for assignment in list(world.broker.assignments):
            world.broker.complete(assignment)
        await world.settle()
        await world.advance(0.2)
        assert [sorted(batch) for batch in world.store.batches[before:]] == [sorted(runs)]


async def test_a_run_that_only_waits_is_on_disk():
    async with TieredWorld() as world:
        suspended = await world.submit(one_task("gate"))
        await world.complete("gate", Outcome.suspended())
        assert await world.store.saved(suspended) == {"gate": "Suspended"}
        retry = {"limit": 3, "backoff": {"initial": "60s"}}
        retrying = await world.submit(one_task("flaky", retry=retry))
        await world.complete("flaky", Outcome.error("no luck"))
        rows = (await world.store.load([retrying]))[0]
        assert rows.tasks[0].retry_at is not None
        assert rows.run.due_at is not None


async def test_an_end_is_on_disk_before_anybody_hears_of_it_and_leaves_memory():
    async with TieredWorld() as world:
        run = await world.submit(one_task())
        world.store.hold = asyncio.Event()
        waiting = asyncio.ensure_future(world.engine.wait(run))
        await world.complete("only")
        assert not waiting.done()
        world.store.hold.set()
        assert (await soon(waiting)).status == "Succeeded"
        assert (await world.store.run(run)).phase == "Succeeded"
        assert not world.engine._tiers._held


async def test_a_stop_writes_what_is_unsaved():
    async with TieredWorld() as world:
        run = await world.submit(two_tasks())
        await world.complete("first")
        await world.engine.stop()
        assert (await world.store.saved(run))["first"] == "Succeeded"


# snapshot: what a crash leaves


async def test_a_crash_loses_what_came_after_the_last_snapshot_and_those_steps_run_again():
    async with TieredWorld() as world:
        run = await world.submit(chain(4))
        await world.complete("t0")
        await world.advance(0.2)
        await world.complete("t1")
        late = world.broker.named("t2")
        await world.crash()
        assert [a.task_name for a in world.broker.assignments] == ["t1"]
        world.broker.complete(late)
        await world.settle()
        assert await world.phases(run) == {"main": "Running", "t0": "Succeeded", "t1": "Ready"}
        for n in (1, 2, 3):
            await world.complete(f"t{n}")
        assert await world.status(run) == "Succeeded"


async def test_a_late_result_from_before_the_crash_is_refused_by_the_epoch():
    async with TieredWorld() as world:
        run = await world.submit(two_tasks())
        old = world.broker.named("first")
        await world.crash()
        assert (await world.store.run(run)).epoch == 2, "on disk before the first dispatch"
        world.broker.complete(old)
        await world.settle()
        assert (await world.phases(run))["first"] == "Ready"


async def test_facts_from_outside_survive_a_crash():
    async with TieredWorld() as world:
        paused = await world.submit(two_tasks())
        cancelled = await world.submit(two_tasks())
        resumed = await world.submit(one_task("gate"))
        await world.complete("gate", Outcome.suspended())
        task = (await world.engine.get(resumed)).tasks[0].task_run_id
        await world.engine.pause(paused, by="ann")
        await world.engine.cancel(cancelled)
        await world.engine.resume(resumed, task, {"answer": 42})
        await world.crash()
        assert (await world.store.run(paused)).paused_by == "ann"
        assert await world.status(cancelled) == "Cancelled"
        assert await world.store.saved(resumed) == {"gate": "Ready"}
        await world.engine.unpause(paused)
        await world.crash()
        assert (await world.store.run(paused)).paused_at is None


async def test_what_was_unsaved_goes_to_disk_with_a_fact_from_outside():
    async with TieredWorld() as world:
        run = await world.submit(chain(3))
        await world.complete("t0")
        await world.engine.pause(run)
        assert (await world.store.saved(run))["t0"] == "Succeeded"


# snapshot: a disk that fails


async def test_runs_go_on_while_the_disk_is_away_and_are_written_when_it_is_back():
    async with TieredWorld() as world:
        run = await world.submit(chain(4))
        world.store.gone = StoreUnavailable("the disk is away")
        for n in range(3):
            await world.complete(f"t{n}")
            await world.advance(1)
        assert (await world.phases(run))["t3"] == "Ready"
        assert (await world.store.saved(run))["t0"] == "Ready"
        assert any(fault.operation == "write a snapshot" for fault in world.errors.faults)
        await world.complete("t3")
        assert (await soon(world.engine.wait(run))).status == "Succeeded"
        world.store.gone = None
        await world.advance(10)
        assert (await world.store.run(run)).phase == "Succeeded"
        assert not world.engine._tiers._held


async def test_a_fact_from_outside_is_not_acknowledged_while_the_disk_is_away():
    async with TieredWorld() as world:
        run = await world.submit(chain(3))
        world.store.gone = StoreUnavailable("the disk is away")
        calls = [
            asyncio.ensure_future(world.engine.pause(run)),
            asyncio.ensure_future(world.engine.submit(one_task())),
        ]
        await world.advance(30)
        assert not any(call.done() for call in calls)
        assert (await world.engine.get(run)).paused_at is None
        world.store.gone = None
        await world.advance(30)
        assert all(call.done() for call in calls)
        assert (await world.store.run(run)).paused_at is not None


async def test_a_stop_while_the_disk_is_away_ends_and_says_what_happened():
    async with TieredWorld() as world:
        await world.submit(chain(3))
        await world.complete("t0")
        world.store.gone = StoreUnavailable("the disk is away")
        await soon(world.engine.stop())
        assert world.errors.faults[-1].operation == "write a snapshot"


async def test_an_end_that_could_not_be_written_is_told_and_lost_only_with_the_process():
    async with TieredWorld() as world:
        run = await world.submit(one_task())
        world.store.gone = StoreUnavailable("the disk is away")
        await world.complete("only")
        assert await world.status(run) == "Succeeded"
        world.store.gone = None
        await world.crash()
        assert (await world.phases(run)) == {"only": "Ready"}
        await world.complete("only")
        assert (await world.store.run(run)).phase == "Succeeded"


@pytest.mark.parametrize("mishap", [UNKNOWN, ("after", UNKNOWN)], ids=["lost", "written"])
async def test_a_fact_from_outside_whose_outcome_is_unknown_happens_once(mishap):
    async with TieredWorld() as world:
        run = await world.submit(one_task("gate"))
        await world.complete("gate", Outcome.suspended())
        task = (await world.engine.get(run)).tasks[0].task_run_id
        world.store.mishaps.append(mishap)
        call = asyncio.ensure_future(world.engine.resume(run, task))
        await world.advance(5)
        assert call.done()
        call.result()
        assert len([a for a in world.broker.assignments if a.task_name == "gate"]) == 2
        await world.complete("gate")
        assert await world.status(run) == "Succeeded"
        assert await world.store.saved(run) == {"gate": "Succeeded"}


@pytest.mark.parametrize("mishap", [UNKNOWN, ("after", UNKNOWN)], ids=["lost", "written"])
async def test_a_snapshot_whose_outcome_is_unknown_is_written_again(mishap):
    async with TieredWorld() as world:
        run = await world.submit(chain(3))
        await world.advance(1)
        await world.complete("t0")
        world.store.mishaps.append(mishap)
        await world.advance(0.2)
        await world.complete("t1")
        await world.advance(5)
        assert (await world.store.saved(run)) == await world.phases(run)
        await world.complete("t2")
        assert (await world.store.run(run)).phase == "Succeeded"


@pytest.mark.parametrize("mishap", [UNKNOWN, ("after", UNKNOWN)], ids=["lost", "written"])
async def test_an_end_or_a_submit_whose_outcome_is_unknown_is_settled(mishap):
    async with TieredWorld() as world:
        world.store.mishaps.append(mishap)
        call = asyncio.ensure_future(world.engine.submit(one_task()))
        await world.advance(5)
        run = await call
        world.store.mishaps.append(mishap)
        await world.complete("only")
        await world.advance(5)
        assert await world.status(run) == "Succeeded"
        assert (await world.store.run(run)).phase == "Succeeded"


async def test_a_run_that_the_disk_refuses_ends_there_and_others_go_on():
    async with TieredWorld() as world:
        run = await world.submit(chain(3))
        other = await world.submit(chain(3))
        await world.advance(1)
        await world.store.delete(run)  # behind the engine's back
        for assignment in list(world.broker.assignments):
            world.broker.complete(assignment)
        await world.settle()
        await world.advance(1)
        assert (await world.store.saved(other))["t0"] == "Succeeded"
        with pytest.raises(NotFound):
            await world.engine.get(run)


# Several tiers at once


async def test_runs_of_every_tier_are_listed_in_order_each_once():
    async with TieredWorld() as world:
        tiers = ["memory", "snapshot", "state-action-log"]
        runs = []
        for n in range(12):
            runs.append(await world.submit(one_task(), tier=tiers[n % 3]))
            await world.advance(0.01)
        for run in runs[3:6]:
            assignment = next(a for a in world.broker.assignments if a.run_id == run)
            world.broker.complete(assignment)
        await world.settle()
        for limit in (1, 2, 5, 12, 50):
            for newest_first in (True, False):
                query = RunQuery(limit=limit, newest_first=newest_first)
                assert await listed(world, query) == (runs[::-1] if newest_first else runs)
        phase = (await world.engine.get(runs[0])).status
        running = RunQuery(phases=(phase,), limit=2)
        assert await listed(world, running) == (runs[:3] + runs[6:])[::-1]
        store = world.engine._store
        assert [due.run_id for due in await store.unfinished()] == sorted(runs[:3] + runs[6:])
        assert [due.run_id for due in await store.unfinished(limit=4)] == sorted(
            runs[:3] + runs[6:]
        )[:4]


async def listed(world, query, between=None):
    found = []
    page = await world.engine.list(query)
    found += [row.run_id for row in page.runs]
    while page.cursor:
        if between is not None:
            await between()
        query = RunQuery(
            limit=query.limit,
            newest_first=query.newest_first,
            phases=query.phases,
            after=page.cursor,
        )
        page = await world.engine.list(query)
        found += [row.run_id for row in page.runs]
    return found


async def test_a_run_that_leaves_memory_between_two_pages_is_listed_once():
    async with TieredWorld() as world:
        runs = []
        for n in range(9):
            tier = "state-action-log" if n % 3 == 0 else "snapshot"
            runs.append(await world.submit(one_task(), tier=tier))
            await world.advance(0.01)
        left = list(world.broker.assignments)

        async def one_ends():
            if left:
                world.broker.complete(left.pop())
                await world.settle()

        assert await listed(world, RunQuery(limit=1), one_ends) == runs[::-1]
        left = []
        assert await listed(world, RunQuery(limit=2, newest_first=False), one_ends) == runs


async def test_only_the_action_log_is_a_log_and_the_others_name_their_tier():
    async with TieredWorld() as world:
        logged = await world.submit(one_task(), tier="state-action-log")
        assert await world.engine.history(logged)
        for tier in ("memory", "snapshot"):
            run = await world.submit(one_task(), tier=tier)
            calls = (world.engine.history(run), world.engine.log(run), world.engine.at(run, 1))
            for call in calls:
                with pytest.raises(NotSupported) as caught:
                    await call
                assert caught.value.code == "no-log"
                assert f"`{tier}`" in str(caught.value)


async def test_every_decision_of_the_action_log_is_on_disk_beside_runs_that_are_not():
    async with TieredWorld() as world:
        quick = await world.submit(two_tasks(), tier="snapshot")
        careful = await world.submit(two_tasks(), tier="state-action-log")
        for assignment in list(world.broker.assignments):
            world.broker.complete(assignment)
        await world.settle()
        assert (await world.store.saved(careful))["first"] == "Succeeded"
        assert (await world.store.saved(quick))["first"] == "Ready"
        assert len(await world.engine.history(careful)) == 2


async def test_a_run_of_each_tier_can_be_deleted():
    async with TieredWorld() as world:
        for tier in ("memory", "snapshot", "state-action-log"):
            run = await world.submit(one_task(), tier=tier)
            await world.complete("only")
            await world.engine.delete(run)
            with pytest.raises(NotFound):
                await world.engine.get(run)
            assert (await world.engine.list()).runs == []


async def test_tiers_that_do_not_exist_or_are_not_there_are_refused():
    async with TieredWorld() as world:
        with pytest.raises(Refused) as caught:
            await world.submit(one_task(), tier="diamond")
        assert caught.value.code == "unknown-tier"
        world.engine._tiers = None
        with pytest.raises(Refused) as caught:
            await world.submit(one_task(), tier="snapshot")
        assert caught.value.code == "tier-missing"
