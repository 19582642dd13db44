"""A function runs, its steps are recorded, and what comes of it is what it returned."""

from aether.errors import StoreUnavailable
from aether.record import Completed, StepDone


async def double(x):
    return x * 2


def triple(x):
    return x * 3


async def test_steps_run_and_their_results_are_returned(world):
    async def flow(ctx, x):
        y = await ctx.step("double", double, x)
        z = await ctx.step("triple", triple, y)
        return await ctx.step("closure", lambda: z + 1)

    assert await world.run(flow, 5) == 31


async def test_last_step_and_end_share_one_append(world):
    async def flow(ctx):
        await ctx.step("a", double, 1)
        return await ctx.step("b", double, 2)

    assert await world.run(flow) == 4
    commits = world.journal.book("r").commits
    assert [[type(fact) for fact in facts] for facts in commits] == [
        [StepDone],
        [StepDone, Completed],
    ]


async def test_a_record_that_cannot_be_read_yet_is_read_later(world):
    async def flow(ctx):
        await ctx.step("a", double, 1)
        await ctx.wait_for("go")
        return await ctx.step("b", double, 2)

    world.auto["go"] = 1
    world.begin(flow)
    await world.settled()
    world.new_process()
    rows, away = world.journal.rows, [StoreUnavailable("not now"), StoreUnavailable("nor now")]

    async def late(run_id):
        if away:
            raise away.pop()
        return await rows(run_id)

    world.journal.rows = late
    world.journal.take_over("r")
    await world.passes(seconds=10)
    assert away == []
    world.faults.clear()
    assert await world.result() == 4
