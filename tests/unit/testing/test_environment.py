"""A workflow of a month is tested in milliseconds, on a real engine."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from aether import Aether, Context, InvalidState, SignalTimeout, WorkflowFailed, workflow
from aether.testing import Environment

app = Aether("memory:")
charged: list[str] = []


@app.activity
def charge(order: str) -> int:
    charged.append(order)
    return 7


@app.step
def price(order: str) -> int:
    return len(order)


@app.workflow("month")
async def month(ctx: Context, order: str) -> list[object]:
    paid = await charge(order)
    for _ in range(30):
        await ctx.sleep(days=1)
    return [paid, price(order) if False else await ctx.step("price", price, order), ctx.now()]


@app.workflow("asks")
async def asks(ctx: Context) -> str:
    try:
        return await ctx.wait_for("answer", timeout="2d")
    except SignalTimeout:
        return "nobody"


async def test_a_month_passes_in_milliseconds():
    began = time.process_time()
    async with Environment(app, start=datetime(2030, 1, 1, tzinfo=UTC)) as env:
        paid, price_, now = await env.run(month, "o-1")
        assert (paid, price_) == (7, 3)
        assert now == datetime(2030, 1, 31, tzinfo=UTC)
        assert env.now - datetime(2030, 1, 31, tzinfo=UTC) < timedelta(seconds=1)
        assert not env.faults
    assert time.process_time() - began < 2


async def test_the_app_is_as_it_was_afterwards():
    before = (month._runs, month._ready)
    async with Environment(app) as env:
        assert (await month.start_and_wait("o-2"))[0] == 7  # starts here, whoever calls it
        assert env.runs
    assert (month._runs, month._ready) == before


async def test_fakes_stand_for_activities_and_steps_and_count():
    charged.clear()
    async with Environment(app) as env:
        with env.fake("charge", lambda order: 99) as fake, env.fake("price", 5):
            assert (await env.run(month, "o-1"))[:2] == [99, 5]
        assert fake.count == 1
        assert fake.calls == [((), {"order": "o-1"})]
        assert not charged
        assert (await env.run(month, "o-1"))[0] == 7
        assert charged == ["o-1"]


async def test_fake_raises_and_answers_one_after_the_other():
    async with Environment(app, fakes={"charge": [OSError("busy"), OSError("busy"), 3]}) as env:
        assert (await env.run(month, "o-1"))[0] == 3
        env.fake("charge", OSError("for ever"))
        with pytest.raises(WorkflowFailed, match="for ever"):
            await env.run(month, "o-1")


async def test_signal_is_sent_before_time_passes_or_not_at_all():
    async with Environment(app) as env:
        run = await env.start(asks)
        await env.settle()
        assert "until" in (await run.status()).waiting_for[-1]
        await run.signal("answer", "yes")
        assert await run.result() == "yes"
        assert await env.run(asks) == "nobody"
    async with Environment(app, signals={"answer": ["one", "two"]}) as env:
        assert [await env.run(asks) for _ in range(3)] == ["one", "two", "nobody"]


async def test_time_passes_as_far_as_it_is_told():
    async with Environment(app) as env:
        run = await env.start(asks)
        await env.advance(days=1)
        assert not (await run.status()).status.is_terminal
        await env.advance(days=1, seconds=1)
        assert (await run.status()).status.is_terminal


async def test_process_that_is_killed_goes_on_where_it_was(tmp_path):
    async with Environment(app, url=f"sqlite:///{tmp_path}/a.db") as env:
        run = await env.start(month, "o-1")
        await env.advance(days=3)
        await env.restart()
        assert (await run.result())[0] == 7
        assert sum(what.startswith("charge") for _, what, _ in env.calls) == 1


async def test_wait_for_what_never_comes_says_so():
    @workflow
    async def lonely(ctx: Context) -> None:
        await ctx.wait_for("godot")

    async with Environment() as env:
        with pytest.raises(InvalidState, match=r"nothing-happens.*signal 'godot'"):
            await env.run(lonely)


async def test_two_environments_do_not_disturb_each_other():
    async with Environment(app) as one, Environment(app) as other:
        await asyncio.gather(one.run(month, "a"), other.run(month, "b"))


async def test_long_work_makes_time_pass_as_it_does_outside():
    @workflow
    async def waits(ctx: Context) -> None:
        async with asyncio.timeout(0.3):
            await ctx.step("slow", asyncio.sleep, 60)

    async with Environment() as env:
        with pytest.raises(WorkflowFailed, match="TimeoutError"):
            await env.run(waits)


def test_same_seed_gives_the_same_chance():
    @workflow
    async def draws(ctx: Context) -> list[object]:
        return [ctx.random(), str(ctx.uuid())]

    async def once(seed: int) -> object:
        async with Environment(seed=seed) as env:
            return await env.run(draws)

    first, again, other = (asyncio.run(once(seed)) for seed in (1, 1, 2))
    assert first == again != other
