"""What a workflow function may rely on while it runs."""

import asyncio
import gc
import logging
import weakref

import pytest

from aether.errors import NotFound, Refused
from aether.flow import Retry, StepFailed, current_context, decode, encode
from aether.ports import Fence
from aether.record import Completed, Dropped, Parked, Phase, StatusSet, StepDone, TimerStarted
from unit.flow.flow_world import steps_of

pytestmark = pytest.mark.asyncio


async def nothing(value=None):
    return value


def kinds(book):
    return [[type(fact).__name__ for fact in facts] for facts in book.commits]


# Recording


async def test_next_step_begins_only_when_the_one_before_is_on_disk(world):
    begun = []

    async def flow(ctx):
        await ctx.step("a", nothing)
        begun.append("handed on")
        await ctx.step("b", note)

    async def note():
        begun.append("b")

    world.journal.slow = True
    world.begin(flow)
    await world.settled()
    assert begun == ["handed on"]
    world.journal.release()
    await world.settled()
    assert begun == ["handed on", "b"]


async def test_steps_that_end_together_share_an_append(world):
    async def flow(ctx):
        await asyncio.gather(*(ctx.step(f"s{n}", nothing) for n in range(50)))

    await world.run(flow)
    assert kinds(world.journal.book("r")) == [["StepDone"] * 50 + ["Completed"]]


async def test_step_and_the_long_sleep_after_it_share_an_append_with_the_parking(world):
    async def flow(ctx):
        await ctx.step("a", nothing)
        await ctx.sleep(hours=1)

    await world.run(flow)
    assert kinds(world.journal.book("r")) == [
        ["StepDone", "TimerStarted", "Parked"],
        ["Completed"],
    ]


async def test_result_is_never_the_object_the_step_returned(world):
    kept = []

    async def give():
        kept.append({"list": [1]})
        return kept[0]

    async def flow(ctx):
        got = await ctx.step("give", give)
        got["list"].append(2)
        return [got, kept[0]]

    assert await world.run(flow) == [{"list": [1, 2]}, {"list": [1]}]


async def test_argument_that_is_no_data_is_refused_at_the_call_with_its_path(world):
    async def flow(ctx):
        try:
            ctx.step("s", nothing, {"file": object()})
        except Refused as refusal:
            return str(refusal)

    assert "value.file" in await world.run(flow)


async def test_failure_of_a_step_is_raised_with_its_type_and_kept_with_the_run(world):
    async def broken():
        raise KeyError("lost")

    async def flow(ctx):
        try:
            await ctx.step("broken", broken)
        except KeyError as error:
            raise LookupError("no luck") from error

    with pytest.raises(LookupError, match="no luck") as caught:
        await world.run(flow)
    assert isinstance(caught.value.__cause__, KeyError)


# Time


async def test_timeout_of_a_step_cancels_it_and_is_recorded(world):
    async def forever():
        await asyncio.get_running_loop().create_future()

    async def flow(ctx):
        try:
            await ctx.step("slow", forever, timeout="5s")
        except TimeoutError as error:
            return str(error)

    world.endless.add(forever)
    assert "slow" in await world.run(flow)


async def test_retries_happen_only_where_they_are_asked_for_and_each_failure_is_recorded(world):
    tries = []

    async def flaky():
        tries.append(1)
        if len(tries) < 3:
            raise OSError("down")
        return len(tries)

    async def flow(ctx):
        try:
            await ctx.step("once", flaky)
        except OSError:
            return await ctx.step("again", flaky, retry=Retry(attempts=3, initial="1h"))

    assert await world.run(flow) == 3
    facts = [
        fact
        for facts in world.journal.book("r").commits
        for fact in facts
        if isinstance(fact, StepDone)
    ]
    assert [(fact.path.name, bool(fact.retry_at)) for fact in facts] == [
        ("once", False),
        ("again", True),
        ("again", False),
    ]


async def test_error_that_is_not_to_be_retried_is_not(world):
    tries = []

    async def broken():
        tries.append(1)
        raise ValueError("bad")

    async def flow(ctx):
        await ctx.step("s", broken, retry=Retry(attempts=5, non_retryable=(ValueError,)))

    with pytest.raises(ValueError, match="bad"):
        await world.run(flow)
    assert len(tries) == 1


async def test_run_that_waits_for_a_distant_retry_is_parked_meanwhile(world):
    async def broken():
        raise ValueError("bad")

    async def flow(ctx):
        await ctx.step("s", broken, retry=Retry(attempts=2, initial="1h"))

    book = world.begin(flow)
    await world.settled()
    assert book.root.phase is Phase.SUSPENDED


async def test_timeout_that_is_not_reached_leaves_no_timer_behind(world):
    async def flow(ctx):
        async with asyncio.timeout(60):
            await ctx.step("s", nothing)

    await world.run(flow)
    commits = world.journal.book("r").commits
    assert [type(fact) for fact in commits[0]] == [TimerStarted]
    assert [type(fact) for fact in commits[1]] == [StepDone, Dropped, Completed]


async def test_timeout_around_nothing_durable_is_not_recorded(world):
    async def flow(ctx):
        async with asyncio.timeout(60):
            await asyncio.sleep(0)

    await world.run(flow)
    assert kinds(world.journal.book("r")) == [["Completed"]]


async def test_now_is_the_same_in_a_replay_before_anything_was_recorded(world):
    async def flow(ctx):
        begun = ctx.now()
        await ctx.sleep(hours=5)
        return [begun.isoformat(), ctx.now().isoformat()]

    world.begin(flow)
    await world.settled()
    begun = world.clock.now()
    world.new_process()
    first, second = await world.result()
    assert (first, second) == ("2025-06-15T15:06:40+00:00", "2025-06-15T20:06:40+00:00")
    assert begun == 1_750_000_000_000_000


# Parking


async def test_parked_function_goes_on_where_it_was_without_a_replay(world):
    passed = []

    async def flow(ctx):
        passed.append("begun")
        await ctx.sleep(hours=1)
        passed.append("slept")

    await world.run(flow)
    assert passed == ["begun", "slept"]
    assert [fence for _, fence in world.deliveries] == [Fence(1, 1), Fence(1, 2)]


async def test_wait_of_unknown_length_is_parked_after_a_second(world):
    async def flow(ctx):
        return await ctx.wait_for("go")

    book = world.begin(flow)
    await world.settled()
    assert book.root.phase is Phase.READY
    await world.passes(seconds=1.1)
    assert book.root.phase is Phase.SUSPENDED
    world.journal.signal("r", "go", encode("now"))
    assert await world.result() == "now"


async def test_signal_that_comes_before_the_parking_is_on_disk_keeps_the_run_here(world):
    async def flow(ctx):
        return await ctx.wait_for("go")

    book = world.begin(flow)
    await world.settled()
    world.journal.slow = True
    await world.clock.advance(to=world.clock.now() + 1_500_000)
    world.journal.signal("r", "go", encode("early"))
    world.journal.slow = False
    world.journal.release()
    await world.settled()
    assert Parked in [type(fact) for fact in book.commits[-2]]
    assert decode(book.root.outputs) == "early"
    assert len(world.deliveries) == 1


async def test_parked_functions_beyond_the_memory_are_dropped_and_replayed(world):
    world.memory = 15_000
    world.new_process()
    begun = []

    async def flow(ctx, n):
        begun.append(n)
        await ctx.sleep(hours=1 + n)
        return n

    host = world.serve(flow)
    for n in range(3):
        world.journal.begin(f"r{n}", "flow", host.definition.signature.encode((n,), {}))
        await world.settled()
    assert len(world.runtime._parked) == 1
    for n in range(3):
        assert await world.result(f"r{n}") == n
    assert sorted(begun) == [0, 0, 1, 1, 2]


async def test_dropped_function_runs_its_finally_and_no_durable_call_and_no_compensation(world):
    seen = []

    async def undo():
        seen.append("undone")

    async def flow(ctx):
        ctx.compensate_with(undo)
        try:
            await ctx.sleep(hours=1)
        except Exception:  # noqa: BLE001
            seen.append("an exception")
        finally:
            seen.append("finally")
            await ctx.step("cleanup", undo)
            seen.append("after")

    book = world.begin(flow)
    await world.settled()
    world.runtime.forget()
    await world.settled()
    assert seen == ["finally"]
    assert book.root.phase is Phase.SUSPENDED
    assert len(book.commits) == 1


@pytest.mark.parametrize("waiting", ["sleep", "signal"])
async def test_function_that_was_put_away_leaves_nothing_for_a_collector(world, waiting):
    async def flow(ctx):
        if waiting == "sleep":
            await ctx.sleep(days=1)
        else:
            await ctx.wait_for("go")

    book = world.begin(flow)
    await world.passes(seconds=2)
    parked = weakref.ref(world.runtime._parked.look(book.run_id))
    assert parked() is not None
    gc.disable()
    try:
        world.runtime.forget()
        await world.settled()
        assert parked() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("waiting", ["event", "task", "group", "queue", "shield", "stubborn"])
async def test_function_is_put_away_whatever_it_waits_for(world, waiting):
    left = []

    async def sleeper(ctx):
        try:
            await ctx.sleep(days=1)
        finally:
            left.append("sleeper")
            await asyncio.sleep(1)

    async def flow(ctx):
        task = asyncio.create_task(sleeper(ctx))
        try:
            if waiting == "event":
                await asyncio.Event().wait()
            elif waiting == "task":
                await task
            elif waiting == "queue":
                await asyncio.Queue().get()
            elif waiting == "shield":
                await asyncio.shield(task)
            elif waiting == "stubborn":
                while True:
                    try:
                        await ctx.sleep(days=1)
                    except BaseException:  # noqa: BLE001
                        left.append("stubborn")
            else:
                async with asyncio.TaskGroup() as group:
                    group.create_task(sleeper(ctx))
                    group.create_task(sleeper(ctx))
        finally:
            left.append("flow")

    book = world.begin(flow)
    await world.passes(seconds=2)
    assert book.root.phase is Phase.SUSPENDED
    world.runtime.forget()
    assert left.count("sleeper") == (3 if waiting == "group" else 1)
    assert waiting == "stubborn" or left.count("flow") == 1
    assert bool(world.faults) == (waiting == "stubborn")


async def test_function_that_is_superseded_leaves_no_trace(world):
    seen = []

    async def flow(ctx):
        try:
            return await ctx.step("slow", slow)
        finally:
            seen.append("left")

    gates = []

    async def slow():
        gate = asyncio.get_running_loop().create_future()
        gates.append(gate)
        return await gate

    world.endless.add(slow)
    book = world.begin(flow)
    await world.settled()
    world.journal.take_over("r")
    await world.settled()
    assert seen == ["left"]
    assert gates[0].cancelled()
    gates[1].set_result("second")
    assert await world.result() == "second"
    assert steps_of(book) == ["slow"]


# Cancelling


async def test_cancellation_reaches_the_step_that_runs_and_cleanup_may_use_steps(world):
    seen = []

    async def slow():
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("step")
            raise

    async def tidy():
        seen.append("tidy")

    async def flow(ctx):
        try:
            await ctx.step("slow", slow)
        finally:
            await ctx.step("tidy", tidy)

    world.endless.add(slow)
    world.begin(flow)
    await world.passes(seconds=1)
    world.journal.cancel("r")
    assert await world.result() == "cancelled"
    assert seen == ["step", "tidy"]


async def test_compensations_run_in_reverse_when_the_run_is_cancelled(world):
    seen = []

    async def undo(what):
        seen.append(what)

    async def flow(ctx):
        ctx.compensate_with(undo, "first")
        ctx.compensate_with(undo, "second")
        await ctx.sleep(hours=1)

    world.begin(flow)
    await world.settled()
    world.journal.cancel("r")
    assert await world.result() == "cancelled"
    assert seen == ["second", "first"]


async def test_compensation_that_fails_lets_the_others_run_and_is_told(world):
    seen = []

    async def undo(what):
        seen.append(what)
        if what == "second":
            raise OSError("stuck")

    async def flow(ctx):
        ctx.compensate_with(undo, "first")
        ctx.compensate_with(undo, "second")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        await world.run(flow)
    assert seen == ["second", "first"]
    assert "stuck" in caught.value.__notes__[0]


# Outside


@pytest.mark.parametrize(
    "reach",
    [
        lambda: asyncio.open_connection("localhost", 1),
        lambda: asyncio.to_thread(print),
        lambda: asyncio.create_subprocess_exec("true"),
        lambda: asyncio.get_running_loop().getaddrinfo("localhost", 1),
        lambda: asyncio.get_running_loop().run_in_executor(None, print),
    ],
)
async def test_bare_io_is_refused_with_the_words_that_help(world, reach):
    async def flow(ctx):
        await reach()

    with pytest.raises(Refused, match=r"wrap it in ctx.step") as caught:
        await world.run(flow)
    assert caught.value.code == "bare-io"


async def test_future_of_the_real_loop_is_refused_with_the_words_that_help(world):
    foreign = asyncio.get_running_loop().create_future()

    async def flow(ctx):
        await foreign

    with pytest.raises(Refused, match=r"wrap it in ctx.step"):
        await world.run(flow)


async def test_context_is_found_inside_workflows_and_not_inside_their_steps(world):
    seen = {}

    async def inside():
        seen["step"] = current_context()

    def in_thread():
        seen["thread"] = current_context()

    async def flow(ctx):
        seen["flow"] = current_context() is ctx
        await ctx.step("s", inside)
        await ctx.step("t", in_thread)

    await world.run(flow)
    assert seen == {"flow": True, "step": None, "thread": None}
    assert current_context() is None


async def test_log_says_each_line_once(world, caplog):
    async def flow(ctx):
        ctx.log.info("begun")
        await ctx.sleep(hours=1)
        ctx.log.info("slept")

    with caplog.at_level(logging.INFO):
        world.begin(flow)
        await world.settled()
        world.new_process()
        await world.result()
    assert [record.message for record in caplog.records] == ["begun", "slept"]


async def test_status_and_attributes_ride_with_what_is_recorded_next(world):
    async def flow(ctx):
        ctx.set_status({"stage": 1})
        ctx.set_attributes(customer="c-1")
        await ctx.sleep(hours=1)

    await world.run(flow)
    book = world.journal.book("r")
    assert book.status == b'{"stage":1}'
    assert book.attributes == {"customer": "c-1"}
    assert [type(fact) for fact in book.commits[0]][:2] == [StatusSet, StatusSet]


# Queries, updates, successors


async def test_query_of_a_live_a_parked_and_a_finished_run_says_where_it_stands(world):
    async def flow(ctx):
        stage = "begun"
        ctx.on_query("stage", lambda: stage)
        await ctx.step("s", nothing)
        stage = "sleeping"
        await ctx.sleep(hours=1)
        stage = "over"

    book = world.begin(flow)
    host = world.hosts["flow"]
    await world.settled()
    before = len(book.commits)
    assert decode(await host.query("r", "stage")) == "sleeping"
    world.runtime.forget()
    assert decode(await host.query("r", "stage")) == "sleeping"
    assert len(book.commits) == before
    await world.result()
    assert decode(await host.query("r", "stage")) == "over"
    with pytest.raises(NotFound):
        await host.query("r", "other")


async def test_update_is_checked_handled_and_answered(world):
    async def flow(ctx):
        total = 0

        async def add(amount):
            nonlocal total
            total += await ctx.step("check", nothing, amount)
            return total

        def positive(amount):
            if amount <= 0:
                raise ValueError("only more")

        ctx.on_update("add", add, validator=positive)
        await ctx.wait_for("go")
        return total

    book = world.begin(flow)
    await world.settled()
    good = world.journal.update("r", "add", encode_named(amount=5))
    bad = world.journal.update("r", "add", encode_named(amount=-1))
    odd = world.journal.update("r", "other")
    await world.settled()
    assert (good.phase, decode(good.outputs)) == (Phase.SUCCEEDED, 5)
    assert (bad.phase, "only more" in bad.message) == (Phase.FAILED, True)
    assert odd.phase is Phase.FAILED
    world.new_process()
    world.journal.take_over("r")
    await world.settled()
    world.journal.signal("r", "go")
    assert await world.result() == 5
    assert steps_of(book) == ["check"]


def encode_named(**values):
    from aether.flow.codec import encode_inputs

    return encode_inputs(values)


async def test_run_continues_as_new_with_other_arguments(world):
    async def flow(ctx, n):
        await ctx.step("s", nothing)
        ctx.continue_as_new(n + 1)

    await world.run(flow, 1)
    successor = world.journal.book("r").successor
    assert successor.run_id == "r::2"
    assert b'[["n","",2' in successor.inputs


async def test_failed_activity_is_raised_with_what_it_said(world):
    async def flow(ctx):
        try:
            await ctx.activity("charge", amount=1)
        except StepFailed as error:
            return str(error)

    world.begin(flow)
    await world.settled()
    world.journal.end("r", "charge", None, Phase.FAILED, "no money")
    assert await world.result() == "no money"


# Plain workflows


async def test_more_plain_workflows_than_step_threads_wait_for_steps_without_blocking_them(world):
    def flow(ctx, n):
        return ctx.step("s", lambda: n)

    host = world.serve(flow)
    for n in range(40):
        world.journal.begin(f"r{n}", "flow", host.definition.signature.encode((n,), {}))
    for n in range(40):
        assert await world.result(f"r{n}") == n


async def test_plain_workflow_that_sleeps_holds_no_thread_and_is_led_back(world):
    seen = []

    def flow(ctx):
        seen.append("begun")
        try:
            ctx.sleep(hours=1)
        finally:
            seen.append("unwound")
        seen.append("slept")

    book = world.begin(flow)
    await world.settled()
    assert book.root.phase is Phase.SUSPENDED
    assert seen == ["begun", "unwound"]
    await world.result()
    assert seen == ["begun", "unwound", "begun", "unwound", "slept"]


async def test_cancelled_plain_workflow_unwinds_and_compensates(world):
    seen = []

    def flow(ctx):
        ctx.compensate_with(seen.append, "undone")
        try:
            ctx.wait_for("never")
        finally:
            seen.append("finally")

    world.begin(flow)
    await world.settled()
    world.journal.cancel("r")
    assert await world.result() == "cancelled"
    assert seen == ["finally", "undone"]


async def test_step_without_a_name_is_refused_with_the_words_that_help(world):
    async def flow(ctx):
        await ctx.step(nothing, 1)

    with pytest.raises(Refused, match="write the name first"):
        await world.run(flow)


async def test_thread_begun_by_an_async_step_of_a_plain_workflow_is_outside_of_the_workflow(world):
    async def inside():
        return await asyncio.to_thread(lambda: current_context() is None)

    def flow(ctx):
        return [current_context() is ctx, ctx.step("s", inside)]

    assert await world.run(flow) == [True, True]


async def test_cancellation_while_steps_are_undone_lets_all_of_them_be_undone(world):
    seen = []
    gate = asyncio.get_running_loop().create_future()

    async def undo(what):
        seen.append(what)
        if seen == ["second"]:
            await gate

    async def flow(ctx):
        ctx.compensate_with(undo, "first")
        ctx.compensate_with(undo, "second")
        raise ValueError("no")

    world.endless.add(undo)
    world.begin(flow)
    await world.passes(seconds=1)
    world.journal.cancel("r")
    with pytest.raises(ValueError, match="no"):
        await world.result()
    assert seen == ["second", "second", "first"]


async def test_many_items_are_mapped_few_at_a_time_and_drawn_as_they_are_needed(world):
    drawn, at_once, most = [], 0, 0

    def items():
        for n in range(30):
            drawn.append(n)
            yield n

    async def one(n):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        assert len(drawn) <= n + 5
        await asyncio.sleep(0)
        at_once -= 1
        return n

    async def flow(ctx):
        return await ctx.map("one", one, items(), limit=4)

    assert await world.run(flow) == list(range(30))
    assert most == 4


@pytest.mark.parametrize("policy", ["cancel", "finish", "return"])
async def test_failure_in_parallel_calls_does_what_was_asked_for(world, policy):
    ended = []

    async def bad():
        raise ValueError("bad")

    async def good():
        for _ in range(5):
            await asyncio.sleep(0)
        ended.append("good")
        return "good"

    async def flow(ctx):
        calls = [lambda: ctx.step("bad", bad), lambda: ctx.step("good", good)]
        return [str(result) for result in await ctx.parallel(calls, on_failure=policy)]

    if policy == "return":
        assert await world.run(flow) == ["bad", "good"]
    else:
        with pytest.raises(ValueError, match="bad"):
            await world.run(flow)
    assert ended == ([] if policy == "cancel" else ["good"])


async def test_fault_of_the_journal_costs_a_replay_and_not_the_run(world):
    append = world.journal.append
    broken = [True]

    def failing(run_id, fence, after, facts):
        if broken and len(world.journal.book("r").commits) == 1:
            broken.pop()
            future = asyncio.get_running_loop().create_future()
            future.set_exception(OSError("out of reach"))
            return future
        return append(run_id, fence, after, facts)

    world.journal.append = failing
    count = []

    async def flow(ctx):
        for n in range(4):
            await ctx.step(f"s{n}", note, n)
        return "done"

    async def note(n):
        count.append(n)

    book = world.begin(flow)
    for _ in range(5):
        await world.passes(seconds=1)
    assert decode(book.root.outputs) == "done"
    assert count == [0, 1, 1, 2, 3]
    assert len(world.faults) == 1


async def test_plain_branches_take_turns_and_their_steps_run_at_the_same_time(world):
    inside, turns, all_here = [], [], asyncio.Event()

    async def meet(n):
        inside.append(n)
        if len(inside) == 150:
            all_here.set()
        await all_here.wait()
        return n

    def flow(ctx):
        def branch(n):
            turns.append(n)
            return ctx.step("s", meet, n)

        return ctx.parallel([lambda n=n: branch(n) for n in range(150)])

    assert await world.run(flow) == list(range(150))
    assert turns == list(range(150))
