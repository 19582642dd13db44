"""Several engines on one store: who decides, who takes over, and how the others are asked."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from aether.adapters.cron import CronsimScheduler
from aether.adapters.errors import CollectingSink
from aether.adapters.ids import CounterIds
from aether.adapters.store import MemoryStore
from aether.adapters.timeouts import HeapTimeoutWatcher
from aether.engine import Engine
from aether.errors import CommitUnknown, InvalidState, NotFound, Refused, StoreUnavailable
from aether.expr import CelEvaluator
from aether.ports import Outcome, RunQuery
from aether.record import MEMORY, SNAPSHOT, Phase
from aether.testing import FakeClock
from unit.engine.engine_world import HandBroker, one_task, soon, two_tasks

LEASE = 10


class Node:
    def __init__(self, cluster, name):
        self.store = Watched(cluster.store)
        self.broker = HandBroker()
        self.errors = cluster.errors
        self.engine = Engine(
            store=self.store,
            broker=self.broker,
            id_generator=CounterIds(f"{name}-"),
            clock=cluster.clock,
            evaluator=CelEvaluator(),
            timeout_watcher=HeapTimeoutWatcher(cluster.clock, cluster.errors),
            cron_scheduler=CronsimScheduler(cluster.clock, cluster.errors),
            error_sink=cluster.errors,
            lease=timedelta(seconds=LEASE),
            node=name,
            volatile=MemoryStore(),
        )

    def given(self, run_id):
        return [a for a in self.broker.assignments if a.run_id == run_id]


class Watched:
    """One node's line to the store: `cut` makes every call fail, `after_commit` raises what it holds once
    a commit is carried out, `frozen` keeps every call waiting."""

    def __init__(self, store):
        self._store = store
        self.cut = False
        self.after_commit = []
        self.commits = []

    def __getattr__(self, name):
        found = getattr(self._store, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*args, **named):
            if self.cut:
                raise StoreUnavailable("the line is cut")
            return await found(*args, **named)

        return call

    async def commit(self, batch):
        if self.cut:
            raise StoreUnavailable("the line is cut")
        self.commits += batch
        outcomes = await self._store.commit(batch)
        if self.after_commit:
            raise self.after_commit.pop()
        return outcomes


class Cluster:
    """Nodes `a`, `b`, … over one store and clock."""

    def __init__(self):
        self.clock = FakeClock()
        self.store = MemoryStore(history=True, shared=True, clock=self.clock)
        self.errors = CollectingSink()
        self.nodes = []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        for node in self.nodes:
            node.store.cut = False
            await node.engine.stop()

    async def node(self, name):
        node = Node(self, name)
        self.nodes.append(node)
        await node.engine.start()
        await self.settle()
        return node

    async def settle(self):
        await self.clock.settle()

    async def advance(self, seconds):
        await self.clock.advance(timedelta(seconds=seconds))

    async def submit(self, node, document, **options):
        run_id = await node.engine.submit(document, **options)
        await self.settle()
        return run_id

    async def owner(self, run_id):
        return (await self.store.run(run_id)).held_by

    async def answered(self, call):
        """The result of a call that has to travel to another node."""
        task = asyncio.ensure_future(call)
        for _ in range(20):
            await self.settle()
        assert task.done(), "no answer came, with no time needed for it"
        return task.result()


@pytest.fixture
async def cluster():
    async with Cluster() as cluster:
        yield cluster


async def two(cluster):
    return await cluster.node("a"), await cluster.node("b")


# Ownership


async def test_a_run_belongs_to_the_engine_that_began_it_from_its_first_commit_on(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task())
    assert len(a.store.commits) == 1, "no commit more than without other engines"
    assert await cluster.owner(run_id) == a.engine._membership.number
    await cluster.advance(3 * LEASE)
    assert len(a.given(run_id)) == 1
    assert b.given(run_id) == []
    assert await cluster.owner(run_id) == a.engine._membership.number


async def test_runs_of_an_engine_that_stops_move_on_elsewhere_at_once(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task())
    await a.engine.stop()
    await cluster.advance(LEASE / 10)
    [again] = b.given(run_id)
    assert (again.fence.epoch, again.fence.delivery) == (2, 2)
    b.broker.complete(again)
    await cluster.settle()
    assert (await b.engine.get(run_id)).status is Phase.SUCCEEDED


async def test_runs_of_a_lost_engine_move_on_within_one_lease_and_a_sweep(cluster):
    a, b = await two(cluster)
    runs = [await cluster.submit(a, one_task()) for _ in range(300)]
    a.store.cut = True
    await cluster.advance(LEASE / 2)
    assert b.broker.assignments == [], "its lease has not passed"
    await cluster.advance(LEASE / 2 + LEASE / 10)
    assert sorted(x.run_id for x in b.broker.assignments) == sorted(runs)
    assert {x.fence.epoch for x in b.broker.assignments} == {2}
    log = await b.engine.log(runs[0])
    assert len(log) == 2, "begun, and taken over"


async def test_the_epoch_rises_before_anything_is_dispatched(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task())
    await a.engine.stop()
    b.store.after_commit = [CommitUnknown("no answer")]
    await cluster.advance(LEASE / 10)
    row = await cluster.store.run(run_id)
    assert (row.epoch, row.owner, row.claimed) == (2, b.engine._membership.number, 0)
    await cluster.advance(1)
    assert [x.fence.epoch for x in b.given(run_id)] == [2]


async def test_late_results_of_the_old_owner_change_nothing(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task())
    [old] = a.given(run_id)
    a.store.cut = True
    await cluster.advance(1.2 * LEASE)
    [new] = b.given(run_id)
    a.store.cut = False
    a.broker.complete(old, value="late")
    await cluster.advance(2 * LEASE)
    run = await b.engine.get(run_id)
    assert run.status is not Phase.SUCCEEDED
    b.broker.complete(new, value="good")
    await cluster.settle()
    run = await b.engine.get(run_id)
    assert run.status is Phase.SUCCEEDED
    assert run.task("only").output_values == {"value": "good"}


async def test_an_engine_that_slept_through_its_lease_decides_nothing_before_it_has_asked(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, two_tasks())
    before = a.engine._membership.number
    [old] = a.given(run_id)
    a.store.cut = True
    await cluster.advance(1.2 * LEASE)
    assert len(b.given(run_id)) == 1
    a.store.cut = False
    a.store.commits.clear()
    a.broker.complete(old)  # the paused process wakes up with a result in its hands
    await cluster.advance(LEASE)
    assert a.engine._membership.number != before, "it has a new session"
    assert a.store.commits == []
    assert [x.task_name for x in a.given(run_id)] == ["first"], "and hands out nothing more"
    assert await cluster.owner(run_id) == b.engine._membership.number


async def test_an_engine_that_lost_its_session_goes_on_with_what_nobody_took(cluster):
    a = await cluster.node("a")
    run_id = await cluster.submit(a, one_task())
    [old] = a.given(run_id)
    await cluster.store.end_session(a.engine._membership.number)
    await cluster.advance(LEASE)
    again = a.given(run_id)[-1]
    assert again.fence.epoch == 2
    a.broker.complete(old)
    a.broker.complete(again)
    await cluster.settle()
    assert (await a.engine.get(run_id)).status is Phase.SUCCEEDED
    fresh = await cluster.submit(a, one_task())
    assert await cluster.owner(fresh) == a.engine._membership.number


async def test_timers_of_a_run_go_with_it(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task(timeout="60s"))
    a.store.cut = True
    await cluster.advance(1.2 * LEASE)
    await cluster.advance(60)
    run = await b.engine.get(run_id)
    assert run.task("only").status is Phase.TIMEOUT
    assert a.broker.cancelled == []


async def test_a_commit_of_another_engine_is_never_taken_for_ours(cluster):
    """What got no answer was not carried out; somebody else's decision now has its number."""
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task())
    [old] = a.given(run_id)
    real = a.store.commit

    async def lost(batch):
        a.store.cut = True
        raise CommitUnknown("the line broke before it got there")

    a.store.commit = lost
    a.broker.complete(old, value="of a")
    await cluster.settle()
    a.store.commit = real
    await cluster.advance(1.2 * LEASE)  # b takes the run over: decision 2, as a's would have been
    assert (await cluster.store.run(run_id)).seq == 2
    a.store.cut = False
    await cluster.advance(2 * LEASE)
    assert (await b.engine.get(run_id)).status is not Phase.SUCCEEDED
    b.broker.complete(b.given(run_id)[-1], value="of b")
    await cluster.settle()
    run = await a.engine.get(run_id)
    assert run.task("only").output_values == {"value": "of b"}


# Inboxes


async def test_a_call_about_a_run_of_another_engine_is_carried_out_by_that_one(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task())
    await cluster.answered(b.engine.pause(run_id, "ann"))
    assert (await b.engine.get(run_id)).paused_at is not None
    await cluster.answered(b.engine.unpause(run_id))
    await cluster.answered(b.engine.cancel(run_id, "ann"))
    run = await a.engine.get(run_id)
    assert (run.status, run.message) == (Phase.CANCELLED, "cancelled by ann")
    assert len(a.broker.cancelled) == 1
    assert await cluster.owner(run_id) == a.engine._membership.number


async def test_whoever_asks_another_engine_gets_the_same_refusal(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, two_tasks())
    task = a.given(run_id)[0].task_run_id
    with pytest.raises(InvalidState) as here:
        await a.engine.resume(run_id, task)
    with pytest.raises(InvalidState) as there:
        await cluster.answered(b.engine.resume(run_id, task))
    assert here.value.problems == there.value.problems
    assert there.value.code == "not-suspended"
    with pytest.raises(NotFound) as unknown:
        await cluster.answered(b.engine.resume(run_id, f"{run_id}.77"))
    assert unknown.value.code == "task-not-found"
    await a.engine.cancel(run_id)
    with pytest.raises(InvalidState) as over:
        await cluster.answered(b.engine.cancel(run_id))
    assert over.value.code == "run-over"


async def test_a_suspended_task_is_resumed_once_whoever_asks(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task())
    [first] = a.given(run_id)
    a.broker.complete(first, Outcome.suspended("who is there?"))
    await cluster.settle()
    calls = [node.engine.resume(run_id, first.task_run_id, {"n": 1}) for node in (b, a, b)]
    answers = await cluster.answered(asyncio.gather(*calls, return_exceptions=True))
    assert sorted(str(getattr(each, "code", "")) for each in answers) == [
        "",
        "not-suspended",
        "not-suspended",
    ]
    assert [x.fence.delivery for x in a.given(run_id)] == [1, 2]


async def test_a_letter_whose_commit_got_no_answer_is_dealt_with_once(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task())
    [first] = a.given(run_id)
    a.broker.complete(first, Outcome.suspended("who is there?"))
    await cluster.settle()
    a.store.after_commit = [CommitUnknown("no answer")]
    call = asyncio.ensure_future(b.engine.resume(run_id, first.task_run_id))
    await cluster.advance(3)
    assert await soon(call) is None
    assert [x.fence.delivery for x in a.given(run_id)] == [1, 2]
    assert list(await cluster.store.inbox(a.engine._membership.number)) == []


async def test_a_letter_to_an_engine_that_dies_is_read_by_the_next(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task())
    a.store.cut = True
    call = asyncio.ensure_future(b.engine.cancel(run_id))
    await cluster.advance(2)
    assert not call.done()
    await cluster.advance(LEASE)
    assert await soon(call) is None
    assert (await b.engine.get(run_id)).status is Phase.CANCELLED


async def test_calls_for_another_engine_fail_when_this_one_stops(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task())
    a.store.cut = True
    call = asyncio.ensure_future(b.engine.cancel(run_id))
    await cluster.settle()
    await b.engine.stop()
    with pytest.raises(InvalidState, match="stopped"):
        await soon(call)


async def test_a_call_about_a_run_that_nobody_knows_is_answered_here(cluster):
    _, b = await two(cluster)
    with pytest.raises(NotFound):
        await cluster.answered(b.engine.cancel("nobody"))


# Waiting


async def test_whoever_waits_elsewhere_is_told_when_the_run_ends(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task())
    call = asyncio.ensure_future(b.engine.wait(run_id))
    await cluster.settle()
    a.broker.complete(a.given(run_id)[0], value=7)
    assert (await cluster.answered(call)).task("only").output_values == {"value": 7}


async def test_waiting_elsewhere_does_not_ask_the_store_without_end(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task())
    call = asyncio.ensure_future(b.engine.wait(run_id))
    await cluster.settle()
    asked = []
    real = cluster.store.run
    cluster.store.run = lambda each: asked.append(each) or real(each)
    await cluster.advance(30)
    assert asked == [], "nothing has changed"
    await a.engine.cancel(run_id)
    assert (await cluster.answered(call)).status is Phase.CANCELLED


async def test_a_word_that_was_lost_only_costs_a_second(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task())
    call = asyncio.ensure_future(b.engine.wait(run_id))
    await cluster.settle()
    cluster.store.tell = lambda words: None
    a.broker.complete(a.given(run_id)[0])
    await cluster.settle()
    assert not call.done()
    await cluster.advance(1)
    assert (await soon(call)).status is Phase.SUCCEEDED


async def test_whoever_watches_elsewhere_sees_changes_and_the_end(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, two_tasks())

    async def watch():
        views = [run.tasks async for run in b.engine.watch(run_id)]
        return [{task.task_name: str(task.status) for task in tasks} for tasks in views]

    task = asyncio.ensure_future(watch())
    await cluster.advance(1)
    for name in ("first", "second"):
        a.broker.complete(a.broker.named(name))
        await cluster.advance(1)
    seen = await soon(task)
    assert {"main": "Running", "first": "Succeeded", "second": "Ready"} in seen
    assert seen[-1] == {"main": "Succeeded", "first": "Succeeded", "second": "Succeeded"}


async def test_who_waits_for_a_run_whose_engine_dies_sees_it_end_elsewhere(cluster):
    a, b = await two(cluster)
    c = await cluster.node("c")
    run_id = await cluster.submit(a, one_task())
    call = asyncio.ensure_future(c.engine.wait(run_id))
    await cluster.settle()
    a.store.cut = True
    await cluster.advance(1.2 * LEASE)
    taker = b if b.given(run_id) else c
    taker.broker.complete(taker.given(run_id)[0])
    await cluster.advance(1)
    assert (await soon(call)).status is Phase.SUCCEEDED


# Crons


async def test_a_cron_fires_once_whichever_engines_there_are(cluster):
    a, b = await two(cluster)
    document = {
        "apiVersion": "aether/v1",
        "kind": "CronWorkflow",
        "metadata": {"name": "often"},
        "spec": {
            "schedule": "* * * * *",
            "timezone": "UTC",
            "workflowSpec": one_task()["spec"],
        },
    }
    cron_id = await a.engine.submit_cron(document)
    await cluster.advance(LEASE)  # b sees it with its next look
    await cluster.advance(600)
    runs = (await a.engine.list(RunQuery(cron_id=cron_id))).runs
    assert len(runs) == 10
    assert len({run.fire_at for run in runs}) == 10
    given = [*a.broker.assignments, *b.broker.assignments]
    assert sorted(x.run_id for x in given) == sorted(run.run_id for run in runs)
    a.store.cut = True
    await cluster.advance(600)
    runs = (await b.engine.list(RunQuery(cron_id=cron_id))).runs
    assert len(runs) == 20, "the others go on firing"


# Tiers


async def test_a_run_kept_as_snapshots_goes_on_elsewhere_from_its_last_one(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, two_tasks(), tier=SNAPSHOT)
    [first] = a.given(run_id)
    a.broker.complete(first)
    await cluster.advance(1)  # it is written down
    a.store.cut = True
    a.broker.complete(a.broker.named("second"))  # what follows is not
    await cluster.advance(1.2 * LEASE)
    assert [x.task_name for x in b.given(run_id)] == ["second"]
    a.store.cut = False
    await cluster.advance(2 * LEASE)
    assert (await a.engine.get(run_id)).status is not Phase.SUCCEEDED, "a reads what b writes"
    b.broker.complete(b.given(run_id)[-1])
    await cluster.advance(1)
    assert (await a.engine.get(run_id)).status is Phase.SUCCEEDED
    row = await cluster.store.run(run_id)
    assert (row.epoch, row.owner) == (2, b.engine._membership.number)


async def test_reading_a_run_of_another_engine_does_not_bring_it_here(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, two_tasks(), tier=SNAPSHOT)
    await cluster.advance(1)
    assert [task.task_name for task in (await b.engine.get(run_id)).tasks] == ["main", "first"]
    a.broker.complete(a.given(run_id)[0])
    await cluster.advance(1)
    assert (await b.engine.get(run_id)).task("first").status is Phase.SUCCEEDED
    await cluster.answered(b.engine.cancel(run_id))
    assert (await a.engine.get(run_id)).status is Phase.CANCELLED


async def test_a_run_in_memory_goes_on_when_its_engine_has_lost_its_session(cluster):
    a, b = await two(cluster)
    run_id = await cluster.submit(a, one_task(), tier=MEMORY)
    await cluster.store.end_session(a.engine._membership.number)
    await cluster.advance(LEASE)
    assert b.given(run_id) == []
    again = a.given(run_id)[-1]
    assert again.fence.epoch == 2
    a.broker.complete(again)
    await cluster.settle()
    assert (await a.engine.get(run_id)).status is Phase.SUCCEEDED
    with pytest.raises(NotFound):
        await cluster.answered(b.engine.cancel(run_id))


async def test_a_watch_that_began_while_a_request_was_on_its_way_hears_of_an_end_elsewhere():
    async with Cluster() as cluster:
        a, b = await cluster.node("a"), await cluster.node("b")
        run_id = await cluster.submit(a, one_task())
        load, arrived = b.store.load, asyncio.Event()

        async def late(ids):
            b.store.load = load
            await arrived.wait()
            return await load(ids)

        b.store.load = late
        pausing = asyncio.ensure_future(b.engine.pause(run_id))
        await cluster.settle()

        async def follow():
            return [view.status async for view in b.engine.watch(run_id)]

        watching = asyncio.ensure_future(follow())
        await cluster.settle()
        await a.engine.cancel(run_id)
        arrived.set()
        await cluster.settle()
        with pytest.raises(InvalidState):
            await pausing
        assert (await asyncio.wait_for(watching, 1))[-1] is Phase.CANCELLED


async def lose_it_while_it_commits(cluster, node, other, run_id):
    """Another node has taken the run before the answer to a commit of this one is heard."""
    commit = node.store.commit

    async def late(batch):
        node.store.commit = commit
        outcomes = await commit(batch)
        await cluster.store.end_session(node.engine._membership.number)
        await cluster.store.claim([run_id], other.engine._membership.number)
        await node.engine._membership.confirm()
        return outcomes

    node.store.commit = late
    await node.engine.pause(run_id)
    await cluster.settle()


async def test_a_run_lost_while_it_was_committed_is_let_go():
    async with Cluster() as cluster:
        a, b = await cluster.node("a"), await cluster.node("b")
        run_id = await cluster.submit(a, one_task())
        await lose_it_while_it_commits(cluster, a, b, run_id)
        assert a.engine._runs.held(run_id) is None


async def test_a_watch_that_begins_while_a_lost_run_is_committed_hears_of_its_end():
    async with Cluster() as cluster:
        a, b = await cluster.node("a"), await cluster.node("b")
        run_id = await cluster.submit(a, one_task())
        confirm = a.engine._membership.confirm

        async def follow():
            return [view.status async for view in a.engine.watch(run_id)]

        async def confirmed():
            nonlocal watching
            await confirm()
            watching = asyncio.ensure_future(follow())
            for _ in range(9):
                await asyncio.sleep(0)

        watching = None
        a.engine._membership.confirm = confirmed
        await lose_it_while_it_commits(cluster, a, b, run_id)
        await b.engine.cancel(run_id)
        await cluster.advance(3)
        assert (await asyncio.wait_for(watching, 1))[-1] is Phase.CANCELLED


async def test_a_run_that_another_engine_made_and_ended_while_the_store_was_away_exists():
    async with Cluster() as cluster:
        a, b = await cluster.node("a"), await cluster.node("b")
        commit = a.store.commit

        async def too_late(batch):
            a.store.commit = commit
            await b.engine.submit(one_task(), run_id="same")
            await b.engine.cancel("same")
            raise StoreUnavailable("not now")

        a.store.commit = too_late
        submitting = asyncio.ensure_future(a.engine.submit(one_task(), run_id="same"))
        await cluster.advance(3)
        with pytest.raises(Refused, match="run-exists"):
            await submitting
        assert (await b.engine.get("same")).status is Phase.CANCELLED
        assert [fault.what for fault in cluster.errors.faults if fault.severity == "critical"] == []


async def test_a_submit_in_doubt_whose_run_another_engine_took_over_was_done():
    async with Cluster() as cluster:
        a, b = await cluster.node("a"), await cluster.node("b")
        commit = a.store.commit

        async def unheard(batch):
            a.store.commit = commit
            await commit(batch)
            await cluster.store.end_session(a.engine._membership.number)
            await b.engine._runs.recovery._sweep()
            raise CommitUnknown("the line broke")

        a.store.commit = unheard
        submitting = asyncio.ensure_future(a.engine.submit(one_task(), run_id="r"))
        await cluster.advance(3)
        assert await submitting == "r"
        assert await cluster.owner("r") == b.engine._membership.number
