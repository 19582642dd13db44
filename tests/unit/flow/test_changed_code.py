"""Code that does not fit its record is stopped before it does anything, and both sides are shown."""

import pytest

from unit.flow.flow_world import World

pytestmark = pytest.mark.asyncio

done: list[str] = []


async def work(name):
    done.append(name)
    return name


async def old(ctx):
    await ctx.step("a", work, "a")
    await ctx.step("b", work, "b")
    await ctx.sleep(hours=1)
    return await ctx.step("c", work, "c")


async def reordered(ctx):
    await ctx.step("b", work, "b")
    await ctx.step("a", work, "a")
    await ctx.sleep(hours=1)


async def renamed(ctx):
    await ctx.step("a", work, "a")
    await ctx.step("bee", work, "b")
    await ctx.sleep(hours=1)


async def removed(ctx):
    await ctx.step("a", work, "a")
    await ctx.sleep(hours=1)


async def removed_at_the_end(ctx):
    return await ctx.step("a", work, "a")


async def added(ctx):
    await ctx.step("a", work, "a")
    await ctx.step("new", work, "new")
    await ctx.step("b", work, "b")
    await ctx.sleep(hours=1)


async def other_arguments(ctx):
    await ctx.step("a", work, "a")
    await ctx.step("b", work, "B")
    await ctx.sleep(hours=1)


async def other_kind(ctx):
    await ctx.step("a", work, "a")
    await ctx.wait_for("b")


async def patched(ctx):
    await ctx.step("a", work, "a")
    if ctx.patched("new-way"):
        await ctx.step("new", work, "new")
    else:
        await ctx.step("b", work, "b")
    await ctx.sleep(hours=1)
    if ctx.patched("later"):
        return await ctx.step("later", work, "later")
    return None


async def catches_everything(ctx):
    try:
        await ctx.step("other", work, "other")
    except BaseException:
        done.append("caught")
        raise


async def recorded(world):
    book = world.begin(old)
    await world.settled()
    done.clear()
    world.new_process()
    return book


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (reordered, ["step 'a'", "step 'b'"]),
        (renamed, ["step 'b'", "step 'bee'"]),
        (removed, ["step 'b'", "timer 'sleep'"]),
        (removed_at_the_end, ["step 'b'"]),
        (added, ["step 'b'", "step 'new'"]),
        (other_arguments, ["step 'b'", '"B"', '"b"']),
        (other_kind, ["step 'b'", "wait 'b'"]),
        (catches_everything, ["step 'a'", "step 'other'"]),
    ],
)
async def test_code_that_does_not_fit_is_found_before_anything_runs(world, changed, words):
    book = await recorded(world)
    world.serve(changed)
    assert await world.runtime.fits(
        world.hosts["flow"].definition, "r", await world.journal.rows("r")
    )
    await world.passes(hours=1)
    for word in words:
        assert word in book.stuck
    assert "test_changed_code.py:" in book.stuck
    assert not book.root.phase.is_terminal
    assert not [name for name in done if name != "caught"]


async def test_stuck_run_goes_on_with_code_that_fits(world):
    book = await recorded(world)
    world.serve(renamed)
    await world.passes(hours=1)
    assert book.stuck
    world.serve(old)
    book.stuck = ""
    world.journal.take_over("r")
    assert await world.result() == "c"


async def test_patched_code_takes_the_old_way_where_it_passed_and_the_new_way_after(world):
    await recorded(world)
    world.serve(patched)
    assert not await world.runtime.fits(
        world.hosts["flow"].definition, "r", await world.journal.rows("r")
    )
    assert await world.result() == "later"
    assert done == ["later"]


async def test_patched_code_takes_the_new_way_in_a_new_run():
    world = World()
    assert await world.run(patched) == "later"
    done.clear()
    world.close()


async def test_patch_stays_taken_when_the_run_is_replayed(world):
    world.begin(patched)
    await world.settled()
    world.new_process()
    done.clear()
    assert await world.result() == "later"
    assert done == ["later"]
