"""Limits of workflows and activities in code."""

from __future__ import annotations

import asyncio

import pytest

from aether import Aether, Context, Limit, Refused, Retry


class Gauge:
    """How many are inside at once, and what was the most."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self.names: list[str] = []

    async def pass_by(self, name: str) -> str:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.names.append(name)
        await asyncio.sleep(0.002)
        self.inside -= 1
        return name


async def test_no_more_runs_of_one_key_are_under_way_than_the_limit() -> None:
    gauges = {"a": Gauge(), "b": Gauge()}
    async with Aether("memory:") as app:

        @app.workflow(limits=[Limit("customer:{customer}", concurrency=2)])
        async def serve(ctx: Context, customer: str, n: int) -> str:
            return await ctx.step("work", lambda: gauges[customer].pass_by(str(n)))

        await app.serve()
        handles = [await serve.start(c, n) for n in range(6) for c in ("a", "b")]
        assert [await handle.result() for handle in handles] == [
            str(n) for n in range(6) for _ in "ab"
        ]
    assert [gauge.most for gauge in gauges.values()] == [2, 2]
    assert gauges["a"].names == ["0", "1", "2", "3", "4", "5"]


async def test_no_more_activities_of_one_key_are_at_work_than_the_limit() -> None:
    gauge = Gauge()
    async with Aether("memory:") as app:

        @app.activity(limits=[Limit(lambda n: f"odd:{n % 2}", concurrency=1)])
        async def work(n: int) -> str:
            return await gauge.pass_by(str(n))

        @app.workflow
        async def many(ctx: Context) -> list[str]:
            return await asyncio.gather(*(work(n) for n in range(8)))

        await app.serve()
        assert await many.start_and_wait() == [str(n) for n in range(8)]
    assert gauge.most == 2


async def test_an_activity_that_is_tried_again_waits_for_its_turn_again() -> None:
    tries: list[str] = []
    async with Aether("memory:") as app:

        @app.activity(
            limits=[Limit("api", concurrency=1)], retry=Retry(attempts=2, initial=0, jitter=0)
        )
        async def work(name: str) -> str:
            tries.append(name)
            if tries.count(name) == 1:
                raise ValueError(name)
            return name

        @app.workflow
        async def both(ctx: Context) -> list[str]:
            return await asyncio.gather(work("a"), work("b"))

        await app.serve()
        assert await both.start_and_wait() == ["a", "b"]
    assert tries == ["a", "b", "a", "b"]


async def test_a_child_does_not_wait_for_what_its_parent_holds() -> None:
    async with Aether("memory:") as app:

        @app.workflow(limits=[Limit("tree", concurrency=1)])
        async def tree(ctx: Context, depth: int) -> int:
            return 1 + (await ctx.child(tree, depth - 1) if depth else 0)

        await app.serve()
        handles = [await tree.start(2), await tree.start(1)]
        assert [await handle.result() for handle in handles] == [3, 2]


async def test_a_run_that_waits_says_for_which_key_and_who_holds_it() -> None:
    async with Aether("memory:") as app:

        @app.workflow(limits=[Limit("one", concurrency=1)])
        async def hold(ctx: Context) -> None:
            await ctx.wait_for("go")

        await app.serve()
        first, second = await hold.start(id="first"), await hold.start(id="second")
        waiting = (await app.get("second")).waiting_for
        assert waiting == ["waiting for a slot of 'one': 1 of 1 held by run first"]
        await first.signal("go")
        await second.signal("go")
        await second.result()


async def test_higher_priority_begins_first() -> None:
    begun: list[str] = []
    async with Aether("memory:") as app:

        @app.workflow(limits=[Limit("one", concurrency=1)])
        async def work(ctx: Context, name: str) -> None:
            begun.append(name)
            if name == "first":
                await ctx.wait_for("go")

        await app.serve()
        first = await work.start("first")
        others = [await work.options(priority=p).start(str(p)) for p in (1, 900, 500)]
        await first.signal("go")
        for handle in others:
            await handle.result()
    assert begun == ["first", "900", "500", "1"]


async def test_a_document_that_runs_the_function_keeps_its_limits() -> None:
    gauge = Gauge()
    task = {"name": "run", "executor": {"type": "workflow:serve"}}
    task["inputs"] = {"parameters": [{"name": "customer", "value": "a"}]}
    document = {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "doc"},
        "spec": {"entrypoint": "run", "templates": [{"task": task}]},
    }
    async with Aether("memory:") as app:

        @app.workflow(name := "serve", limits=[Limit("customer:{customer}", concurrency=1)])
        async def serve(ctx: Context, customer: str) -> str:
            return await ctx.step("work", lambda: gauge.pass_by(customer))

        await app.serve()
        runs = [await app.submit(document) for _ in range(3)]
        for run in runs:
            assert str((await app.wait(run)).status) == "Succeeded"
    assert gauge.most == 1
    assert name == "serve"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Limit("key"),
        lambda: Limit("", concurrency=1),
        lambda: Limit("key", rate="often"),
        lambda: Limit("key", concurrency=-1),
    ],
)
def test_a_limit_that_limits_nothing_is_refused(make) -> None:
    with pytest.raises(Refused, match="bad-limit"):
        make()


async def test_a_key_of_an_argument_that_is_not_there_is_refused_at_the_start() -> None:
    async with Aether("memory:") as app:

        @app.workflow(limits=[Limit("customer:{name}", concurrency=2)])
        async def serve(ctx: Context, customer: str) -> None: ...

        await app.serve()
        with pytest.raises(Refused, match="bad-limit"):
            await serve.start("a")


async def test_of_a_singleton_there_is_one_run_at_a_time_and_a_second_start_finds_it() -> None:
    async with Aether("memory:") as app:

        @app.workflow(singleton="sync:{account}")
        async def sync(ctx: Context, account: str) -> str:
            return str(await ctx.wait_for("go"))

        await app.serve()
        first, second, other = await asyncio.gather(
            sync.start("a"), sync.start("a"), sync.start("b")
        )
        assert first.id == second.id != other.id
        with pytest.raises(Refused, match="singleton-running"):
            await sync.options(on_existing="fail").start("a")
        for handle in (first, other):
            await handle.signal("go", "done")
        assert await second.result() == await other.result() == "done"
        third = await sync.start("a")
        assert third.id != first.id
        await third.signal("go")
        await third.result()


async def test_a_singleton_is_found_by_the_next_process(tmp_path) -> None:
    url = f"sqlite:///{tmp_path}/aether.db"
    ids = []
    for last in (False, True):
        async with Aether(url, finish=False) as app:

            @app.workflow("sync", singleton="sync")
            async def sync(ctx: Context) -> None:
                await ctx.wait_for("go")

            await app.serve()
            handle = await sync.start()
            ids.append(handle.id)
            if last:
                await handle.signal("go")
                await handle.result()
    assert ids[0] == ids[1]


async def test_a_template_that_is_a_child_does_not_wait_for_what_its_parent_holds() -> None:
    body = {"name": "t", "executor": {"type": "echo"}, "limits": [{"key": "k", "concurrency": 1}]}
    template = {
        "apiVersion": "aether/v1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": "child", "version": "1"},
        "spec": {
            "entrypoint": "t",
            "limits": [{"key": "k", "concurrency": 1}],
            "templates": [{"task": body}],
        },
    }
    async with Aether("memory:") as app:

        @app.workflow(limits=[Limit("k", concurrency=1)])
        async def parent(ctx: Context) -> str:
            await ctx.child("child@1")
            return "done"

        await app.put_template(template)
        await app.serve()
        assert await parent.start_and_wait() == "done"
