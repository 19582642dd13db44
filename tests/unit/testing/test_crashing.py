"""crash_at_every_step finds what does not survive, and says where; replay finds what does not fit."""

from __future__ import annotations

import asyncio

import pytest

from aether import Aether, Context, Retry, workflow
from aether.testing import Environment, crash_at_every_step, crashing, replay

app = Aether("memory:")
effects: list[str] = []


async def work(name: str) -> str:
    effects.append(name)
    return name


@app.activity(retry=Retry(attempts=2, initial="1h"))
def charge(order: str) -> int:
    effects.append("charge")
    return 7


@app.workflow("sound")
async def sound(ctx: Context, order: str) -> list[object]:
    first = await ctx.step("first", work, "first")
    paid = await charge(order)
    await ctx.sleep(days=30)
    told = await ctx.wait_for("go")
    both = await ctx.parallel([lambda n=n: ctx.step(n, work, n) for n in ("a", "b")])
    return [first, paid, told, both, ctx.random()]


@workflow
async def forgetful(ctx: Context) -> list[str]:
    effects.append("outside of any step")
    await ctx.step("first", work, "first")
    await ctx.step("second", work, "second")
    return list(effects)


@pytest.mark.parametrize("tier", ["state-action-log", "snapshot", "memory"])
async def test_workflow_that_keeps_the_rules_survives(tier: str) -> None:
    report = await crash_at_every_step(sound, "o-1", signals={"go": "yes"}, tier=tier)
    assert report.result[:4] == ["first", 7, "yes", ["a", "b"]]
    assert report.crashes >= 4
    assert not report.error


async def test_workflow_that_remembers_outside_of_its_record_is_found() -> None:
    with pytest.raises(AssertionError, match=r"killed after commit 1 of .* instead of .* \(seed"):
        await crash_at_every_step(forgetful, before=effects.clear, seed=7)


async def test_failure_that_is_always_the_same_is_a_result() -> None:
    @workflow
    async def fails(ctx: Context) -> None:
        await ctx.step("first", work, "first")
        raise LookupError("there is no order")

    report = await crash_at_every_step(fails)
    assert report.error == "WorkflowFailed: LookupError: there is no order"


async def test_step_that_is_on_record_and_executed_again_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An engine that keeps its word is told to have had `second` on record all along."""
    monkeypatch.setattr(crashing, "_ended", lambda record: {"crash-test second #0"})

    @workflow
    async def two(ctx: Context) -> str:
        await ctx.step("first", work, "first")
        return await ctx.step("second", work, "second")

    with pytest.raises(AssertionError, match=r"executed again what was on record: .*second #0"):
        await crash_at_every_step(two)


async def test_places_to_die_are_chosen_by_the_seed_where_there_are_many() -> None:
    @workflow
    async def long(ctx: Context) -> int:
        for n in range(20):
            await ctx.step(f"s{n}", work, "s")
        return 20

    report = await crash_at_every_step(long, most=5, seed=1)
    assert (report.result, report.crashes, report.seed) == (20, 5, 1)


async def test_replay_takes_the_record_of_an_environment() -> None:
    async def renamed(ctx: Context, order: str) -> None:
        await ctx.step("other", work, "first")

    async with Environment(app) as env:
        await env.start(sound, "o-1")
        await env.advance(days=1)
        await env.kill()
        [rows] = await env.record()
        await replay(rows, sound)
        with pytest.raises(AssertionError, match="step 'other'"):
            await replay(rows, renamed)
        effects.clear()
        await asyncio.sleep(0)
        assert not effects
