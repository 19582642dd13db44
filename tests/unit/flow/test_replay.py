"""Whatever a function does, a process that dies anywhere is continued by another to the same end."""

import pytest

from unit.flow.flow_world import World, crash_everywhere
from unit.flow.workflows import CASES, done


@pytest.mark.parametrize(("function", "expected"), CASES)
async def test_run_cut_anywhere_ends_the_same_and_repeats_no_recorded_step(function, expected):
    auto = {"go": "green", "charge": 7, "mailing@1": {"sent": 1}}
    await crash_everywhere(function, auto=auto, done=done, expected=expected)


async def test_time_is_the_same_in_a_replay_although_the_run_was_made_by_a_clock_that_was_ahead():
    async def flow(ctx):
        await ctx.step("first", lambda: 1)
        await ctx.step(f"at {ctx.now()}", lambda: 2)
        await ctx.wait_for("go")
        return f"{ctx.now()}"

    world = World()
    try:
        world.begin(flow)
        world.journal.book("r").root.created_at += 3_600_000_000
        await world.settled()
        world.new_process()
        world.auto["go"] = 1
        await world.result()
    finally:
        world.close()
