"""What the waiter sees of a failure: type, message, step, attempt, traceback and causes."""

from __future__ import annotations

import pytest

from aether import Context, Refused, Retry, StepFailed, WorkflowFailed


class OutOfStock(Exception):
    """At the top of a module, so that it can be built again."""

    def __init__(self, item: str, left: int = 0) -> None:
        super().__init__(item, left)
        self.item = item


async def failure(workflow, *args) -> WorkflowFailed:
    with pytest.raises(WorkflowFailed) as caught:
        await workflow.start_and_wait(*args)
    return caught.value


async def test_an_exception_of_the_workflow_fails_its_run_and_is_the_cause(app):
    @app.workflow
    async def sells(ctx: Context) -> None:
        raise OutOfStock("tea", 3)

    failed = await failure(sells)
    assert failed.error_type.endswith("OutOfStock")
    assert isinstance(failed.__cause__, OutOfStock)
    assert failed.__cause__.args == ("tea", 3)
    assert (await app.handle(failed.run_id).status()).status == "Failed"


async def test_a_failed_step_says_which_attempt_and_where_and_keeps_the_chain_of_causes(app):
    def reserve() -> None:
        try:
            {}["tea"]
        except KeyError as error:
            raise OutOfStock("tea") from error

    @app.workflow
    async def sells(ctx: Context) -> None:
        await ctx.step("reserve", reserve, retry=Retry(attempts=2, initial=0.001))

    failed = await failure(sells)
    assert (failed.step, failed.attempt) == ("reserve", 2)
    assert "failed in step 'reserve', attempt 2: " in str(failed)
    assert 'raise OutOfStock("tea") from error' in failed.traceback
    assert isinstance(failed.__cause__.__cause__, KeyError)


async def test_tracebacks_show_the_code_of_the_user_and_none_of_ours(app):
    @app.activity(retry=Retry(attempts=1))
    def charge() -> None:
        raise ValueError("no money")

    @app.workflow
    async def sells(ctx: Context) -> None:
        await charge()

    failed = await failure(sells)
    assert "in charge" in failed.traceback
    assert "aether/" not in failed.traceback.replace(__file__, "")


async def test_a_failure_that_the_workflow_catches_has_its_own_type(app):
    @app.activity(retry=Retry(attempts=1))
    def charge() -> None:
        raise OutOfStock("tea")

    @app.workflow
    async def child(ctx: Context) -> None:
        raise OutOfStock("cake")

    @app.workflow
    async def sells(ctx: Context) -> list[str]:
        items = []
        for call in (charge, lambda: ctx.child(child)):
            try:
                await call()
            except OutOfStock as error:
                items.append(error.args[0])
        return items

    assert await sells.start_and_wait() == ["tea", "cake"]


async def test_an_exception_that_cannot_be_built_again_is_stood_for(app):
    class Hidden(Exception):
        pass

    @app.workflow
    async def sells(ctx: Context) -> str:
        try:
            await ctx.step("hide", hide)
        except StepFailed as error:
            return f"{error} {error.error_type.rpartition('.')[2]}"
        return "nothing"

    def hide() -> None:
        raise Hidden("away")

    assert await sells.start_and_wait() == "away Hidden"


async def test_retries_stop_at_what_is_not_worth_another_attempt(app):
    tries = []

    @app.activity(retry=Retry(attempts=5, initial=0.001, non_retryable=(OutOfStock,)))
    def charge() -> None:
        tries.append(1)
        raise OutOfStock("tea")

    @app.workflow
    async def sells(ctx: Context) -> None:
        await charge()

    assert (await failure(sells)).attempt == 1
    assert tries == [1]


async def test_a_step_without_retry_is_tried_once_and_an_activity_three_times(app):
    tries = []

    @app.activity(retry=Retry(initial=0.001))
    def charge() -> None:
        tries.append("activity")
        raise ValueError

    def step() -> None:
        tries.append("step")
        raise ValueError

    @app.workflow
    async def sells(ctx: Context) -> None:
        try:
            await ctx.step("once", step)
        except ValueError:
            await charge()

    await failure(sells)
    assert tries == ["step", "activity", "activity", "activity"]


async def test_what_is_no_data_is_refused_with_its_path(app):
    @app.workflow
    async def takes(ctx: Context, order: dict[str, object]) -> object:
        return await ctx.step("make", lambda: [{"a": object()}])

    with pytest.raises(Refused, match=r"`order\.items\[1\]` is a object"):
        await takes.start({"items": [1, object()]})
    failed = await failure(takes, {})
    assert "'make'[0].a" in failed.message
    assert failed.step == "make"
