"""How runs begin: ids, options, and what a second start means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aether import (
    Context,
    InvalidState,
    Refused,
    RunQuery,
    WorkflowFailed,
    WorkflowTimedOut,
    workflow,
)


async def test_start_returns_before_the_end_and_the_handle_gives_the_result(waiting):
    handle = await waiting.start("a")
    assert (await handle.status()).status in ("Created", "Ready", "Running")
    await handle.signal("go", "now")
    assert await handle.result() == "a: now"
    assert await handle == "a: now"


async def test_start_and_wait_gives_the_value_itself_and_passes_every_argument(app):
    @app.workflow
    async def echo(ctx: Context, a: int, *rest: int, b: str = "b", **more: int) -> list[object]:
        return [a, *rest, b, more]

    assert await echo.start_and_wait(1, 2, 3, b="c", d=4) == [1, 2, 3, "c", {"d": 4}]
    assert await echo.start_and_wait(a=1) == [1, "b", {}]


async def test_the_same_id_and_arguments_attach_to_the_run_also_when_it_is_over(waiting):
    first = await waiting.start("a", id="one")
    second = await waiting.start("a", id="one")
    await second.signal("go", "now")
    assert await first == "a: now"
    assert await waiting.start_and_wait("a", id="one") == "a: now"


async def test_the_same_id_with_other_arguments_is_a_conflict(waiting):
    await waiting.start("a", id="one")
    with pytest.raises(Refused, match="with other inputs") as caught:
        await waiting.start("b", id="one")
    assert caught.value.code == "id-conflict"


async def test_the_same_id_of_another_workflow_is_a_conflict(app, waiting):
    @app.workflow
    async def another(ctx: Context, what: str) -> None: ...

    await waiting.start("a", id="one")
    with pytest.raises(Refused, match="of 'waiting', and not of 'another'"):
        await another.start("a", id="one")


async def test_fail_refuses_an_id_that_is_taken(waiting):
    await waiting.start("a", id="one", on_existing="fail")
    with pytest.raises(Refused) as caught:
        await waiting.start("a", id="one", on_existing="fail")
    assert caught.value.code == "run-exists"


async def test_restart_failed_begins_anew_and_keeps_the_failed_run_beside_it(app):
    broken = True

    @app.workflow
    async def fragile(ctx: Context) -> str:
        if broken:
            raise ValueError("not yet")
        return "well"

    with pytest.raises(WorkflowFailed):
        await fragile.start_and_wait(id="one")
    broken = False
    with pytest.raises(WorkflowFailed):
        await fragile.start_and_wait(id="one")
    assert await fragile.start_and_wait(id="one", on_existing="restart_failed") == "well"
    assert await fragile.start_and_wait(id="one", on_existing="restart_failed") == "well"
    runs = {run.run_id: run for run in (await app.list(RunQuery(name="fragile"))).runs}
    assert set(runs) == {"one", "one~1"}
    assert runs["one~1"].attributes == {"restarted-as": "one"}


async def test_a_delayed_run_says_when_it_begins_and_begins_then(waiting):
    handle = await waiting.start(delay=0.05)
    execution = await handle.status()
    assert execution.status == "Created"
    assert "to begin at" in execution.waiting_for[0]
    await handle.signal("go", "early")
    assert await handle == "x: early"


async def test_a_run_may_begin_at_an_instant(app):
    @app.workflow
    async def when(ctx: Context) -> datetime:
        return ctx.now()

    at = datetime.now(UTC) + timedelta(milliseconds=50)
    assert await when.start_and_wait(at=at) >= at


async def test_a_run_that_takes_longer_than_its_timeout_is_timed_out(waiting):
    with pytest.raises(WorkflowTimedOut, match="deadline"):
        await waiting.start_and_wait(timeout="20ms")


async def test_labels_find_the_run(app, waiting):
    handle = await waiting.start(labels={"team": "billing"})
    await waiting.start("b", labels={"team": "shipping"})
    page = await app.list(RunQuery(labels={"team": "billing"}))
    assert [run.run_id for run in page.runs] == [handle.id]


async def test_an_option_whose_name_is_a_parameter_goes_to_the_function(app):
    @app.workflow
    async def same(ctx: Context, id: str, timeout: int) -> str:
        return f"{id} {timeout}"

    assert await same.start_and_wait(id="mine", timeout=3) == "mine 3"
    handle = await same.options(id="the-run", timeout="1h").start(id="mine", timeout=3)
    assert handle.id == "the-run"
    assert await handle == "mine 3"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"on_existing": "nothing"}, "bad-option"),
        ({"labels": {"priority": 3}}, "bad-labels"),
        ({"timeout": "soon"}, "bad-span"),
        ({"delay": -1}, "bad-span"),
        ({"at": datetime(2030, 1, 1)}, "naive-instant"),  # noqa: DTZ001
        ({"tier": "nothing"}, "unknown-tier"),
    ],
)
async def test_a_bad_option_is_refused_where_it_is_given(waiting, options, code):
    with pytest.raises(Refused) as caught:
        await waiting.start(**options)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("args", "what"),
    [
        ((), r"two\(\): missing a required argument: 'a'"),
        ((1, 2, 3), r"two\(\): too many"),
    ],
)
async def test_wrong_arguments_are_refused_at_the_call(app, args, what):
    @app.workflow
    async def two(ctx: Context, a: int, b: int = 2) -> int:
        return a + b

    with pytest.raises(TypeError, match=what):
        await two.start(*args)


async def test_a_workflow_of_no_app_says_how_to_serve_it_and_runs_once_served(app):
    @workflow
    async def lonely(ctx: Context) -> int:
        return 1

    with pytest.raises(InvalidState) as caught:
        await lonely.start()
    assert caught.value.code == "workflow-unbound"
    await app.serve([lonely])
    assert await lonely.start_and_wait() == 1


async def test_a_workflow_is_not_called_like_a_function(waiting):
    with pytest.raises(InvalidState, match=r"await waiting\.start_and_wait"):
        waiting("a")


async def test_what_is_defined_after_the_start_is_served_with_serve(app, waiting):
    await app.serve()

    @app.activity
    async def late(n: int) -> int:
        return n + 1

    @app.workflow
    async def later(ctx: Context) -> int:
        return await late(1)

    await app.serve([later, late])
    assert await later.start_and_wait() == 2


async def test_what_is_decorated_after_the_start_is_served_when_it_is_started(app, waiting):
    await waiting.start()

    @app.workflow
    async def later(ctx: Context) -> int:
        return 2

    assert await later.start_and_wait() == 2


async def test_names_are_given_once(app, waiting):
    with pytest.raises(Refused) as caught:

        @app.workflow("waiting")
        async def another(ctx: Context) -> None: ...

    assert caught.value.code == "function-exists"
    with pytest.raises(Refused) as caught:
        await app.serve([print])
    assert caught.value.code == "not-served"
