"""Signals, updates, queries, and what a run says of itself."""

from __future__ import annotations

import pytest

from aether import (
    BlockingContext,
    Context,
    InvalidState,
    NotFound,
    Refused,
    RunQuery,
    WaitTimeout,
    WorkflowCancelled,
)


@pytest.fixture
def basket(app):
    """Items are added by updates until `done` is signalled."""

    @app.workflow("basket")
    async def basket(ctx: Context, owner: str) -> list[str]:
        items: list[str] = []

        def known(item: str, times: int = 1) -> None:
            if item == "anvil":
                raise ValueError("too heavy")

        async def add(item: str, times: int = 1) -> int:
            items.extend(await ctx.step("look-up", lambda: [item] * times))
            ctx.set_status({"items": len(items)})
            return len(items)

        def count(kind: str | None = None) -> int:
            return len(items) if kind is None else items.count(kind)

        ctx.on_update("add", add, validator=known)
        ctx.on_query("count", count)
        ctx.set_status({"items": 0})
        ctx.set_attributes(owner=owner)
        await ctx.wait_for("done")
        return items

    return basket


async def until(handle, holds):
    """The first execution for which `holds`."""
    async for execution in handle.watch():
        if holds(execution):
            return execution
    raise AssertionError("the run ended before")


async def test_signals_sent_before_anybody_waits_are_taken_in_order(app):
    @app.workflow
    async def two(ctx: Context) -> list[int]:
        return [await ctx.wait_for("n", type=int), await ctx.wait_for("n", type=int)]

    handle = await two.start()
    await handle.signal("n", 1)
    await handle.signal("n", 2)
    assert await handle == [1, 2]


async def test_signals_with_one_key_are_taken_once(app):
    @app.workflow
    async def two(ctx: Context) -> list[int]:
        return [await ctx.wait_for("n", type=int), await ctx.wait_for("n", type=int)]

    handle = await two.start()
    await handle.signal("n", 1, key="first")
    await handle.signal("n", 1, key="first")
    await handle.signal("n", 2, key="second")
    assert await handle == [1, 2]


async def test_a_signal_to_a_run_that_is_over_is_refused(waiting):
    handle = await waiting.start()
    await handle.signal("go", "now")
    await handle
    with pytest.raises(InvalidState) as caught:
        await handle.signal("go", "again")
    assert caught.value.code == "run-over"


async def test_an_update_is_answered_by_the_run(basket):
    handle = await basket.start("Ada")
    assert await handle.update("add", "tea") == 1
    assert await handle.update("add", item="cake", times=2) == 3
    await handle.signal("done")
    assert await handle == ["tea", "cake", "cake"]


async def test_an_update_with_one_key_happens_once(basket):
    handle = await basket.start("Ada")
    assert await handle.update("add", "tea", key="k") == 1
    assert await handle.update("add", "tea", key="k") == 1
    assert await handle.query("count") == 1


async def test_a_validator_refuses_an_update_before_anything_happens(basket):
    handle = await basket.start("Ada")
    with pytest.raises(Refused, match="too heavy") as caught:
        await handle.update("add", "anvil")
    assert caught.value.code == "update-refused"
    assert await handle.query("count") == 0


async def test_an_update_or_query_that_nobody_handles_says_which_there_are(basket):
    handle = await basket.start("Ada")
    with pytest.raises(Refused, match=r"it has: add"):
        await handle.update("remove")
    with pytest.raises(NotFound, match=r"it has: count"):
        await handle.query("remove")


async def test_queries_look_at_live_parked_and_finished_runs_and_leave_no_trace(app, basket):
    handle = await basket.start("Ada")
    await handle.update("add", "tea", times=3)
    before = (await handle.status()).seq
    assert await handle.query("count", kind="tea") == 3  # live
    app._life.code._runtime.forget()  # as after a restart: led through its record
    assert await handle.query("count", "cake") == 0
    assert (await handle.status()).seq == before
    await handle.signal("done")
    await handle
    assert await handle.query("count") == 3


async def test_what_a_run_says_of_itself_is_in_its_status_and_in_the_list(app, basket):
    handle = await basket.start("Ada")
    await handle.update("add", "tea")
    execution = await handle.status()
    assert execution.reported == {"items": 1}
    assert execution.attributes == {"owner": "Ada"}
    [row] = (await app.list(RunQuery(labels={"owner": "Ada"}))).runs
    assert row.run_id == handle.id
    assert row.status == b'{"items":1}'


async def test_a_run_says_why_it_waits(waiting):
    handle = await waiting.start()
    execution = await until(handle, lambda each: len(each.tasks) > 1)
    assert "go: waiting for signal 'go'" in execution.waiting_for


async def test_history_lists_the_calls_in_order_with_what_came_of_them(app):
    @app.workflow
    async def three(ctx: Context) -> int:
        a = await ctx.step("first-step", lambda: 1)
        b = await ctx.step("again", lambda: a + 1)
        return await ctx.step("again", lambda: b + 1)

    handle = await three.start()
    assert await handle == 3
    history = await handle.history()
    assert [(call.task_name, call.status) for call in history] == [
        ("first-step", "Succeeded"),
        ("again", "Succeeded"),
        ("again", "Succeeded"),
    ]
    assert [call.output_values["result"] for call in history] == [1, 2, 3]


async def test_a_wait_for_the_result_may_be_limited_and_the_run_goes_on(waiting):
    handle = await waiting.start()
    with pytest.raises(WaitTimeout, match=r"was not over within 0\.01s; it goes on"):
        await handle.result(timeout=0.01)
    await handle.signal("go", "later")
    assert await handle == "x: later"


async def test_cancel_lets_the_function_clean_up(app):
    cleaned = []

    @app.workflow
    async def tidy(ctx: Context) -> None:
        try:
            await ctx.wait_for("never")
        finally:
            await ctx.step("clean", lambda: cleaned.append("up"))

    handle = await tidy.start()
    await until(handle, lambda each: len(each.tasks) > 1)
    await handle.cancel()
    with pytest.raises(WorkflowCancelled, match="cancelled by the user"):
        await handle
    assert cleaned == ["up"]


async def test_a_forced_cancel_ends_the_run_at_once(app):
    cleaned = []

    @app.workflow
    async def tidy(ctx: Context) -> None:
        try:
            await ctx.wait_for("never")
        finally:
            await ctx.step("clean", lambda: cleaned.append("up"))

    handle = await tidy.start()
    await until(handle, lambda each: len(each.tasks) > 1)
    await handle.cancel(force=True)
    with pytest.raises(WorkflowCancelled):
        await handle
    assert cleaned == []


async def test_a_paused_run_begins_nothing_until_it_goes_on(app, waiting):
    handle = await waiting.start()
    await handle.pause()
    assert (await handle.status()).paused_at is not None
    await handle.signal("go", "now")
    with pytest.raises(WaitTimeout):
        await handle.result(timeout=0.02)
    await handle.unpause()
    assert await handle == "x: now"


async def test_a_workflow_function_asks_in_steps_and_not_by_itself(app, waiting):
    other = await waiting.start("a", id="other")

    @app.workflow
    async def meddles(ctx: Context) -> list[str]:
        refused = []
        for ask in (lambda: waiting.start("b"), other.status, lambda: other.signal("go", "x")):
            try:
                await ask()
            except InvalidState as error:
                refused.append(error.code)
        await ctx.step("signal", other.signal, "go", "from a step")
        return refused

    @app.workflow
    def meddles_too(ctx: BlockingContext) -> str:
        try:
            app.sync.start(waiting, "c")
        except InvalidState as error:
            return error.code
        return ""

    assert await meddles.start_and_wait() == ["inside-workflow"] * 3
    assert await other == "a: from a step"
    assert await meddles_too.start_and_wait() == "inside-workflow"


async def test_an_unknown_run_is_not_found(app):
    await app.serve()
    handle = app.handle("nobody")
    for ask in (handle.status, handle.result, handle.cancel, lambda: handle.signal("go")):
        with pytest.raises(NotFound, match="there is no run 'nobody'"):
            await ask()


async def test_a_handle_by_id_knows_the_type_it_is_told(app, waiting):
    @app.workflow
    async def plain_set(ctx: Context) -> list[int]:
        return [1, 2]

    handle = await plain_set.start()
    assert await app.handle(handle.id, set[int]) == {1, 2}


async def test_a_plain_workflow_waits_is_asked_and_is_cancelled_like_an_async_one(app):
    @app.workflow
    def blocking(ctx: BlockingContext) -> list[str]:
        said: list[str] = []
        ctx.on_query("said", lambda: said)
        said.append(ctx.wait_for("word", type=str))
        ctx.set_status({"heard": 1})
        said.append(ctx.wait_for("word", type=str))
        return said

    handle = await blocking.start()
    await handle.signal("word", "one")
    await until(handle, lambda each: each.reported == {"heard": 1})
    assert await handle.query("said") == ["one"]
    await handle.signal("word", "two")
    assert await handle == ["one", "two"]
    cancelled = await blocking.start()
    await cancelled.cancel()
    with pytest.raises(WorkflowCancelled):
        await cancelled
