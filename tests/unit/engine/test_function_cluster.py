"""Runs of functions on several engines over one store."""

from __future__ import annotations

import asyncio

import pytest

from aether.errors import Superseded
from aether.ports import FunctionStart
from aether.record import ChildStarted, Completed, Parked, Path, Phase, StepDone, WaitOpened
from unit.engine.test_cluster import LEASE, Cluster


def path(name):
    return Path("", name, 0)


async def begun(cluster, node, run_id="r"):
    await node.engine.start_function(FunctionStart(name="f", version="1", run_id=run_id))
    await cluster.settle()
    [assignment] = node.given(run_id)
    node.broker.start(assignment)
    return assignment.fence


async def appended(cluster, node, fence, *facts, run_id="r", after=0):
    future = node.engine.journal.append(run_id, fence, after, facts)
    await cluster.settle()
    return await future


async def test_a_signal_reaches_a_run_wherever_it_is_held() -> None:
    async with Cluster() as cluster:
        a, b = await cluster.node("a"), await cluster.node("b")
        fence = await begun(cluster, a)
        await appended(cluster, a, fence, WaitOpened(path=path("go")))
        asking = asyncio.ensure_future(a.engine.journal.answers("r", fence, 0))
        telling = asyncio.ensure_future(b.engine.signal("r", "go", b"[1]"))
        await cluster.advance(2)
        await telling
        assert [row.outputs for row in await asking] == [b"[1]"]


async def test_an_engine_that_lost_its_run_takes_no_more_facts() -> None:
    async with Cluster() as cluster:
        a, b = await cluster.node("a"), await cluster.node("b")
        fence = await begun(cluster, a)
        asking = asyncio.ensure_future(a.engine.journal.answers("r", fence, 0))
        await cluster.settle()
        a.store.cut = True
        await cluster.advance(4 * LEASE)
        [again] = b.given("r")
        assert again.fence.epoch > fence.epoch
        a.store.cut = False
        await cluster.advance(LEASE)
        with pytest.raises(Superseded):
            await asking
        now = cluster.clock.now()
        step = StepDone(path=path("a"), started_at=now, finished_at=now)
        with pytest.raises(Superseded):
            await appended(cluster, a, fence, step)
        await appended(cluster, b, again.fence, step, Completed())
        run = await cluster.store.run("r")
        assert (run.phase, run.total) == (Phase.SUCCEEDED, 2)


async def test_the_end_of_a_child_that_another_engine_had_is_found_without_its_word() -> None:
    async with Cluster() as cluster:
        a, b = await cluster.node("a"), await cluster.node("b")
        fence = await begun(cluster, a)
        await b.engine._begin_function(FunctionStart(name="f", version="1"), "kid", parent="r.1")
        b.engine._runs.children._tell = lambda run_id, event: None  # it dies before it tells
        started = ChildStarted(path=path("kid"), run_id="kid", function="f")
        await appended(cluster, a, fence, started, Parked())
        [kid] = b.given("kid")
        await appended(cluster, b, kid.fence, Completed(outputs=b"[7]"), run_id="kid")
        await cluster.advance(3)
        rows = (await cluster.store.load(["r"]))[0]
        assert (rows.tasks[1].phase, rows.tasks[1].outputs) == (Phase.SUCCEEDED, b"[7]")
        assert len(a.given("r")) == 2


async def test_a_child_ends_with_its_parent_though_the_parents_engine_died() -> None:
    async with Cluster() as cluster:
        a = await cluster.node("a")
        fence = await begun(cluster, a)
        await appended(
            cluster, a, fence, ChildStarted(path=path("kid"), run_id="kid", function="f")
        )
        a.engine._runs.children.cancel = lambda run_id, reason: None  # it dies before it tells
        await appended(cluster, a, fence, Completed())
        assert not (await cluster.store.run("kid")).phase.is_terminal
        a.store.cut = True
        await cluster.node("b")
        await cluster.advance(4 * LEASE)
        assert (await cluster.store.run("kid")).phase is Phase.CANCELLED
