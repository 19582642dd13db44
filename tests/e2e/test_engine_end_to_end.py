"""Engine, broker and worker together in one process, as a program would use them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from aether.adapters.errors import CollectingSink
from aether.adapters.store.memory import MemoryStore
from aether.app import Aether
from aether.errors import StoreUnavailable
from aether.ports import Outcome


def document(*nodes, **spec):
    return {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "example"},
        "spec": {
            "entrypoint": "main",
            "templates": [{"dag": {"name": "main", "tasks": list(nodes)}}],
        }
        | spec,
    }


def node(name, executor, *dependencies, **members):
    return {
        "name": name,
        "executor": {"type": executor},
        "dependencies": list(dependencies),
    } | members


def inputs(**values):
    return {"parameters": [{"name": name, "value": value} for name, value in values.items()]}


async def test_functions_hand_values_on_and_are_tried_again():
    app = Aether("memory:", error_sink=CollectingSink())
    failures = ["once", "twice"]

    @app.executor("flaky")
    async def flaky(n):
        if failures:
            raise OSError(failures.pop())
        return {"n": n + 1}

    @app.executor("double")
    def double(n):
        return {"n": n * 2}

    async with app:
        run = await app.submit_and_wait(
            document(
                node(
                    "a",
                    "flaky",
                    inputs=inputs(n=20),
                    retry={"limit": 2, "backoff": {"initial": "1ms"}},
                ),
                node("b", "double", "a", inputs=inputs(n="{{tasks.a.outputs.parameters.n}}")),
            )
        )
    assert run.status == "Succeeded"
    assert [(t.task_name, t.retry_count) for t in run.tasks] == [("main", 0), ("a", 2), ("b", 0)]
    assert {v.name: v.value for v in run.tasks[2].outputs} == {"n": 42}


async def test_cancel_reaches_the_function_that_runs():
    app = Aether("memory:", error_sink=CollectingSink())
    began, ended = asyncio.Event(), asyncio.Event()

    @app.executor("endless")
    async def endless():
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with app:
        run_id = await app.submit(document(node("a", "endless"), node("b", "echo", "a")))
        await began.wait()
        await app.cancel(run_id)
        await ended.wait()
        run = await app.wait(run_id)
    assert [str(t.status) for t in run.tasks] == ["Cancelled", "Cancelled"]


async def test_work_that_one_program_left_is_finished_by_the_next():
    store = MemoryStore()
    began = asyncio.Event()

    def program(function):
        app = Aether("memory:", store=store, error_sink=CollectingSink())
        app.executor("work")(function)
        return app

    async def stuck():
        began.set()
        await asyncio.Event().wait()

    async def quick():
        return {"answer": 42}

    first = program(stuck)
    await first.start()
    run_id = await first.submit(document(node("a", "work"), node("b", "await", "a")))
    await began.wait()
    await first.engine.stop()
    second = program(quick)
    await second.start()
    async for run in second.watch(run_id):
        asleep = [t.task_run_id for t in run.tasks if t.status == "Suspended"]
        if asleep:
            await second.resume(run_id, asleep[0])
    assert run.status == "Succeeded"
    assert [t.attempt for t in run.tasks] == [1, 1, 1]
    await second.stop()
    await first.stop(timedelta(0))


async def test_hundred_runs_at_once_all_end_and_leave_nothing_in_memory():
    app = Aether("memory:", error_sink=CollectingSink())
    async with app:
        work = document(*(node(f"n{i}", "echo", *([f"n{i - 1}"] if i else [])) for i in range(5)))
        ids = await asyncio.gather(*(app.submit(work) for _ in range(100)))
        runs = await asyncio.gather(*map(app.wait, ids))
        assert {str(run.status) for run in runs} == {"Succeeded"}
        assert {run.progress for run in runs} == {"6/6"}
        assert app.engine._runs._live == {}


async def test_suspended_outcome_with_a_deadline_is_seen_by_whoever_watches():
    app = Aether("memory:", error_sink=CollectingSink())

    @app.executor("ask")
    async def ask(answer=None):
        return Outcome.suspended("well?") if answer is None else {"said": answer}

    async with app:
        run_id = await app.submit(document(node("a", "ask")))
        seen = []
        async for run in app.watch(run_id):
            seen.append(str(run.tasks[1].status))
            if seen[-1] == "Suspended":
                await app.resume(run_id, run.tasks[1].task_run_id, {"answer": "yes"})
    assert seen[-1] == "Succeeded"
    assert {v.name: v.value for v in run.tasks[1].outputs} == {"said": "yes"}


async def test_program_whose_store_is_away_stops_whole_and_says_so():
    class Away(MemoryStore):
        async def schemas(self):
            raise StoreUnavailable("no route to the store")

    before = asyncio.all_tasks()
    app = Aether("memory:", store=Away(), error_sink=CollectingSink())
    with pytest.raises(StoreUnavailable, match="no route"):
        await app.start()
    assert asyncio.all_tasks() == before
