"""After a commit of unknown outcome that did happen, what it was to bring about still happens, once."""

from __future__ import annotations

import asyncio

from unit.engine.engine_world import World, one_task, soon, two_tasks, unknown


async def test_task_that_timed_out_in_a_commit_in_doubt_is_called_off():
    async with World() as world:
        await world.submit(one_task(timeout="5s"))
        assignment = world.broker.named("only")
        world.store.mishaps.append(("after", unknown()))
        await world.advance(6)
        over = [(each.task_run_id, each.fence) for each in world.broker.cancelled]
        assert over == [(assignment.task_run_id, assignment.fence)]


async def test_run_that_was_cancelled_in_a_commit_in_doubt_has_its_tasks_called_off():
    async with World() as world:
        run_id = await world.submit(one_task())
        world.store.mishaps.append(("after", unknown()))
        cancelling = asyncio.ensure_future(world.engine.cancel(run_id))
        await world.advance(1)
        await soon(cancelling)
        assert len(world.broker.cancelled) == 1


async def test_task_that_became_ready_in_a_commit_in_doubt_is_delivered_once():
    async with World() as world:
        run_id = await world.submit(two_tasks())
        world.store.mishaps.append(("after", unknown()))
        await world.complete("first")
        await world.advance(1)
        names = [each.task_name for each in world.broker.assignments]
        assert names == ["first", "second"]
        await world.complete("second")
        run = await soon(world.engine.wait(run_id))
        assert run.task("second").status == "Succeeded"


async def test_task_that_runs_is_not_delivered_again_because_another_commit_was_in_doubt():
    async with World() as world:
        run_id = await world.submit(two_tasks())
        world.store.mishaps.append(("after", unknown()))
        pausing = asyncio.ensure_future(world.engine.pause(run_id))
        await world.advance(1)
        await soon(pausing)
        assert [each.fence.delivery for each in world.broker.assignments] == [1]
        await world.complete("first")
        assert (await world.phases(run_id))["first"] == "Succeeded"
