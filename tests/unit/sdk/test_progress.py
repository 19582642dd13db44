"""Whoever holds a run can follow what its activities say of themselves."""

import asyncio

from aether import Aether, Context, activity


async def test_progress_of_an_activity_is_told_while_it_runs():
    app = Aether("memory:")
    heard, go_on = [], asyncio.Event()

    @app.activity
    async def copy(rows: int) -> int:
        activity.heartbeat({"done": rows // 2})
        await go_on.wait()
        return rows

    @app.workflow("copy")
    async def copying(ctx: Context, rows: int) -> int:
        return await ctx.activity(copy, rows)

    async with app, asyncio.timeout(10):
        run = await copying.start(100)
        async for name, told in run.progress():
            heard.append((name, told))
            go_on.set()
        assert await run.result() == 100
    assert heard == [("copy", {"done": 50})]


async def test_progress_of_a_run_without_heartbeats_ends_with_the_run():
    app = Aether("memory:")

    @app.workflow("quiet")
    async def quiet(ctx: Context) -> str:
        return await ctx.step("work", lambda: "done")

    async with app, asyncio.timeout(10):
        run = await quiet.start()
        assert [told async for told in run.progress()] == []
