"""Activities and steps: in workflows, in documents, outside, and completed by somebody else."""

from __future__ import annotations

import asyncio

import pytest

from aether import (
    Aether,
    BlockingContext,
    Context,
    InvalidState,
    Refused,
    Retry,
    activity,
    graph,
    step,
)


@pytest.fixture
async def asked(app):
    """(a workflow that waits for what people answer, the tokens of what they are asked)"""
    tokens: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    @app.activity(retry=Retry(attempts=2, initial=0.001))
    def ask(question: str) -> str:
        loop.call_soon_threadsafe(tokens.put_nowait, activity.info().token)
        activity.complete_later()

    @app.workflow
    async def asks(ctx: Context) -> str:
        return await ask("why?")

    return asks, tokens


async def test_an_activity_is_completed_from_outside_once(app, asked):
    asks, tokens = asked
    handle = await asks.start()
    token = await tokens.get()
    await app.complete(token, "because")
    assert await handle == "because"
    await app.complete(token, "or not")
    assert await handle == "because"


async def test_a_failure_from_outside_is_retried(app, asked):
    asks, tokens = asked
    handle = await asks.start()
    await app.fail(await tokens.get(), TimeoutError("nobody was there"))
    await app.complete(await tokens.get(), "at last")
    assert await handle == "at last"


async def test_a_token_that_is_none_is_refused(app):
    await app.serve()
    with pytest.raises(Refused) as caught:
        await app.complete("nonsense", 1)
    assert caught.value.code == "bad-token"


async def test_the_next_attempt_knows_what_the_last_heartbeat_said(app):
    seen = []

    @app.activity(retry=Retry(attempts=2, initial=0.001), heartbeat="5s")
    async def copy(rows: int) -> int:
        done = activity.details() or 0
        seen.append((activity.info().attempt, done))
        for row in range(done, rows):
            if row == 3 and done == 0:
                raise ConnectionError("lost")
            activity.heartbeat(row + 1)
        return rows

    @app.workflow
    async def copies(ctx: Context) -> int:
        return await copy(5)

    assert await copies.start_and_wait() == 5
    assert seen == [(1, 0), (2, 3)]


async def test_a_document_runs_activities(app):
    @app.activity("shop.price")
    def price(item: str, count: int = 1) -> int:
        return len(item) * count

    document = graph.Workflow("priced")
    task = document.task("price", "shop.price", {"item": "tea", "count": 2})
    document.output("price", task.outputs["result"])
    await app.serve()
    execution = await app.submit_and_wait(document.document())
    assert execution.output_values == {"price": 6}


async def test_bare_decorators_and_decorators_with_options_make_the_same(app):
    @step
    def one(n: int) -> int:
        return n + 1

    @app.step("two", retry=Retry(attempts=2))
    async def two(n: int) -> int:
        return n + 2

    @activity
    def three(n: int) -> int:
        return n + 3

    @app.activity("four", timeout="5s")
    async def four(n: int) -> int:
        return n + 4

    @app.workflow
    async def adds(ctx: Context) -> int:
        return await four(await three(await two(await one(0))))

    @app.workflow
    def adds_too(ctx: BlockingContext) -> int:
        return four(three(two(one(0))))

    await app.serve([three])
    assert await adds.start_and_wait() == 10
    assert await adds_too.start_and_wait() == 10
    assert (one.name, two.name, three.name, four.name) == ("one", "two", "three", "four")


async def test_outside_of_a_workflow_steps_and_activities_are_plain_functions(app):
    @app.step
    def double(n: int) -> int:
        return 2 * n

    @app.activity
    async def triple(n: int) -> int:
        activity.heartbeat(n)
        assert activity.details() is None
        return 3 * n

    assert double(2) == 4
    assert await triple(2) == 6
    with pytest.raises(InvalidState, match="no activity runs"):
        activity.info()


async def test_a_step_called_in_a_step_is_a_plain_call(app):
    @app.step
    def inner(n: int) -> int:
        return n + 1

    @app.step
    def outer(n: int) -> int:
        return inner(n) + 1

    @app.workflow
    async def nested(ctx: Context) -> int:
        return await outer(1)

    handle = await nested.start()
    assert await handle == 3
    assert [call.task_name for call in await handle.history()] == ["outer"]


async def test_what_is_no_activity_is_refused_with_the_way_out(app):
    def plain() -> None: ...

    @app.workflow
    async def wrong(ctx: Context) -> str:
        try:
            await ctx.activity(plain)
        except Refused as error:
            return error.code
        return ""

    assert await wrong.start_and_wait() == "not-an-activity"


async def test_methods_are_refused_where_they_are_used():
    app = Aether("memory:")

    class Shop:
        @app.step
        def open(self) -> None: ...

    with pytest.raises(Refused) as caught:
        Shop().open()
    assert caught.value.code == "decorated-method"
