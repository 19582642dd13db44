"""Runs of functions in the engine: from start to end, over crashes, with everything they wait for."""

from __future__ import annotations

import asyncio

import pytest

from aether.adapters.executor import FunctionExecutor
from aether.errors import InvalidState, Refused, WaitTimeout
from aether.flow import Context, WorkflowDefinition, decode, encode
from aether.ports import Request, Schema
from aether.record import Phase
from unit.engine.function_engine import FunctionEngine

DONE: list[str] = []


def note(name: str, value: object = None) -> object:
    DONE.append(name)
    return value


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    DONE.clear()


async def order(ctx: Context, order_id: str) -> str:
    stock = await ctx.step("stock", note, "stock", 3)
    await ctx.sleep(hours=1)
    approval = await ctx.wait_for("approval", timeout="2d")
    await ctx.step("ship", note, "ship")
    return f"{order_id}: {stock} {approval}"


async def test_a_function_runs_from_its_start_to_its_end() -> None:
    async with FunctionEngine(order=order) as world:
        await world.start("order", "o-1")
        execution = await world.engine.get("r")
        assert [line.split(" at ")[0] for line in execution.waiting_for] == ["sleep: timer due"]
        await world.advance(hours=1)
        await world.advance(seconds=2)  # so long a run holds on to its worker
        [reason] = (await world.engine.get("r")).waiting_for
        assert reason.startswith("approval: waiting for signal 'approval' until ")
        assert await world.faults() == []
        await world.signal("approval", "yes")
        assert await world.result() == "o-1: 3 yes"
        assert DONE == ["stock", "ship"]
        assert await world.faults() == []


async def test_a_process_that_dies_repeats_no_recorded_step() -> None:
    async with FunctionEngine(order=order) as world:
        await world.start("order", "o-1")
        await world.process()
        await world.advance(hours=1)
        await world.process()
        await world.signal("approval", "yes")
        assert await world.result() == "o-1: 3 yes"
        assert DONE == ["stock", "ship"]


async def test_a_parked_run_is_not_delivered_again_when_its_engine_dies() -> None:
    async with FunctionEngine(order=order) as world:
        await world.start("order", "o-1")
        await world.process()
        rows = await world.rows()
        assert (rows.tasks[0].phase, rows.tasks[0].delivery) == (Phase.SUSPENDED, 1)


@pytest.mark.parametrize("tier", ["memory", "snapshot", "state-action-log"])
async def test_functions_and_their_children_run_in_every_tier(tier: str) -> None:
    world = FunctionEngine(order=order, parent=parent, quick=quick)
    world.tiered = True
    async with world:
        await world.start("order", "o-1", tier=tier)
        await world.advance(hours=1)
        if tier != "memory":
            await world.process()
        await world.signal("approval", "yes")
        assert await world.result() == "o-1: 3 yes"
        assert DONE == ["stock", "ship"]
        await world.start("parent", 4, run_id="p", tier=tier)
        assert await world.result("p") == 8
        assert [child.tier for child in (await world.engine.list()).runs] == [tier] * 3


# Ids


async def quick(ctx: Context, value: int) -> int:
    return int(await ctx.step("double", note, "double", value * 2))


async def test_starting_an_id_again_attaches_to_the_run_of_the_same_inputs() -> None:
    async with FunctionEngine(quick=quick, order=order) as world:
        assert await world.start("quick", 4) == "r"
        assert await world.start("quick", 4) == "r"
        assert await world.result() == 8
        assert DONE == ["double"]
        for name, argument in (("quick", 5), ("order", "4")):
            with pytest.raises(Refused) as refused:
                await world.start(name, argument)
            assert refused.value.code == "id-conflict"
        with pytest.raises(Refused) as refused:
            await world.start("quick", 4, on_existing="fail")
        assert refused.value.code == "run-exists"


async def test_two_starts_at_once_begin_one_run() -> None:
    async with FunctionEngine(quick=quick) as world:
        await asyncio.gather(*[world.start("quick", 4) for _ in range(5)])
        assert await world.result() == 8
        assert DONE == ["double"]


async def test_a_failed_run_may_begin_anew_under_its_id() -> None:
    async def fragile(ctx: Context) -> str:
        await ctx.step("once", note, "once")
        if len(DONE) < 2:
            raise ValueError("not yet")
        return "well"

    async with FunctionEngine(fragile=fragile) as world:
        await world.start("fragile")
        with pytest.raises(ValueError, match="not yet"):
            await world.result()
        await world.start("fragile", on_existing="restart_failed")
        assert await world.result() == "well"
        await world.start("fragile", on_existing="restart_failed")
        assert DONE == ["once", "once"]
        old = await world.rows("r~1")
        assert (old.run.phase, old.run.attributes) == (Phase.FAILED, {"restarted-as": "r"})


async def test_a_run_may_begin_later_and_has_its_own_deadline() -> None:
    async with FunctionEngine(order=order) as world:
        await world.start("order", "o", delay=60_000_000, timeout=3_000_000)
        assert DONE == []
        assert (await world.engine.get("r")).waiting_for[0].startswith("order: to begin at")
        await world.advance(seconds=60)
        assert DONE == ["stock"]
        await world.advance(seconds=4)
        assert (await world.engine.get("r")).status is Phase.TIMEOUT


# What the world says to a run


async def test_signals_count_once_for_each_key_and_are_refused_after_the_end() -> None:
    async def two(ctx: Context) -> list[object]:
        return [await ctx.wait_for("go"), await ctx.wait_for("go")]

    async with FunctionEngine(two=two) as world:
        await world.start("two")
        for _ in range(3):
            await world.signal("go", 1, key="a")
        await world.process()
        await world.signal("go", 1, key="a")
        assert (await world.rows()).run.phase is Phase.RUNNING
        await world.signal("go", 2)
        assert await world.result() == [1, 2]
        with pytest.raises(InvalidState) as over:
            await world.signal("go", 3)
        assert over.value.code == "run-over"


async def test_a_document_takes_no_signal() -> None:
    from unit.engine.engine_world import one_task

    async with FunctionEngine() as world:
        await world.engine.submit(one_task(), run_id="d")
        with pytest.raises(InvalidState) as refused:
            await world.signal("go", run_id="d")
        assert refused.value.code == "not-a-function"
        assert not (await world.rows("d")).run.phase.is_terminal


async def test_an_update_is_answered_by_the_function() -> None:
    async def shop(ctx: Context) -> str:
        prices = {"a": 1}

        def price(name: str, value: int) -> int:
            if value < 0:
                raise ValueError("no")
            prices[name] = value
            return sum(prices.values())

        ctx.on_update("price", price)
        await ctx.wait_for("close")
        return str(prices)

    async with FunctionEngine(shop=shop) as world:
        await world.start("shop")
        asking = asyncio.ensure_future(
            world.engine.update("r", "price", encode_named(name="b", value=5))
        )
        await world.settle()
        assert decode(await asking) == 6
        asking = asyncio.ensure_future(
            world.engine.update("r", "price", encode_named(name="b", value=-1), "k")
        )
        await world.settle()
        with pytest.raises(Refused) as refused:
            await asking
        assert refused.value.code == "update-refused"
        await world.signal("close")
        assert await world.result() == "{'a': 1, 'b': 5}"
        with pytest.raises(Refused):
            await world.engine.update("r", "price", None, "k")  # asked again it is the same answer


def encode_named(**values: object) -> bytes:
    from aether.record import NamedValue, encode_values

    return encode_values([NamedValue(name, "", value) for name, value in values.items()])


async def test_a_cancelled_function_may_clean_up() -> None:
    async def careful(ctx: Context) -> None:
        try:
            await ctx.wait_for("never")
        finally:
            await ctx.step("undo", note, "undo")

    async with FunctionEngine(careful=careful) as world:
        await world.start("careful")
        await world.engine.cancel("r", "ann")
        await world.settle()
        run = (await world.rows()).run
        assert (run.phase, run.message, DONE) == (Phase.CANCELLED, "cancelled by ann", ["undo"])
        await world.start("careful", run_id="s")
        await world.engine.cancel("s", force=True)
        await world.settle()
        assert ((await world.rows("s")).run.phase, DONE) == (Phase.CANCELLED, ["undo"])
        assert await world.faults("s") == []


async def test_a_paused_function_goes_no_further_than_its_step() -> None:
    gate = asyncio.Event()

    async def slow() -> int:
        await gate.wait()
        return 1

    async def two_steps(ctx: Context) -> int:
        first = await ctx.step("first", slow)
        return first + int(await ctx.step("second", note, "second", 2))

    async with FunctionEngine(two=two_steps) as world:
        await world.start("two")
        await world.engine.pause("r", "ann")
        gate.set()
        await world.settle()
        rows = await world.rows()
        assert ([row.task_name for row in rows.tasks.values()], DONE) == (["two", "first"], [])
        assert (await world.engine.get("r")).waiting_for[0].startswith("paused by ann")
        await world.engine.unpause("r")
        await world.settle()
        assert await world.result() == 3


async def test_what_a_function_says_of_itself_is_seen_and_found() -> None:
    async def open_minded(ctx: Context) -> None:
        ctx.set_status({"step": 1})
        await ctx.step("a", note, "a")
        await ctx.wait_for("go")

    async with FunctionEngine(f=open_minded) as world:
        await world.start("f")
        execution = await world.engine.get("r")
        assert (execution.kind, execution.reported) == ("function", {"step": 1})


# Activities


async def test_an_activity_runs_on_any_worker_and_is_tried_again() -> None:
    from aether.flow import ActivityDefinition, Retry, activity_options

    def charge(amount: int) -> int:
        DONE.append("charge")
        if len(DONE) < 2:
            raise RuntimeError("no line")
        return amount + 1

    options = activity_options(Retry(attempts=3))
    activity = ActivityDefinition(charge, "charge", options)

    async def pay(ctx: Context) -> int:
        return int(await ctx.activity(activity, 41))

    world = FunctionEngine(pay=pay)
    world.extra.append(FunctionExecutor("charge", charge))
    async with world:
        await world.start("pay")
        execution = await world.engine.get("r")
        assert any("retry 1 at" in line for line in execution.waiting_for), execution.waiting_for
        await world.advance(seconds=2)
        assert await world.result() == 42
        assert DONE == ["charge", "charge"]


# Children


async def parent(ctx: Context, n: int) -> object:
    return await ctx.child(quick, n)


async def test_a_child_is_a_run_of_its_own_and_its_end_an_answer() -> None:
    async with FunctionEngine(parent=parent, quick=quick) as world:
        await world.start("parent", 4)
        assert await world.result() == 8
        [child] = [row for row in (await world.rows()).tasks.values() if row.kind == "child"]
        run = (await world.rows(child.worker)).run
        assert (run.parent, run.phase) == ("r.1", Phase.SUCCEEDED)


async def waiting_child(ctx: Context) -> object:
    return await ctx.wait_for("go")


async def test_children_survive_their_process_and_end_with_their_parent() -> None:
    async def mother(ctx: Context) -> object:
        return await ctx.child(waiting_child, id="kid")

    async with FunctionEngine(mother=mother, waiting_child=waiting_child) as world:
        await world.start("mother")
        assert any(
            "waiting for run kid" in line for line in (await world.engine.get("r")).waiting_for
        )
        await world.process()
        await world.signal("go", 7, run_id="kid")
        assert await world.result() == 7
        await world.start("mother", run_id="r2")
        # The id of the child is taken by the first one's, which is over: it is no child of this run.
        assert (await world.rows("r2")).run.phase is Phase.FAILED


async def test_a_child_is_cancelled_when_its_parent_is() -> None:
    async def mother(ctx: Context) -> object:
        return await ctx.child(waiting_child, id="kid")

    async with FunctionEngine(mother=mother, waiting_child=waiting_child) as world:
        await world.start("mother")
        await world.engine.cancel("r", force=True)
        await world.settle()
        assert (await world.rows("kid")).run.phase is Phase.CANCELLED


async def test_the_end_of_a_child_reaches_a_parent_whose_process_died_in_between() -> None:
    async def mother(ctx: Context) -> object:
        return await ctx.child(waiting_child, id="kid")

    async with FunctionEngine(mother=mother, waiting_child=waiting_child) as world:
        await world.start("mother")
        world.engine._runs.children._tell = lambda run_id, event: None  # it dies before it tells
        await world.signal("go", 7, run_id="kid")
        assert (await world.rows("kid")).run.phase is Phase.SUCCEEDED
        assert (await world.rows()).run.phase is Phase.RUNNING
        await world.process()
        assert await world.result() == 7


async def test_a_run_that_continues_as_another_has_the_result_of_the_last() -> None:
    async def counting(ctx: Context, n: int) -> int:
        await ctx.step("count", note, "count")
        if n < 3:
            ctx.continue_as_new(n + 1)
        return n

    async def mother(ctx: Context) -> object:
        return await ctx.child(counting, 0)

    async with FunctionEngine(counting=counting, mother=mother) as world:
        await world.start("counting", 0)
        assert await world.result() == 3
        assert len(DONE) == 4
        await world.start("mother", run_id="m")
        assert await world.result("m") == 3


async def test_a_child_may_be_a_stored_template() -> None:
    from unit.engine.engine_world import one_task

    async def caller(ctx: Context, n: int) -> object:
        return await ctx.child("doubling", value=n)

    class Doubling:
        schema = Schema(type="work")

        async def execute(self, request: Request) -> dict[str, object]:
            return {"result": request.inputs["value"] * 2}

    template = one_task("job")
    template["kind"] = "WorkflowTemplate"
    template["metadata"]["name"] = "doubling"
    spec = template["spec"]
    spec["arguments"] = {"parameters": [{"name": "value", "type": "int"}]}
    given = {"name": "value", "valueFrom": {"parameter": "workflow.parameters.value"}}
    spec["templates"][0]["task"]["inputs"] = {"parameters": [given]}
    world = FunctionEngine(caller=caller)
    world.extra.append(Doubling())
    async with world:
        await world.engine.put_template(template)
        await world.start("caller", 21)
        assert await world.result() in (42, {"result": 42})
        [row] = [row for row in (await world.rows()).tasks.values() if row.kind == "child"]
        assert (await world.rows(row.worker)).run.parent == "r.1"
        with pytest.raises(Exception, match="is str"):
            await world.start("caller", "x", run_id="s")
            await world.result("s")


# Functions as tasks of documents


def document(**task: object) -> dict[str, object]:
    from unit.engine.engine_world import one_task

    inputs = {"parameters": [{"name": "value", "value": 4}]}
    executor = {"type": "workflow:quick"}
    return one_task("job", executor=executor, inputs=inputs, **task)


async def test_a_task_of_a_document_may_be_a_function() -> None:
    async with FunctionEngine(quick=quick) as world:
        await world.engine.submit(document(), run_id="d")
        await world.settle()
        rows = await world.rows("d")
        assert (rows.run.phase, rows.run.outputs) == (Phase.SUCCEEDED, encode(8))
        child = (await world.rows("d.0:1")).run
        assert (child.parent, child.name) == ("d.0", "quick")


async def test_such_a_function_ends_with_its_document_and_survives_its_process() -> None:
    async with FunctionEngine(quick=waiting_child) as world:
        body = document()
        body["spec"]["templates"][0]["task"].pop("inputs")  # type: ignore[index]
        for run_id in ("d", "e"):
            await world.engine.submit(body, run_id=run_id)
        await world.settle()
        assert (await world.engine.get("d")).waiting_for == ["job: waiting for run d.0:1"]
        await world.process()
        await world.signal("go", 5, run_id="d.0:1")
        assert (await world.rows("d")).run.outputs == encode(5)
        await world.engine.cancel("e")
        await world.settle()
        assert (await world.rows("e.0:1")).run.phase is Phase.CANCELLED


async def test_a_function_that_fails_fails_its_task_which_may_try_again() -> None:
    async def fragile(ctx: Context) -> int:
        await ctx.step("a", note, "a")
        if len(DONE) < 2:
            raise ValueError("no")
        return 7

    async with FunctionEngine(quick=fragile) as world:
        body = document()
        task = body["spec"]["templates"][0]["task"]  # type: ignore[index]
        task.pop("inputs")
        task["retry"] = {"limit": 2, "expression": "true"}
        await world.engine.submit(body, run_id="d")
        await world.settle()
        await world.settle()
        rows = await world.rows("d")
        assert (rows.run.phase, rows.run.outputs) == (Phase.SUCCEEDED, encode(7)), rows.tasks
        assert (await world.rows("d.0:1")).run.phase is Phase.FAILED


# Code that does not fit


async def test_a_stuck_run_says_why_and_goes_on_with_code_that_fits() -> None:
    async def first(ctx: Context) -> str:
        await ctx.step("a", note, "a")
        await ctx.wait_for("go")
        return "first"

    async def other(ctx: Context) -> str:
        await ctx.step("b", note, "b")
        return "other"

    async with FunctionEngine(f=first) as world:
        await world.start("f")
        world.functions["f"] = (other, "2")
        await world.process()
        await world.signal("go")
        run = (await world.rows()).run
        assert "does not fit" in run.message
        assert "does not fit" in (await world.engine.get("r")).waiting_for[0]
        assert await world.faults() == []
        world.functions["f"] = (first, "3")
        await world.process()
        assert await world.result() == "first"
        assert DONE == ["a"]


async def test_a_stuck_run_tries_again_when_other_code_is_served() -> None:
    async def first(ctx: Context) -> str:
        await ctx.step("a", note, "a")
        return str(await ctx.wait_for("go"))

    async def other(ctx: Context) -> str:
        return str(await ctx.step("b", note, "b"))

    async with FunctionEngine(f=first) as world:
        await world.start("f")
        await world.advance(seconds=2)
        world.functions["f"] = (other, "2")
        await world.process()
        await world.signal("go", "on")
        assert (await world.rows()).run.message
        host = world.processes[-1].runtime
        host.register(WorkflowDefinition(first, "f", "3"))  # this process gets the code that fits
        world.processes[-1].executors.unregister("workflow:f")
        world.processes[-1].executors.register(host.register(WorkflowDefinition(first, "f", "3")))
        world.processes[-1].worker.refresh()
        await world.engine.code_served("f")
        await world.settle()
        assert await world.result() == "on"


async def test_a_run_that_was_put_aside_half_way_is_put_aside_once() -> None:
    async def fails(ctx: Context) -> None:
        await ctx.step("a", note, "a")
        raise ValueError("no")

    async with FunctionEngine(f=fails) as world:
        await world.start("f")
        run = (await world.rows()).run
        delete, world.store.delete = world.store.delete, no_delete
        await world.engine._put_aside(run)  # the process dies before the old run is deleted
        world.store.delete = delete
        for _ in range(2):
            await world.advance(seconds=1)
            await world.start("f", on_existing="restart_failed")
        assert await world.store.run("r~2") is not None
        assert await world.store.run("r~3") is None
        assert DONE == ["a", "a", "a"]


async def no_delete(run_id: str) -> bool:
    return True


async def test_an_end_that_does_not_come_is_waited_for_no_longer_than_asked() -> None:
    async with FunctionEngine(order=order) as world:
        await world.start("order", "o")
        with pytest.raises(WaitTimeout):
            await world.result()


async def test_nothing_is_remembered_of_tasks_whose_function_is_over() -> None:
    async with FunctionEngine(quick=quick) as world:
        for n in range(3):
            await world.engine.submit(document(), run_id=f"d{n}")
        await world.settle()
        relay = world.engine._runs._relay
        assert not relay._runs_for_tasks
        assert not relay._tasks_of_runs
        assert not relay.children._tasks
