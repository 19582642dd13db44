"""The engine's life: started, stopped, waited for, and started again over the same store."""

from __future__ import annotations

import asyncio

import pytest

from aether.adapters.store.memory import MemoryStore
from aether.errors import AetherError, InvalidState, NotFound, StoreUnavailable, WaitTimeout
from aether.ports import Outcome
from unit.engine.engine_world import HandNotifier, World, one_task, soon, two_tasks, workflow

LARGE = 65  # task runs, which are more than an engine keeps to show


async def test_calls_before_the_start_and_after_the_stop_are_refused():
    world = World()
    await world.start()
    await world.engine.stop()
    for call in (
        world.engine.submit(one_task()),
        world.engine.wait("r"),
        world.engine.cancel("r"),
        world.engine.pause("r"),
        world.engine.resume("r", "r.0"),
        anext(world.engine.watch("r")),
    ):
        with pytest.raises(InvalidState) as caught:
            await call
        assert caught.value.code == "not-started"


async def test_second_start_is_refused_and_a_second_stop_is_nothing():
    async with World() as world:
        with pytest.raises(InvalidState) as caught:
            await world.engine.start()
        assert caught.value.code == "already-started"
        await world.engine.stop()
        await world.engine.stop()
        assert world.broker.closed


async def test_start_that_fails_leaves_nothing_behind_and_another_engine_may_try():
    class Store(MemoryStore):
        failures = 1

        async def schemas(self):
            if self.failures:
                self.failures -= 1
                raise StoreUnavailable("down")
            return await super().schemas()

    tasks = len(asyncio.all_tasks())
    store = Store()
    world = World(store=store)
    with pytest.raises(StoreUnavailable):
        await world.start()
    assert world.broker.closed
    assert len(asyncio.all_tasks()) == tasks
    with pytest.raises(InvalidState):
        await world.engine.submit(one_task())
    async with World(store=store) as world:
        assert await world.submit(one_task())


async def test_broker_that_cannot_be_closed_does_not_keep_the_notifier_open():
    class Notifier(HandNotifier):
        closed = False

        async def close(self):
            self.closed = True

    notifier = Notifier()
    world = World(notifier=notifier)
    await world.start()

    async def fail():
        raise OSError("stuck")

    world.broker.close = fail
    with pytest.raises(OSError, match="stuck"):
        await world.engine.stop()
    assert notifier.closed


async def test_stop_answers_everybody_who_waits():
    async with World() as world:
        run_id = await world.submit(one_task())
        waiting = asyncio.ensure_future(world.engine.wait(run_id))
        watch = world.engine.watch(run_id)
        await anext(watch)
        watching = asyncio.ensure_future(anext(watch))
        world.store.hold = asyncio.Event()
        committing = asyncio.ensure_future(world.engine.submit(one_task(), run_id="mid"))
        await world.settle()
        queued = asyncio.ensure_future(world.engine.submit(one_task(), run_id="late"))
        await world.settle()
        stopping = asyncio.ensure_future(world.engine.stop())
        await world.settle()
        world.store.hold.set()
        await soon(stopping)
        assert await soon(committing) == "mid"
        for waiter in (waiting, watching, queued):
            with pytest.raises(InvalidState) as caught:
                await soon(waiter)
            assert caught.value.code == "engine-stopped"
        with pytest.raises(NotFound):
            await world.engine.get("late")


async def test_submit_that_meets_the_stop_is_answered():
    async with World() as world:
        submitting = asyncio.ensure_future(world.engine.submit("stored-template"))
        stopping = asyncio.ensure_future(world.engine.stop())
        await soon(stopping)
        with pytest.raises(AetherError):
            await soon(submitting)


async def test_wait_times_out_by_the_clock_and_the_run_goes_on():
    async with World() as world:
        run_id = await world.submit(one_task())
        waiting = asyncio.ensure_future(world.engine.wait(run_id, timeout=10))
        await world.advance(9.9)
        assert not waiting.done()
        await world.advance(0.1)
        with pytest.raises(WaitTimeout):
            await soon(waiting)
        await world.complete("only")
        assert (await soon(world.engine.wait(run_id, 0))).status == "Succeeded"
        assert world.engine._runs._waiting._waiters == {}


class Unread(MemoryStore):
    """Counts how often a run is loaded."""

    loads = 0

    async def load(self, run_ids):
        self.loads += 1
        return await super().load(run_ids)


async def waited_for(world, document, *completions):
    """The view that `wait` gives, how often the store was asked for it, and the view that `get` gives."""
    run_id = await world.submit(document)
    waiting = asyncio.ensure_future(world.engine.wait(run_id))
    await world.settle()
    before = world.store.loads
    for name, outcome in completions:
        await world.complete(name, outcome)
    execution = await soon(waiting)
    return execution, world.store.loads - before, await world.engine.get(run_id)


async def test_wait_shows_what_get_shows_without_asking_the_store():
    failed = [("first", Outcome.failed("no"))]
    succeeded = [("first", Outcome.succeeded(a=1)), ("second", Outcome.succeeded(b=[2]))]
    for completions in (failed, succeeded):
        async with World(store=Unread()) as world:
            world.store = world.ports["store"]
            seen, loads, got = await waited_for(world, two_tasks(), *completions)
            assert seen == got
            assert loads == 0


async def test_wait_asks_the_store_for_what_the_engine_did_not_see_or_keep_whole():
    fan = [{"name": f"n{i}", "executor": {"type": "work"}} for i in range(LARGE)]
    large = workflow({"dag": {"name": "main", "tasks": fan}}, entrypoint="main")
    loop = workflow(
        {"loop": {"name": "main", "items": [1], "body": "each"}},
        {"task": {"name": "each", "executor": {"type": "work"}}},
        entrypoint="main",
    )
    names = {"large": [f"n{i}" for i in range(LARGE)], "loop": ["each"]}
    for which, document in (("large", large), ("loop", loop)):
        async with World(store=Unread()) as world:
            world.store = world.ports["store"]
            ends = [(name, None) for name in names[which]]
            seen, loads, got = await waited_for(world, document, *ends)
            assert (seen, loads) == (got, 1)


async def test_wait_for_a_run_of_an_earlier_engine_asks_the_store():
    async with World(store=Unread()) as world:
        world.store = world.ports["store"]
        run_id = await world.submit(one_task())
        await world.engine.stop()
        await world.start()
        waiting = asyncio.ensure_future(world.engine.wait(run_id))
        await world.settle()
        await world.complete("only", Outcome.succeeded(a=1))
        assert (await soon(waiting)) == await world.engine.get(run_id)
        assert world.store.loads > 1


async def test_wait_shows_nothing_that_the_store_does_not_have():
    """A commit that failed makes the engine forget what it saw; a hook under way may still change."""
    async with World() as world:
        run_id = await world.submit(two_tasks())
        waiting = asyncio.ensure_future(world.engine.wait(run_id))
        await world.settle()
        world.store.mishaps.append(StoreUnavailable("down"))
        await world.complete("first")
        assert world.engine._runs._live[run_id].rows is None
        await world.advance(1)
        await world.complete("second")
        assert (await soon(waiting)) == await world.engine.get(run_id)


async def test_wait_for_a_run_that_does_not_exist_says_so():
    async with World() as world:
        with pytest.raises(NotFound):
            await soon(world.engine.wait("nobody"))
        with pytest.raises(NotFound):
            await soon(world.engine.cancel("nobody"))
        with pytest.raises(NotFound):
            await soon(anext(world.engine.watch("nobody")))
        assert world.held_runs() == []
        assert world.engine._runs._waiting._watchers == {}


async def test_watch_shows_each_state_and_ends_with_the_last():
    async with World() as world:
        run_id = await world.submit(two_tasks())

        async def look():
            return [(str(r.status), r.progress) async for r in world.engine.watch(run_id)]

        looking = asyncio.ensure_future(look())
        await world.settle()
        await world.complete("first")
        await world.complete("second")
        assert await soon(looking) == [("Ready", "0/2"), ("Running", "1/3"), ("Succeeded", "3/3")]
        assert world.engine._runs._waiting._watchers == {}


async def test_watch_of_a_finished_run_shows_it_once():
    async with World() as world:
        run_id = await world.submit(one_task())
        await world.complete("only")
        assert [r.status async for r in world.engine.watch(run_id)] == ["Succeeded"]


async def test_finished_runs_are_not_kept_in_memory():
    async with World() as world:
        for _ in range(20):
            await world.submit(two_tasks())
            await world.complete("first")
            await world.complete("second")
        assert world.held_runs() == []
        await world.advance(2)
        runs = world.engine._runs
        assert (runs._waiting._waiters, runs._waiting._watchers, runs._lazy._waiting) == (
            {},
            {},
            set(),
        )
        assert len(world.engine._timeouts) == 0


# Starts are lazy


async def test_start_is_written_within_a_second_although_nothing_else_happens():
    async with World() as world:
        run_id = await world.submit(one_task())
        commits = len(world.store.batches)
        world.broker.start(world.broker.named("only"))
        await world.settle()
        assert len(world.store.batches) == commits
        await world.advance(1)
        assert await world.status(run_id) == "Running"
        run = await world.engine.get(run_id)
        assert run.tasks[0].waiting_for.startswith("running on worker w since")


async def test_start_rides_in_the_commit_of_the_result():
    async with World() as world:
        run_id = await world.submit(one_task())
        commits = len(world.store.batches)
        world.broker.start(world.broker.named("only"))
        await world.complete("only")
        assert len(world.store.batches) == commits + 1
        assert await world.status(run_id) == "Succeeded"


async def test_start_is_written_at_once_where_a_hook_wants_it():
    document = workflow(
        {"task": {"name": "only", "executor": {"type": "work"}}},
        {"task": {"name": "tell", "executor": {"type": "hook"}}},
        entrypoint="only",
        hooks={"onStart": {"template": "tell"}},
    )
    async with World(notifier=HandNotifier()) as world:
        run_id = await world.submit(document)
        world.broker.start(world.broker.named("only"))
        await world.settle()
        assert await world.status(run_id) == "Running"
        assert world.broker.named("onStart").inputs


# Another engine over the same store


async def test_next_engine_delivers_running_tasks_again_and_refuses_late_results_of_the_old_one():
    async with World() as world:
        run_id = await world.submit(two_tasks())
        old = world.broker.named("first")
        world.broker.start(old)
        await world.advance(1)
        await world.engine.stop()
        await world.start()
        new = world.broker.named("first")
        assert (new.fence.epoch, new.fence.delivery) == (old.fence.epoch + 1, 2)
        world.broker.complete(old, answer="old")
        await world.settle()
        assert (await world.phases(run_id))["first"] == "Ready"
        await world.complete("first", answer="new")
        await world.complete("second")
        run = await soon(world.engine.wait(run_id))
        assert (run.status, run.tasks[1].outputs[0].value) == ("Succeeded", "new")
        assert run.tasks[1].attempt == 1


async def test_next_engine_keeps_the_deadline_of_a_running_task():
    async with World() as world:
        run_id = await world.submit(one_task(timeout="10s"))
        await world.advance(6)
        await world.engine.stop()
        await world.start()
        await world.advance(3.9)
        assert await world.status(run_id) == "Ready"
        await world.advance(0.1)
        run = await world.engine.get(run_id)
        assert (run.status, run.tasks[0].status) == ("Error", "Timeout")


async def test_next_engine_keeps_the_instant_of_a_retry():
    retry = {"limit": 1, "backoff": {"initial": "10s"}}
    async with World() as world:
        run_id = await world.submit(one_task(retry=retry))
        await world.complete("only", Outcome.error("flaky"))
        run = await world.engine.get(run_id)
        assert run.tasks[0].waiting_for.startswith("retry 1 at ")
        await world.advance(6)
        await world.engine.stop()
        await world.start()
        await world.advance(3.9)
        assert world.broker.assignments == []
        await world.advance(0.1)
        assert world.broker.named("only").attempt == 2
        await world.complete("only")
        assert await world.status(run_id) == "Succeeded"


async def test_next_engine_leaves_suspended_tasks_until_they_are_resumed():
    async with World() as world:
        run_id = await world.submit(one_task())
        await world.complete("only", Outcome.suspended("sign here"))
        await world.engine.stop()
        await world.start()
        assert world.broker.assignments == []
        run = await world.engine.get(run_id)
        assert run.waiting_for == ["only: suspended, waiting for a resume: sign here"]
        await soon(world.engine.resume(run_id, f"{run_id}.0", {"signed": True}))
        assignment = world.broker.named("only")
        assert assignment.resumed
        assert b"signed" in assignment.inputs
        await world.complete("only")
        assert await world.status(run_id) == "Succeeded"


async def test_next_engine_keeps_a_paused_run_paused():
    async with World() as world:
        run_id = await world.submit(two_tasks())
        await world.engine.pause(run_id, "ann")
        await world.complete("first")
        await world.engine.stop()
        await world.start()
        assert world.broker.assignments == []
        run = await world.engine.get(run_id)
        assert run.waiting_for[0].startswith("paused by ann since ")
        await world.engine.unpause(run_id)
        await world.settle()
        assert world.broker.named("second")


async def test_next_engine_finishes_hooks_of_a_run_that_is_over():
    document = workflow(
        {"task": {"name": "only", "executor": {"type": "work"}}},
        {"task": {"name": "tell", "executor": {"type": "hook"}}},
        entrypoint="only",
        hooks={"onExit": {"template": "tell"}},
    )
    notifier = HandNotifier()
    async with World(notifier=notifier) as world:
        run_id = await world.submit(document)
        await world.complete("only")
        await world.engine.stop()
        await world.start()
        await world.complete("onExit")
        await world.advance(1)
        run = await world.engine.get(run_id)
        assert (run.status, str(run.hooks[0].status)) == ("Succeeded", "Succeeded")
        assert world.held_runs() == []


async def test_event_that_was_never_delivered_is_told_by_the_next_engine():
    stuck = HandNotifier(hold=asyncio.Event())
    async with World(notifier=stuck, notify="all") as world:
        run_id = await world.submit(one_task())
        await world.complete("only")
        assert await world.status(run_id) == "Succeeded"
        await world.engine.stop()
        world.ports["notifier"] = told = HandNotifier()
        await world.start()
        await world.settle()
        ends = ["onSuccess", "onExit"]
        assert [e.hook for e in told.events] == ["onStart", "onStart", *ends, *ends]
        await world.advance(1)
        assert world.held_runs() == []


async def test_runs_beyond_one_page_are_taken_up():
    async with World() as world:
        for n in range(300):
            await world.engine.submit(one_task(), run_id=f"r{n:03}")
        await world.engine.stop()
        await world.start()
        for _ in range(40):
            await world.settle()
        assert len({a.run_id for a in world.broker.assignments}) == 300


async def test_run_that_cannot_be_loaded_keeps_no_other_from_being_taken_up():
    async with World() as world:
        for n in range(300):
            await world.engine.submit(one_task(), run_id=f"r{n:03}")
        await world.engine.stop()
        load = world.store.load

        async def broken(run_ids):
            if "r000" in run_ids:
                raise ValueError("a row that nobody can read")
            return await load(run_ids)

        world.store.load = broken
        await world.start()
        for _ in range(60):
            await world.settle()
        assert len({a.run_id for a in world.broker.assignments}) == 299
        assert any(f.run_id == "r000" and f.severity == "critical" for f in world.errors.faults)


async def test_store_that_lists_badly_once_is_asked_again():
    async with World() as world:
        run_id = await world.submit(one_task())
        await world.engine.stop()
        listed = world.store.unfinished

        async def broken(after="", limit=256):
            world.store.unfinished = listed
            raise ValueError("a row that nobody can read")

        world.store.unfinished = broken
        await world.start()
        await world.advance(10)
        assert [a.run_id for a in world.broker.assignments] == [run_id]


async def test_timer_that_comes_too_early_is_set_again():
    async with World() as world:
        run_id = await world.submit(one_task(timeout="10s"))
        runs = world.engine._runs
        runs._timeouts.set(run_id, None)  # as a watcher does once it has called
        runs._due(run_id)
        await world.settle()
        await world.advance(11)
        assert (await world.engine.get(run_id)).status == "Error"
