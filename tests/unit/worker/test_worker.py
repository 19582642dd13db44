"""The worker on good days and bad ones: slots, answers, cancellations, and its end."""

import asyncio
import contextvars
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from aether.adapters.broker import LocalBroker
from aether.adapters.executor import EchoExecutor, Executors, FunctionExecutor
from aether.errors import Problem, Refused, StoreUnavailable
from aether.ports import Assignment, Cancellation, Fence, Outcome, Schema, TaskResult
from aether.record import NamedValue, decode_values, encode_values
from aether.testing.clock import FakeClock
from aether.worker import Worker

ZERO = timedelta(0)


class Events:
    """The engine's side: what was told, and a way to wait for it."""

    def __init__(self):
        self.started = []
        self.beats = []
        self.results = {}
        self.completed = []
        self._arrived = asyncio.Event()

    def on_task_started(self, task_run_id, fence, worker_id=""):
        self.started.append(task_run_id)

    def on_task_heartbeat(self, task_run_id, fence, details):
        self.beats.append(details)

    def on_task_completed(self, result):
        self.completed.append(result)
        self.results[result.task_run_id] = result
        self._arrived.set()

    async def result(self, name):
        return (await self.results_of(name))[0]

    async def results_of(self, *names):
        async with asyncio.timeout(5):
            while not all(f"run.{name}" in self.results for name in names):
                self._arrived.clear()
                await self._arrived.wait()
        return [self.results[f"run.{name}"] for name in names]


class Sink:
    def __init__(self):
        self.faults = []

    def on_error(self, fault, error=None):
        self.faults.append(fault)


class Executor:
    """Runs `behave(request)`, and says who is running."""

    def __init__(self, behave, executor_type="x"):
        self.schema = Schema(type=executor_type)
        self.behave = behave
        self.running = set()
        self.ended = []
        self._changed = asyncio.Event()

    async def execute(self, request):
        self.running.add(request.task_name)
        self._changed.set()
        try:
            return await self.behave(request)
        finally:
            self.running.discard(request.task_name)
            self.ended.append(request.task_name)

    async def has_running(self, *names):
        async with asyncio.timeout(5):
            while not set(names) <= self.running:
                self._changed.clear()
                await self._changed.wait()


def task(name="a", executor_type="x", **more):
    inputs = more.pop("inputs", None)
    if isinstance(inputs, dict):
        inputs = encode_values(NamedValue(key, "", value) for key, value in inputs.items())
    return Assignment(
        run_id="run",
        task_run_id=f"run.{name}",
        fence=Fence(1, more.pop("delivery", 1)),
        task_name=name,
        executor_type=executor_type,
        inputs=inputs,
        **more,
    )


def stop_of(assignment, reason="the user asked"):
    return Cancellation(assignment.task_run_id, assignment.fence, reason)


class Shop:
    """A broker, its engine's side, and a worker over it."""

    def __init__(self, *executors, broker=None, **options):
        self.broker = broker or LocalBroker()
        self.events = Events()
        self.broker.connect(self.events)
        self.clock = FakeClock()
        self.sink = Sink()
        self.executors = Executors(executors)
        self.worker = Worker(
            self.broker,
            self.executors,
            worker_id="w1",
            clock=self.clock,
            errors=self.sink,
            **options,
        )

    async def run(self, *tasks):
        await self.broker.dispatch(tasks)
        return await self.events.results_of(*(one.task_name for one in tasks))


@asynccontextmanager
async def shop(*executors, **options):
    made = Shop(*executors, **options)
    await made.worker.start()
    try:
        yield made
    finally:
        await made.worker.stop(ZERO)
        await made.broker.close()


def behaving(behave, executor_type="x"):
    return Executor(behave, executor_type)


async def forever(_request=None):
    await asyncio.get_running_loop().create_future()


async def answer_of(answer):
    async def behave(_):
        return answer

    async with shop(behaving(behave)) as at:
        (result,) = await at.run(task())
        return result


async def error_of(error):
    async def behave(_):
        raise error

    async with shop(behaving(behave)) as at:
        (result,) = await at.run(task())
        return result.outcome


# -- answers


async def test_a_mapping_becomes_outputs():
    result = await answer_of({"a": 1, "b": [None]})
    assert result.outcome.code == 0
    assert [(v.name, v.value) for v in decode_values(result.outputs)] == [("a", 1), ("b", [None])]
    assert result.worker_id == "w1"
    assert result.fence == Fence(1, 1)


async def test_none_means_succeeded_without_outputs():
    result = await answer_of(None)
    assert (result.outcome, result.outputs) == (Outcome(), None)


async def test_an_outcome_is_passed_on():
    result = await answer_of(Outcome.suspended("waits", ticket=7))
    assert (result.outcome.code, result.outcome.message) == (1, "waits")
    assert decode_values(result.outputs) == [NamedValue("ticket", "", 7)]


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (42, "42 of type int"),
        ("text", "'text' of type str"),
        ([("a", 1)], "of type list"),
        ({1: 2}, "an output named 1"),
        (Outcome(code="0"), "code is '0'"),
        (Outcome(code=True), "code is True"),
        (Outcome(message=b"x"), "message is b'x'"),
        (Outcome(error_type=3), "error_type is 3"),
        (Outcome(parameters={"a": 1}), "parameters are {'a': 1}"),
        (Outcome(parameters=[("a", 1)]), "('a', 1) among its parameters"),
        (Outcome(parameters=[NamedValue(1)]), "NamedValue"),
    ],
)
async def test_garbage_is_an_error_that_names_what_was_returned(answer, named):
    result = await answer_of(answer)
    assert (result.outcome.code, result.outcome.error_type) == (3, "bad-outcome")
    assert named in result.outcome.message
    assert "executor 'x'" in result.outcome.message


async def test_a_value_whose_repr_fails_is_named_by_its_type():
    class Shy:
        def __repr__(self):
            raise ValueError

    assert "a Shy" in (await answer_of(Shy())).outcome.message


@pytest.mark.parametrize("value", [object(), {1, object()}, "\ud800", lambda: 0])
async def test_an_output_without_json_form_is_an_error_that_names_it(value):
    result = await answer_of({"good": 1, "bad-one": value})
    assert (result.outcome.code, result.outcome.error_type) == (3, "not-json")
    assert "bad-one" in result.outcome.message
    assert result.outputs is None


async def test_an_exception_is_an_error_with_its_class_and_text():
    outcome = await error_of(ZeroDivisionError("by zero"))
    assert (outcome.code, outcome.message) == (3, "ZeroDivisionError: by zero")
    assert outcome.error_type == "ZeroDivisionError"


async def test_an_exception_without_text_is_its_class():
    assert (await error_of(KeyError())).message == "KeyError"


async def test_a_problem_keeps_its_code_and_its_sentence():
    outcome = await error_of(Refused(Problem("no-luck", "there was no luck", fix="try again")))
    assert (outcome.error_type, outcome.message) == ("no-luck", "there was no luck")


async def test_an_exception_whose_text_fails_is_still_an_error():
    class Mute(Exception):
        def __str__(self):
            raise ValueError

    outcome = await error_of(Mute())
    assert outcome.code == 3
    assert outcome.message.startswith("Mute: ")


async def test_a_message_is_cut_and_made_encodable():
    outcome = await error_of(ValueError("\ud800" + "x" * 100_000))
    assert len(outcome.message) < 17_000
    outcome.message.encode("utf-8")
    assert "characters more" in outcome.message


async def test_leaving_the_interpreter_from_an_executor_ends_only_its_task():
    assert (await error_of(SystemExit(3))).message == "SystemExit: 3"


async def test_an_executor_that_is_not_async_is_taken_at_its_word():
    class Plain:
        schema = Schema(type="x")

        def execute(self, request):
            return {"a": 1}

    async with shop(Plain()) as at:
        (result,) = await at.run(task())
        assert decode_values(result.outputs) == [NamedValue("a", "", 1)]


# -- requests


async def test_the_request_says_all_that_the_assignment_says():
    seen = []

    async def behave(request):
        seen.append(request)

    async with shop(behaving(behave)) as at:
        await at.run(
            task(
                inputs=b'[["n","int",1],["s","",{"a":[]}]]',
                attempt=3,
                retry_count=2,
                delivery=5,
                timeout=1_500_000,
                template_name="t",
                resources=b'{"cpu":2}',
            )
        )
    (request,) = seen
    assert request.inputs == {"n": 1, "s": {"a": []}}
    assert request.parameters == [NamedValue("n", "int", 1), NamedValue("s", "", {"a": []})]
    assert (request.run_id, request.task_run_id, request.task_name) == ("run", "run.a", "a")
    assert (request.attempt, request.retry_count, request.delivery) == (3, 2, 5)
    assert request.timeout == timedelta(seconds=1.5)
    assert (request.template_name, request.resources) == ("t", {"cpu": 2})


async def test_inputs_are_private_to_each_request():
    async def behave(request):
        request.inputs["list"].append(1)
        return {"length": len(request.inputs["list"])}

    async with shop(behaving(behave)) as at:
        shared = encode_values([NamedValue("list", "", [])])
        for result in await at.run(task("a", inputs=shared), task("b", inputs=shared)):
            assert decode_values(result.outputs)[0].value == 1


async def test_inputs_that_cannot_be_read_are_an_error_of_that_task():
    async with shop(EchoExecutor()) as at:
        bad, good = await at.run(task("a", "echo", inputs=b"{nonsense"), task("b", "echo"))
        assert bad.outcome.code == 3
        assert good.outcome.code == 0


async def test_a_type_that_left_meanwhile_is_an_error():
    async with shop(behaving(forever)) as at:
        at.executors.get = lambda _: None
        (result,) = await at.run(task())
        assert (result.outcome.code, result.outcome.error_type) == (3, "executor-unknown")


# -- slots


async def test_executions_overlap_up_to_the_slots():
    executor = behaving(forever)
    async with shop(executor, slots=3) as at:
        await at.broker.dispatch([task(str(n)) for n in range(5)])
        await executor.has_running("0", "1", "2")
        await at.clock.settle()
        assert executor.running == {"0", "1", "2"}
        assert at.worker.running == 3


async def test_a_slot_that_is_free_again_takes_the_next_task():
    gates = {str(n): asyncio.Event() for n in range(4)}

    async def behave(request):
        await gates[request.task_name].wait()

    executor = behaving(behave)
    async with shop(executor, slots=2) as at:
        await at.broker.dispatch([task(name) for name in gates])
        await executor.has_running("0", "1")
        gates["0"].set()
        await executor.has_running("1", "2")
        gates["1"].set()
        gates["2"].set()
        gates["3"].set()
        assert len(await at.events.results_of(*gates)) == 4


async def test_one_slot_works_off_everything_in_order():
    async def behave(request):
        await asyncio.sleep(0)

    executor = behaving(behave)
    async with shop(executor, slots=1) as at:
        await at.run(*(task(str(n)) for n in range(20)))
    assert executor.ended == [str(n) for n in range(20)]


async def test_tasks_that_do_not_suspend_share_one_asyncio_task():
    used = set()

    async def behave(_):
        used.add(asyncio.current_task())

    async with shop(behaving(behave)) as at:
        await at.run(*(task(str(n)) for n in range(50)))
        assert len(used) == 1


async def test_a_blocked_execution_does_not_hold_up_the_others():
    async def behave(request):
        if request.task_name == "stuck":
            await forever()

    async with shop(behaving(behave)) as at:
        await at.broker.dispatch([task("stuck"), *(task(str(n)) for n in range(10))])
        await at.events.results_of(*(str(n) for n in range(10)))
        assert "run.stuck" not in at.events.results


async def test_timeouts_and_the_current_task_work_in_user_code():
    async def behave(_):
        task = asyncio.current_task()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await forever()
        assert asyncio.current_task() is task
        return {"cancelling": task.cancelling()}

    async with shop(behaving(behave)) as at:
        for result in await at.run(task("a"), task("b")):
            assert result.outcome.code == 0
            assert decode_values(result.outputs)[0].value == 0


async def test_context_variables_do_not_leak_into_the_next_execution():
    mark = contextvars.ContextVar("mark", default="clean")

    async def behave(request):
        seen = mark.get()
        mark.set(request.task_name)
        return {"seen": seen}

    async with shop(behaving(behave), slots=1) as at:
        for result in await at.run(task("a"), task("b"), task("c")):
            assert decode_values(result.outputs)[0].value == "clean"


async def test_a_type_registered_later_is_served_after_refresh():
    async with shop() as at:
        await at.broker.dispatch([task("a", "late")])
        await at.clock.settle()
        assert at.events.started == []
        at.executors.register(FunctionExecutor("late", lambda_of({"ok": True})))
        at.worker.refresh()
        assert (await at.events.result("a")).outcome.code == 0


async def test_refresh_while_it_waits_loses_nothing():
    async with shop(EchoExecutor()) as at:
        await at.clock.settle()
        at.worker.refresh()
        at.worker.refresh()
        assert (await at.run(task("a", "echo")))[0].outcome.code == 0


def lambda_of(value):
    async def function():
        return value

    return function


# -- cancellation


async def test_a_cancelled_task_is_cancelled_in_the_executor_and_reported_as_timeout():
    executor = behaving(forever)
    async with shop(executor) as at:
        one, other = task("a"), task("b")
        await at.broker.dispatch([one, other])
        await executor.has_running("a", "b")
        await at.broker.cancel([stop_of(one, "the run was cancelled")])
        result = await at.events.result("a")
        assert (result.outcome.code, result.outcome.message) == (4, "the run was cancelled")
        assert executor.running == {"b"}


async def test_what_an_executor_says_after_its_cancellation_is_dropped():
    async def behave(_):
        try:
            await forever()
        except asyncio.CancelledError:
            return {"late": True}

    executor = behaving(behave)
    async with shop(executor) as at:
        await at.broker.dispatch([task()])
        await executor.has_running("a")
        await at.broker.cancel([stop_of(task())])
        result = await at.events.result("a")
        assert (result.outcome.code, result.outcome.parameters, result.outputs) == (4, [], None)


async def test_what_an_executor_raises_after_its_cancellation_is_dropped():
    async def behave(_):
        try:
            await forever()
        finally:
            raise ValueError("while cleaning up")

    executor = behaving(behave)
    async with shop(executor) as at:
        await at.broker.dispatch([task()])
        await executor.has_running("a")
        await at.broker.cancel([stop_of(task())])
        assert (await at.events.result("a")).outcome.code == 4


async def test_a_slot_works_on_cleanly_after_a_cancellation():
    async def behave(request):
        if request.task_name == "a":
            await forever()
        await asyncio.sleep(0)
        return {"cancelling": asyncio.current_task().cancelling()}

    executor = behaving(behave)
    async with shop(executor, slots=1) as at:
        await at.broker.dispatch([task("a"), task("b")])
        await executor.has_running("a")
        await at.broker.cancel([stop_of(task("a"))])
        result = await at.events.result("b")
        assert decode_values(result.outputs)[0].value == 0


async def test_an_executor_that_ignores_its_cancellation_costs_one_slot_and_is_reported():
    release = asyncio.Event()

    async def behave(request):
        while request.task_name == "stubborn" and not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    executor = behaving(behave)
    async with shop(executor, slots=2) as at:
        await at.broker.dispatch([task("stubborn")])
        await executor.has_running("stubborn")
        await at.broker.cancel([stop_of(task("stubborn"))])
        await at.run(task("b"), task("c"))
        await at.clock.advance(timedelta(seconds=10))
        (fault,) = at.sink.faults
        assert "ignores its cancellation" in fault.what
        assert fault.task_run_id == "run.stubborn"
        release.set()
        assert (await at.events.result("stubborn")).outcome.code == 4


async def test_cancelling_between_fetch_and_start_keeps_the_task_from_running():
    async def behave(request):
        if request.task_name == "a":
            await at.broker.cancel([stop_of(task("b"))])

    executor = behaving(behave)
    async with shop(executor) as at:
        await at.broker.dispatch([task("a"), task("b"), task("c")])
        await at.events.results_of("a", "c")
        assert at.events.started == ["run.a", "run.c"]
        assert executor.ended == ["a", "c"]


async def test_cancel_racing_completion_is_harmless():
    gate = asyncio.Event()

    async def behave(_):
        await gate.wait()
        return {"done": True}

    executor = behaving(behave)
    async with shop(executor, slots=1) as at:
        await at.broker.dispatch([task("a"), task("b")])
        await executor.has_running("a")
        gate.set()
        await at.broker.cancel([stop_of(task("a"))])
        await at.events.results_of("a", "b")
        assert len([told for told in at.events.completed if told.task_run_id == "run.a"]) == 1
        assert at.events.results["run.b"].outcome.code == 0


async def test_a_cancellation_of_an_old_delivery_leaves_the_new_one_alone():
    executor = behaving(forever)
    async with shop(executor) as at:
        await at.broker.dispatch([task(delivery=2)])
        await executor.has_running("a")
        await at.broker.cancel([stop_of(task(delivery=1))])
        await at.clock.settle()
        assert executor.running == {"a"}


async def test_an_executor_that_cancels_itself_is_an_error_and_the_worker_goes_on():
    async def behave(request):
        if request.task_name == "a":
            asyncio.current_task().cancel()
            await forever()

    async with shop(behaving(behave), slots=1) as at:
        results = await at.run(task("a"), task("b"))
        assert [result.outcome.code for result in results] == [3, 0]
        assert results[0].outcome.error_type == "CancelledError"


async def test_an_executor_that_awaits_something_cancelled_is_an_error():
    async def behave(_):
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with shop(behaving(behave)) as at:
        (result,) = await at.run(task())
        assert (result.outcome.code, result.outcome.error_type) == (3, "CancelledError")


# -- brokers that repeat themselves or fail


class Scripted(LocalBroker):
    """A LocalBroker that may fail, or deliver what it delivered before."""

    def __init__(self):
        super().__init__()
        self.fail = {}
        self.repeat = False

    def _trip(self, call):
        if self.fail.get(call, 0):
            self.fail[call] -= 1
            raise StoreUnavailable(f"{call} failed")

    async def fetch(self, worker_id, executor_types=(), limit=1):
        self._trip("fetch")
        batch = list(await super().fetch(worker_id, executor_types, limit))
        return batch * 2 if self.repeat else batch

    async def start(self, assignment, worker_id):
        self._trip("start")
        return await super().start(assignment, worker_id)

    async def complete(self, result):
        self._trip("complete")
        await super().complete(result)

    async def cancelled(self, worker_id):
        self._trip("cancelled")
        return await super().cancelled(worker_id)


async def test_a_delivery_that_comes_twice_runs_once():
    gate = asyncio.Event()

    async def behave(_):
        await gate.wait()

    executor = behaving(behave)
    async with shop(executor, broker=Scripted()) as at:
        at.broker.repeat = True
        await at.broker.dispatch([task()])
        await executor.has_running("a")
        await at.clock.settle()
        gate.set()
        await at.events.result("a")
        await at.clock.settle()
        assert executor.ended == ["a"]
        assert at.events.started == ["run.a"]


async def test_a_broker_whose_fetch_fails_is_asked_again_after_a_moment():
    broker = Scripted()
    broker.fail["fetch"] = 2
    async with shop(EchoExecutor(), broker=broker) as at:
        await broker.dispatch([task("a", "echo")])
        await at.clock.advance(timedelta(seconds=2))
        assert (await at.events.result("a")).outcome.code == 0
        assert [fault.operation for fault in at.sink.faults] == ["fetch work"] * 2


@pytest.mark.parametrize("call", ["start", "complete"])
async def test_a_broker_that_fails_for_one_task_costs_that_task_only(call):
    broker = Scripted()
    broker.fail[call] = 1
    async with shop(EchoExecutor(), broker=broker) as at:
        await broker.dispatch([task("a", "echo"), task("b", "echo")])
        await at.events.result("b")
        assert "run.a" not in at.events.results
        (fault,) = at.sink.faults
        assert (fault.operation, fault.task_run_id) == ("report a task", "run.a")
        assert at.worker.running == 0


async def test_a_broker_that_loses_its_cancellations_is_asked_again():
    broker = Scripted()
    broker.fail["cancelled"] = 1
    executor = behaving(forever)
    async with shop(executor, broker=broker) as at:
        await broker.dispatch([task()])
        await executor.has_running("a")
        await at.clock.advance(timedelta(seconds=1))
        await broker.cancel([stop_of(task())])
        assert (await at.events.result("a")).outcome.code == 4


async def test_a_sink_that_raises_changes_nothing():
    broker = Scripted()
    broker.fail["complete"] = 1
    async with shop(EchoExecutor(), broker=broker) as at:

        def explode(fault, error=None):
            raise RuntimeError("the sink is broken")

        at.sink.on_error = explode
        await broker.dispatch([task("a", "echo"), task("b", "echo")])
        assert (await at.events.result("b")).outcome.code == 0


async def test_a_closed_broker_leaves_the_worker_idle():
    async with shop(EchoExecutor()) as at:
        await at.clock.settle()
        await at.broker.close()
        await at.clock.settle()
        assert not at.worker._tasks


async def test_results_of_unknown_deliveries_and_duplicates_reach_the_engine_which_judges_them():
    async with shop(EchoExecutor()) as at:
        (result,) = await at.run(task("a", "echo"))
        await at.broker.complete(result)
        await at.broker.complete(TaskResult(task_run_id="?", fence=Fence(0, 0), outcome=Outcome()))
        assert [told.task_run_id for told in at.events.completed] == ["run.a", "run.a", "?"]


# -- the end


async def test_stop_waits_for_what_ends_within_the_grace():
    gate = asyncio.Event()

    async def behave(_):
        await gate.wait()
        return {"a": 1}

    executor = behaving(behave)
    at = Shop(executor)
    await at.worker.start()
    await at.broker.dispatch([task("a")])
    await executor.has_running("a")
    stopping = asyncio.ensure_future(at.worker.stop(timedelta(seconds=10)))
    await at.clock.settle()
    await at.broker.dispatch([task("b")])
    assert not stopping.done()
    gate.set()
    await stopping
    assert at.events.results["run.a"].outcome.code == 0
    assert at.events.started == ["run.a"]


async def test_stop_cancels_what_outlasts_the_grace_and_reports_no_result():
    executor = behaving(forever)
    at = Shop(executor)
    await at.worker.start()
    await at.broker.dispatch([task("a")])
    await executor.has_running("a")
    stopping = asyncio.ensure_future(at.worker.stop(timedelta(seconds=10)))
    await at.clock.advance(timedelta(seconds=9))
    await stopping
    assert executor.ended == ["a"]
    assert at.events.completed == []
    assert at.worker.running == 0


async def test_stop_returns_at_the_end_of_its_grace_even_if_an_executor_never_ends():
    release = asyncio.Event()

    async def behave(_):
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    executor = behaving(behave)
    at = Shop(executor)
    await at.worker.start()
    await at.broker.dispatch([task("a")])
    await executor.has_running("a")
    stopping = asyncio.ensure_future(at.worker.stop(timedelta(seconds=10)))
    await at.clock.advance(timedelta(seconds=10))
    assert stopping.done()
    (fault,) = at.sink.faults
    assert "did not end within the grace" in fault.what
    release.set()
    await at.clock.settle()
    assert at.events.completed == []


async def test_stop_without_grace_returns_at_once():
    executor = behaving(forever)
    at = Shop(executor)
    await at.worker.start()
    await at.broker.dispatch([task("a")])
    await executor.has_running("a")
    await at.worker.stop(ZERO)
    assert executor.ended == ["a"]


async def test_stop_twice_and_start_twice_do_nothing_more():
    at = Shop(EchoExecutor())
    await at.worker.stop(ZERO)
    await at.worker.start()
    await at.worker.start()
    await at.run(task("a", "echo"))
    await at.worker.stop(ZERO)
    await at.worker.stop(ZERO)
    assert len(at.events.completed) == 1


async def test_a_stopped_worker_can_start_again():
    at = Shop(EchoExecutor())
    for name in ("a", "b"):
        await at.worker.start()
        await at.run(task(name, "echo"))
        await at.worker.stop(ZERO)


async def test_a_cancellation_is_still_heard_while_the_worker_stops():
    executor = behaving(forever)
    at = Shop(executor)
    await at.worker.start()
    await at.broker.dispatch([task("a")])
    await executor.has_running("a")
    stopping = asyncio.ensure_future(at.worker.stop(timedelta(seconds=10)))
    await at.clock.settle()
    await at.broker.cancel([stop_of(task("a"))])
    await stopping
    assert at.events.results["run.a"].outcome.code == 4
