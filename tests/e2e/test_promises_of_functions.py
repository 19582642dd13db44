"""What people expect of functions from their first day: each was once broken somewhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aether import Aether, Context, WorkflowCancelled, WorkflowFailed, activity, workflow
from aether.adapters.broker import LocalBroker
from aether.adapters.executor import FunctionExecutor
from aether.app import Worker
from aether.record import Phase


@pytest.fixture
async def app() -> AsyncIterator[Aether]:
    async with Aether("memory:") as up:
        yield up


async def test_workflow_that_throws_ends_failed(app: Aether) -> None:
    @app.workflow("throws")
    async def throws(ctx: Context) -> None:
        raise ValueError("no such order")

    await app.serve([throws])
    run = await throws.start()
    with pytest.raises(WorkflowFailed, match="no such order") as caught:
        await run.result(timeout=5)
    assert isinstance(caught.value.__cause__, ValueError)
    status = await run.status()
    assert status.status is Phase.FAILED
    assert not status.waiting_for


async def test_serve_and_then_start_and_wait_in_one_script(tmp_path: Path) -> None:
    app = Aether(f"sqlite:///{tmp_path}/a.db")

    @workflow("greets")
    async def greets(ctx: Context, name: str) -> str:
        return f"Hello, {name}!"

    await app.serve([greets])  # returns
    assert await asyncio.wait_for(greets.start_and_wait("Ada"), 5) == "Hello, Ada!"
    await app.stop()


async def test_start_and_wait_returns_the_value_and_passes_every_argument(app: Aether) -> None:
    @app.workflow("takes")
    async def takes(
        ctx: Context, a: int, b: str = "b", *rest: int, c: float, d: None = None, **more: Any
    ) -> list[Any]:
        return [a, b, list(rest), c, d, more]

    await app.serve([takes])
    value = await takes.start_and_wait(1, "x", 3, 4, c=2.5, e=[1, {"f": None}])
    assert value == [1, "x", [3, 4], 2.5, None, {"e": [1, {"f": None}]}]
    assert await takes.start_and_wait(1, c=0.0) == [1, "b", [], 0.0, None, {}]


async def test_two_workers_never_both_complete_one_task() -> None:
    done: Counter[str] = Counter()
    broker = LocalBroker()
    app = Aether("memory:", broker=broker)

    @app.workflow("many")
    async def many(ctx: Context, count: int) -> list[int]:
        return await ctx.parallel([lambda n=n: ctx.activity("double", n=n) for n in range(count)])

    async def double(n: int) -> dict[str, int]:
        done[f"{n}"] += 1
        await asyncio.sleep(0)
        return {"result": 2 * n}

    workers = [
        Worker(broker, [FunctionExecutor("double", double)], worker_id=f"w{n}") for n in range(2)
    ]
    async with app, workers[0], workers[1]:
        run = await many.start(200)
        assert await run.result(timeout=20) == [2 * n for n in range(200)]
        history = [task for task in await run.history() if task.template_type == "activity"]
    assert len(history) == 200
    assert set(done.values()) == {1}
    assert all(task.status is Phase.SUCCEEDED and task.attempt == 1 for task in history)


async def test_worker_runs_only_its_own_types() -> None:
    ran: list[str] = []

    def executor(name: str) -> FunctionExecutor:
        async def call() -> dict[str, str]:
            ran.append(name)
            return {"result": name}

        return FunctionExecutor(name, call)

    broker = LocalBroker()
    app = Aether("memory:", broker=broker)

    @app.workflow("both")
    async def both(ctx: Context) -> list[str]:
        return [await ctx.activity("mine"), await ctx.activity("yours")]

    async with app, Worker(broker, [executor("mine")], worker_id="mine"):
        run = await both.start()
        async for status in run.watch():
            if any("yours" in why for why in status.waiting_for):
                break
        assert ran == ["mine"]
        async with Worker(broker, [executor("yours")], worker_id="yours"):
            assert await run.result(timeout=5) == ["mine", "yours"]
    assert ran == ["mine", "yours"]


async def test_parent_and_child_share_one_worker_with_one_slot() -> None:
    app = Aether("memory:", slots=1)

    @app.workflow("leaf")
    async def leaf(ctx: Context, n: int) -> int:
        return n

    @app.workflow("tree")
    async def tree(ctx: Context, depth: int) -> int:
        if depth == 0:
            return await ctx.child(leaf, 1)
        below = await ctx.parallel([lambda: ctx.child(tree, depth - 1) for _ in range(2)])
        return sum(below)

    async with app:
        assert await asyncio.wait_for(tree.start_and_wait(3), 20) == 8


async def test_waiting_ends_when_the_run_is_cancelled(app: Aether) -> None:
    @app.workflow("waits")
    async def waits(ctx: Context) -> None:
        await ctx.wait_for("never")

    await app.serve([waits])
    run = await waits.start()
    waiting = [asyncio.create_task(run.result()) for _ in range(3)]
    await asyncio.sleep(0)
    await run.cancel()
    for waiter in waiting:
        with pytest.raises(WorkflowCancelled):
            await asyncio.wait_for(waiter, 5)


async def test_waiting_may_be_given_up_and_the_run_goes_on(app: Aether) -> None:
    @app.workflow("patient")
    async def patient(ctx: Context) -> str:
        return await ctx.wait_for("go")

    await app.serve([patient])
    run = await patient.start()
    waiting = asyncio.create_task(run.result())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await run.signal("go", "on")
    assert await run.result(timeout=5) == "on"


@pytest.mark.parametrize("name", ["check-inventory", "with space", "a.b/c#d:e", "größe", "0"])
async def test_step_name_may_be_anything_and_may_be_used_twice(app: Aether, name: str) -> None:
    @app.workflow("names")
    async def names(ctx: Context) -> list[int]:
        return [await ctx.step(name, lambda n=n: n) for n in range(3)]

    await app.serve([names])
    run = await names.start()
    assert await run.result(timeout=5) == [0, 1, 2]
    assert [step.task_name for step in await run.history()] == [name] * 3


async def test_activity_outside_of_a_workflow_is_the_function() -> None:
    @activity("plain")
    def plain(n: int) -> int:
        return n + 1

    assert plain(1) == 2
