"""A store that fails: nothing acknowledged is lost, nothing happens twice, no run stops another."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta

import pytest

from aether.errors import AetherError, NotFound, Refused, StoreUnavailable
from aether.ports import Conflict, Outcome, Refusal
from unit.engine.engine_world import HandNotifier, World, one_task, soon, two_tasks, unknown


def down():
    return StoreUnavailable("the store does not answer")


async def test_submit_waits_for_a_store_that_is_down_and_then_counts_once():
    async with World() as world:
        world.store.mishaps.append(down())
        submitting = asyncio.ensure_future(world.engine.submit(one_task(), run_id="r"))
        await world.settle()
        assert not submitting.done()
        assert world.broker.assignments == []
        await world.advance(0.05)
        assert await soon(submitting) == "r"
        assert len(world.broker.assignments) == 1
        assert world.errors.faults[0].next == "trying again in 0.05s"


async def test_a_clock_that_is_set_back_does_not_keep_a_store_from_being_asked_again():
    async with World() as world:
        world.store.mishaps.append(down())
        submitting = asyncio.ensure_future(world.engine.submit(one_task(), run_id="r"))
        await world.settle()
        world.clock.set_back(timedelta(hours=1))
        await world.advance(0.05)
        assert await soon(submitting) == "r"


async def test_a_clock_that_is_set_back_does_not_keep_lazy_facts_from_the_store():
    async with World() as world:
        run_id = await world.submit(one_task())
        (given,) = world.broker.assignments
        world.broker.events.on_task_started(given.task_run_id, given.fence, "w1")
        world.clock.set_back(timedelta(hours=1))
        await world.advance(1)
        (rows,) = await world.store.load([run_id])
        assert [row.phase for row in rows.tasks.values()] == ["Running"]


async def test_result_that_could_not_be_committed_is_decided_again():
    async with World() as world:
        run_id = await world.submit(two_tasks())
        world.store.mishaps.extend([down(), down()])
        await world.complete("first", answer=42)
        assert await world.phases(run_id) == {"main": "Ready", "first": "Ready"}
        await world.advance(1)
        phases = await world.phases(run_id)
        assert (phases["first"], phases["second"]) == ("Succeeded", "Ready")
        assert [a.task_name for a in world.broker.assignments] == ["first", "second"]


@pytest.mark.parametrize("happened", [False, True])
async def test_submit_of_unknown_outcome_is_looked_up_before_it_is_done_again(happened):
    async with World() as world:
        world.store.mishaps.append(("after", unknown()) if happened else unknown())
        submitting = asyncio.ensure_future(world.engine.submit(one_task(), run_id="r"))
        await world.settle()
        await world.advance(1)
        assert await soon(submitting) == "r"
        await world.complete("only")
        run = await soon(world.engine.wait("r"))
        assert (run.status, len(run.tasks)) == ("Succeeded", 1)


@pytest.mark.parametrize("happened", [False, True])
async def test_result_of_unknown_outcome_counts_once(happened):
    async with World() as world:
        run_id = await world.submit(two_tasks())
        world.store.mishaps.append(("after", unknown()) if happened else unknown())
        await world.complete("first")
        await world.advance(1)
        await world.complete("second")
        run = await soon(world.engine.wait(run_id))
        assert [(t.task_name, t.status) for t in run.tasks] == [
            ("main", "Succeeded"),
            ("first", "Succeeded"),
            ("second", "Succeeded"),
        ]


async def test_run_that_ended_in_a_commit_of_unknown_outcome_wakes_who_waits():
    async with World() as world:
        run_id = await world.submit(one_task())
        waiting = asyncio.ensure_future(world.engine.wait(run_id))
        await world.settle()
        world.store.mishaps.append(("after", unknown()))
        await world.complete("only")
        await world.advance(1)
        assert (await soon(waiting)).status == "Succeeded"
        assert world.held_runs() == []


@pytest.mark.parametrize("happened", [False, True])
async def test_cancel_of_unknown_outcome_is_answered(happened):
    async with World() as world:
        run_id = await world.submit(one_task())
        world.store.mishaps.append(("after", unknown()) if happened else unknown())
        cancelling = asyncio.ensure_future(world.engine.cancel(run_id))
        await world.settle()
        await world.advance(1)
        await soon(cancelling)
        assert await world.status(run_id) == "Cancelled"


async def test_submit_of_unknown_outcome_never_takes_another_run_of_that_id_for_its_own():
    async with World() as world:
        await world.submit(one_task(), run_id="r")
        await world.complete("only")
        await world.advance(1)
        world.store.mishaps.append(unknown())
        submitting = asyncio.ensure_future(world.engine.submit(two_tasks(), run_id="r"))
        await world.settle()
        await world.advance(1)
        with pytest.raises(Refused) as caught:
            await soon(submitting)
        assert caught.value.code == "run-exists"


async def test_conflict_drops_the_state_and_decides_again():
    async with World() as world:
        run_id = await world.submit(two_tasks())
        world.store.mishaps.append(("answer", Conflict()))
        await world.complete("first")
        await world.complete("second")
        assert (await soon(world.engine.wait(run_id))).status == "Succeeded"


async def test_refused_decision_ends_its_run_in_error_with_the_reason():
    async with World() as world:
        run_id = await world.submit(two_tasks())
        world.store.mishaps.append(("answer", Refusal("no such row")))
        await world.complete("first")
        run = await soon(world.engine.wait(run_id))
        assert run.status == "Error"
        assert "no such row" in run.message
        assert world.errors.faults[-1].severity == "critical"


async def test_refused_submit_tells_its_caller_and_leaves_nothing():
    async with World() as world:
        world.store.mishaps.append(("answer", Refusal("too big")))
        with pytest.raises(AetherError, match="too big"):
            await soon(world.engine.submit(one_task(), run_id="r"))
        with pytest.raises(NotFound):
            await world.engine.get("r")
        assert world.held_runs() == []
        assert await world.submit(one_task(), run_id="r") == "r"


async def test_commit_that_raises_for_one_run_takes_no_other_along():
    async with World() as world:
        ids = [await world.submit(one_task(f"t{n}"), run_id=f"r{n}") for n in range(4)]
        for n in range(4):
            world.broker.complete(world.broker.named(f"t{n}"))
        world.store.poison["r2"] = RuntimeError("boom")
        await world.settle()
        assert world.store.batches[4] == ids
        del world.store.poison["r2"]
        states = [(await soon(world.engine.wait(i))).status for i in ids if i != "r2"]
        assert states == ["Succeeded"] * 3


async def test_run_whose_every_commit_raises_is_given_up_and_not_tried_forever():
    async with World() as world:
        run_id = await world.submit(one_task(), run_id="r")
        waiting = asyncio.ensure_future(world.engine.wait(run_id))
        await world.settle()
        world.store.poison["r"] = RuntimeError("boom")
        await world.complete("only")
        with pytest.raises(AetherError, match="boom"):
            await soon(waiting)
        before = len(world.store.batches)
        await world.advance(60)
        assert len(world.store.batches) == before
        assert world.held_runs() == []


async def test_store_that_goes_down_while_one_culprit_is_sought_quarantines_nobody():
    async with World() as world:
        ids = [await world.submit(one_task(f"t{n}")) for n in range(3)]
        for n in range(3):
            world.broker.complete(world.broker.named(f"t{n}"))
        world.store.mishaps.extend([RuntimeError("boom"), None, down(), unknown()])
        await world.settle()
        await world.advance(10)
        assert [(await soon(world.engine.wait(i))).status for i in ids] == ["Succeeded"] * 3


async def test_run_that_cannot_be_loaded_stops_no_other():
    async with World() as world:
        bad = await world.submit(one_task("bad"))
        good = await world.submit(one_task("good"))
        world.store.mishaps.append(("answer", Conflict()))
        world.broker.complete(world.broker.named("good"))
        world.broker.complete(world.broker.named("bad"))
        world.store.load_mishaps.append(ValueError("a row that nobody can read"))
        await world.settle()
        await world.advance(1)
        statuses = {(await soon(world.engine.wait(run_id))).status for run_id in (good, bad)}
        assert statuses == {"Succeeded", "Error"}


async def test_request_to_a_run_that_cannot_be_loaded_is_answered():
    async with World() as world:
        run_id = await world.submit(one_task())
        world.store.mishaps.append(("answer", Conflict()))
        world.store.load_mishaps.extend([ValueError("broken")] * 5)
        with pytest.raises(AetherError, match="broken"):
            await soon(world.engine.cancel(run_id))
        with pytest.raises(AetherError, match="broken"):
            await soon(world.engine.pause(run_id))


async def test_store_that_answers_too_little_is_asked_what_happened():
    async with World() as world:
        run_id = await world.submit(one_task())
        real = world.store.commit

        async def silent(batch):
            world.store.commit = real
            return []

        world.store.commit = silent
        await world.complete("only")
        await world.advance(1)
        await world.complete("only")
        assert (await soon(world.engine.wait(run_id))).status == "Succeeded"


async def test_stop_ends_although_the_store_is_down():
    async with World() as world:
        await world.submit(one_task())
        world.store.mishaps.extend([down()] * 1000)
        world.store.load_mishaps.extend([down()] * 1000)
        await world.complete("only")
        await soon(world.engine.stop())
        await world.start()
        world.store.mishaps.clear()
        world.store.load_mishaps.clear()


async def test_caller_whose_commit_is_in_doubt_is_answered_when_the_engine_stops():
    async with World() as world:
        run_id = await world.submit(one_task())
        world.store.mishaps.append(unknown())
        world.store.load_mishaps.extend([down()] * 1000)
        cancelling = asyncio.ensure_future(world.engine.cancel(run_id))
        await world.settle()
        await soon(world.engine.stop())
        with pytest.raises(AetherError):
            await soon(cancelling)


async def test_store_that_is_down_is_asked_less_and_less_often():
    async with World() as world:
        await world.submit(one_task())
        world.store.mishaps.extend([down()] * 4)
        await world.complete("only", Outcome.succeeded())
        await world.advance(30)
        waits = [fault.next for fault in world.errors.faults]
        assert waits == [f"trying again in {w}s" for w in ("0.05", "0.2", "1", "5")]


async def test_result_for_a_run_that_could_not_be_loaded_is_taken_in_later():
    async with World(runs_in_memory=1) as world:
        first = await world.submit(two_tasks())
        await world.submit(one_task())
        assert first not in world.held_runs()
        world.store.load_mishaps.append(down())
        await world.complete("first")
        await world.advance(1)
        assert world.broker.named("second").run_id == first


async def test_word_that_comes_after_the_end_of_a_run_leaves_nothing_in_memory():
    async with World() as world:
        run_id = await world.submit(one_task())
        world.store.hold = asyncio.Event()
        late = await world.complete("only")
        world.broker.start(late)
        world.store.hold.set()
        await world.settle()
        await world.engine.get(run_id)
        await world.advance(2)
        assert world.held_runs() == []


async def test_wait_that_runs_out_of_time_while_the_store_is_slow_leaves_no_exception_behind():
    unheard = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unheard.append(context))
    async with World() as world:
        run_id = await world.submit(one_task())
        await world.complete("only")
        answered = asyncio.Event()
        run = world.store.run

        async def slow(run_id):
            await answered.wait()
            return await run(run_id)

        world.store.run = slow
        waiting = asyncio.ensure_future(world.engine.wait(run_id, 1))
        await world.advance(2)
        answered.set()
        assert (await soon(waiting)).status == "Succeeded"
        gc.collect()
        assert unheard == []


async def test_run_deleted_while_it_is_being_loaded_is_gone_and_no_fault_of_ours():
    async with World() as world:
        run_id = await world.submit(one_task())
        late = await world.complete("only")
        document, evicted = world.store.document, []

        async def deleted_meanwhile(digest):
            evicted.append(await world.store.delete(run_id))
            return await document(digest)

        world.store.document = deleted_meanwhile
        world.engine._documents._plans.clear()
        world.broker.complete(late)
        await world.settle()
        assert evicted == [True]
        assert world.held_runs() == []
        assert [fault for fault in world.errors.faults if fault.severity == "critical"] == []


async def test_delete_that_fails_forgets_nothing_that_is_still_to_be_written():
    hook = {"task": {"name": "hook", "executor": {"type": "work"}}}
    document = one_task(hooks={"onExit": {"template": "hook"}})
    document["spec"]["templates"].append(hook)
    document["spec"]["hooks"] = {"onExit": {"template": "hook"}}
    del document["spec"]["templates"][0]["task"]["hooks"]
    async with World(notifier=HandNotifier()) as world:
        run_id = await world.submit(document)
        await world.complete("only")
        delete, world.store.delete = world.store.delete, refuse
        with pytest.raises(StoreUnavailable):
            await world.engine.delete(run_id)
        world.store.delete = delete
        world.broker.complete(world.broker.named("onExit"))
        await world.advance(2)
        rows = (await world.store.load([run_id]))[0]
        assert [hook.notified for hook in rows.hooks.values()] == [True]
        assert world.held_runs() == []


async def refuse(run_id):
    raise down()


async def test_stop_waits_for_one_slow_load_and_not_for_the_whole_line():
    async with World(runs_in_memory=1) as world:
        runs = [await world.submit(one_task()) for _ in range(3)]
        load, loads, answered = world.store.load, [], asyncio.Event()

        async def slow(run_ids):
            loads.append(run_ids)
            await answered.wait()
            return await load(run_ids)

        world.store.load = slow
        for assignment in list(world.broker.assignments):
            world.broker.complete(assignment)
        await world.settle()
        stopping = asyncio.ensure_future(world.engine.stop())
        await world.settle()
        answered.set()
        await soon(stopping)
        assert len(loads) == 1 < len(runs)
