"""A script that was killed is started again: it starts its run under the same id, while the engine takes that
run up."""

from __future__ import annotations

import asyncio

import pytest

from aether.flow import decode
from unit.engine.function_engine import FunctionEngine, Process


async def flow(ctx, name):
    return f"hello {name}"


async def test_start_of_a_run_that_is_being_taken_up_attaches_and_the_run_goes_on():
    async with FunctionEngine(flow=flow) as world:
        worker = world.processes[-1].worker
        await worker.stop()  # so that it stays unfinished
        await world.start("flow", "Ada")
        await world.processes.pop().stop()
        process = Process(world)
        world.processes.append(process)
        await process.start()
        starting = asyncio.ensure_future(world.start("flow", "Ada"))  # at once, as a script does
        assert await asyncio.wait_for(starting, 5) == "r"
        ended = await process.engine.end("r", timeout=0)
        assert decode(ended.outputs) == "hello Ada"


@pytest.mark.parametrize("others", [1, 5])
async def test_signals_that_come_with_such_a_start_are_recorded(others):
    async def waits(ctx, name):
        return [await ctx.wait_for("go") for _ in range(others)]

    async with FunctionEngine(flow=waits) as world:
        await world.start("flow", "Ada")
        await world.processes.pop().stop()
        process = Process(world)
        world.processes.append(process)
        await process.start()
        calls = [world.start("flow", "Ada")]
        calls += [world.signal("go", n) for n in range(others)]
        await asyncio.gather(*calls)
        ended = await process.engine.end("r", timeout=0)
        assert sorted(decode(ended.outputs)) == list(range(others))
