"""What every TaskBroker promises."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import pytest

from ..errors import Refused
from ..ports import Assignment, Cancellation, Fence, Outcome, TaskBroker, TaskResult
from .suites import ContractSuite

T = TypeVar("T")
ROUNDS = 50  # turns of the loop after which what has not happened is taken not to happen


class RecordedEvents:
    """A TaskEvents that writes down what it is told."""

    def __init__(self) -> None:
        self.started: list[tuple[str, Fence, str]] = []
        self.beats: list[tuple[str, bytes | None]] = []
        self.completed: list[TaskResult] = []

    def on_task_started(self, task_run_id: str, fence: Fence, worker_id: str = "") -> None:
        self.started.append((task_run_id, fence, worker_id))

    def on_task_heartbeat(self, task_run_id: str, fence: Fence, details: bytes | None) -> None:
        self.beats.append((task_run_id, details))

    def on_task_completed(self, result: TaskResult) -> None:
        self.completed.append(result)


def assignment(
    name: str, executor_type: str = "echo", *, delivery: int = 1, **more: Any
) -> Assignment:
    return Assignment(
        run_id="run",
        task_run_id=f"run.{name}",
        fence=Fence(1, delivery),
        task_name=name,
        executor_type=executor_type,
        **more,
    )


def cancellation(of: Assignment, reason: str = "because") -> Cancellation:
    return Cancellation(of.task_run_id, of.fence, reason)


def result(of: Assignment, **outputs: Any) -> TaskResult:
    return TaskResult(
        task_run_id=of.task_run_id,
        fence=of.fence,
        outcome=Outcome.succeeded(**outputs),
        worker_id="w1",
    )


class BrokerContract(ContractSuite):
    """`make` returns a broker that is not connected. `settle` gives a broker time to hand a message on:
    a broker over a network overrides it with what that takes."""

    async def make(self) -> TaskBroker:
        raise NotImplementedError

    async def settle(self) -> None:
        for _ in range(ROUNDS):
            await asyncio.sleep(0)

    # -- the engine's side

    async def test_what_is_dispatched_is_fetched_as_it_was(self) -> None:
        broker, _ = await self._connected()
        sent = assignment(
            "a", inputs=b'[["x","",1]]', attempt=2, retry_count=1, timeout=5, template_name="t"
        )
        await broker.dispatch([sent])
        assert list(await broker.fetch("w1", ["echo"])) == [sent]

    async def test_dispatch_returns_without_waiting_for_a_worker(self) -> None:
        broker, _ = await self._connected()
        for number in range(200):
            await broker.dispatch([assignment(str(number))])
        assert len(await self._fetch_all(broker, 200)) == 200

    async def test_higher_priority_is_fetched_first(self) -> None:
        broker, _ = await self._connected()
        await broker.dispatch(
            [assignment("low", priority=-1), assignment("mid"), assignment("high", priority=900)]
        )
        assert await self._fetch_all(broker, 3) == ["high", "mid", "low"]

    async def test_equal_priority_is_fetched_in_the_order_of_dispatch(self) -> None:
        broker, _ = await self._connected()
        types = ("echo", "http", "echo", "shell")
        names = [f"{number:02}" for number in range(20)]
        for number, name in enumerate(names):
            await broker.dispatch([assignment(name, types[number % 4])])
        assert await self._fetch_all(broker, 20, ["echo", "http", "shell"]) == names

    async def test_priority_counts_across_types(self) -> None:
        broker, _ = await self._connected()
        await broker.dispatch([assignment("low", "echo"), assignment("high", "http", priority=501)])
        assert await self._fetch_all(broker, 2, ["echo", "http"]) == ["high", "low"]

    async def test_a_cancelled_queued_delivery_is_never_fetched(self) -> None:
        broker, _ = await self._connected()
        first, second = assignment("a"), assignment("b")
        await broker.dispatch([first, second])
        await broker.cancel([cancellation(first)])
        assert await self._fetch_all(broker, 1) == ["b"]
        assert await self._nothing_to_fetch(broker)

    async def test_cancelling_tells_the_worker_that_holds_the_delivery(self) -> None:
        broker, _ = await self._connected()
        held = await self._held(broker, assignment("a"), "w1")
        await broker.start(held, "w1")
        other = self._wait_for(broker.cancelled("w2"))
        await self.settle()
        stop = cancellation(held, "the user asked")
        await broker.cancel([stop])
        await self.settle()
        assert not other.done()
        assert list(await broker.cancelled("w1")) == [stop]

    async def test_a_worker_that_waits_hears_of_a_cancellation(self) -> None:
        broker, _ = await self._connected()
        held = await self._held(broker, assignment("a"), "w1")
        await broker.start(held, "w1")
        waiting = self._wait_for(broker.cancelled("w1"))
        await self.settle()
        assert not waiting.done()
        await broker.cancel([cancellation(held)])
        assert list(await waiting) == [cancellation(held)]

    async def test_a_cancellation_is_heard_once(self) -> None:
        broker, _ = await self._connected()
        held = await self._held(broker, assignment("a"), "w1")
        await broker.cancel([cancellation(held), cancellation(held)])
        assert list(await broker.cancelled("w1")) == [cancellation(held)]
        again = self._wait_for(broker.cancelled("w1"))
        await self.settle()
        assert not again.done()

    async def test_cancelling_one_delivery_leaves_another_of_the_same_task_alone(self) -> None:
        broker, _ = await self._connected()
        old, new = assignment("a"), assignment("a", delivery=2)
        await broker.dispatch([old, new])
        await broker.cancel([cancellation(old)])
        assert list(await broker.fetch("w1", ["echo"], 5)) == [new]

    async def test_cancelling_what_is_unknown_or_finished_changes_nothing(self) -> None:
        broker, events = await self._connected()
        await broker.cancel([cancellation(assignment("never seen"))])
        held = await self._held(broker, assignment("a"), "w1")
        await broker.start(held, "w1")
        await broker.complete(result(held))
        await broker.cancel([cancellation(held)])
        waiting = self._wait_for(broker.cancelled("w1"))
        await self.settle()
        assert not waiting.done()
        assert len(events.completed) == 1

    async def test_a_type_nobody_serves_waits_and_holds_up_nobody(self) -> None:
        broker, _ = await self._connected()
        await broker.dispatch([assignment("odd", "no such type", priority=999), assignment("a")])
        assert [task.task_name for task in await broker.fetch("w1", ["echo"], 5)] == ["a"]
        assert [task.task_name for task in await broker.fetch("w1", ["no such type"])] == ["odd"]

    async def test_dispatching_before_connect_is_refused(self) -> None:
        broker = await self._made()
        with pytest.raises(Refused) as refused:
            await broker.dispatch([assignment("a")])
        assert refused.value.code == "broker-not-connected"

    async def test_connecting_twice_is_refused(self) -> None:
        broker, events = await self._connected()
        with pytest.raises(Refused) as refused:
            broker.connect(RecordedEvents())
        assert refused.value.code == "broker-connected"
        await broker.complete(result(assignment("a")))
        await self.settle()
        assert len(events.completed) == 1

    # -- the worker's side

    async def test_fetch_waits_until_there_is_work(self) -> None:
        broker, _ = await self._connected()
        waiting = self._wait_for(broker.fetch("w1", ["echo"]))
        await self.settle()
        assert not waiting.done()
        await broker.dispatch([assignment("a")])
        assert [task.task_name for task in await waiting] == ["a"]

    async def test_fetch_waits_while_there_is_work_of_other_types_only(self) -> None:
        broker, _ = await self._connected()
        waiting = self._wait_for(broker.fetch("w1", ["http", "shell"]))
        await broker.dispatch([assignment("a", "echo")])
        await self.settle()
        assert not waiting.done()
        await broker.dispatch([assignment("b", "shell")])
        assert [task.task_name for task in await waiting] == ["b"]

    async def test_fetch_without_types_takes_any(self) -> None:
        broker, _ = await self._connected()
        await broker.dispatch([assignment("a", "echo"), assignment("b", "anything")])
        assert await self._fetch_all(broker, 2, ()) == ["a", "b"]

    async def test_fetch_returns_at_most_the_limit(self) -> None:
        broker, _ = await self._connected()
        await broker.dispatch([assignment(str(number)) for number in range(5)])
        for limit in (3, 1):
            assert 1 <= len(await broker.fetch("w1", ["echo"], limit)) <= limit

    async def test_a_limit_below_1_counts_as_1(self) -> None:
        broker, _ = await self._connected()
        await broker.dispatch([assignment("a"), assignment("b")])
        for limit in (0, -3):
            assert len(await broker.fetch("w1", ["echo"], limit)) == 1

    async def test_no_two_fetches_get_the_same_delivery(self) -> None:
        broker, _ = await self._connected()
        fetches = [self._wait_for(broker.fetch(f"w{n}", ["echo"], 2)) for n in range(10)]
        await self.settle()
        await broker.dispatch([assignment(str(number)) for number in range(10)])
        names: list[str] = []
        while len(names) < 10:
            done, _ = await asyncio.wait(fetches, return_when=asyncio.FIRST_COMPLETED)
            for fetch in done:
                fetches.remove(fetch)
                names += [task.task_name for task in fetch.result()]
        assert sorted(names) == [str(number) for number in range(10)]

    async def test_a_cancelled_fetch_loses_no_delivery(self) -> None:
        broker, _ = await self._connected()
        given_up = self._wait_for(broker.fetch("w1", ["echo"]))
        await self.settle()
        await broker.dispatch([assignment("a")])
        given_up.cancel()
        await asyncio.wait([given_up])
        if given_up.cancelled():
            assert [task.task_name for task in await broker.fetch("w2", ["echo"])] == ["a"]

    async def test_a_cancelled_fetch_passes_its_turn_on(self) -> None:
        broker, _ = await self._connected()
        given_up = self._wait_for(broker.fetch("w1", ["echo"]))
        await self.settle()
        patient = self._wait_for(broker.fetch("w2", ["echo"]))
        await self.settle()
        await broker.dispatch([assignment("a")])
        given_up.cancel()
        await asyncio.wait([given_up])
        if given_up.cancelled():
            assert [task.task_name for task in await patient] == ["a"]

    async def test_start_is_reported_with_fence_and_worker(self) -> None:
        broker, events = await self._connected()
        held = await self._held(broker, assignment("a", delivery=7), "w1")
        assert await broker.start(held, "w1") is True
        await self.settle()
        assert events.started == [("run.a", Fence(1, 7), "w1")]

    async def test_start_of_a_delivery_cancelled_meanwhile_is_false_and_not_reported(self) -> None:
        broker, events = await self._connected()
        held = await self._held(broker, assignment("a"), "w1")
        await broker.cancel([cancellation(held)])
        await self.settle()
        assert await broker.start(held, "w1") is False
        await self.settle()
        assert events.started == []

    async def test_start_of_a_delivery_that_is_over_is_false_and_not_reported(self) -> None:
        broker, events = await self._connected()
        held = await self._held(broker, assignment("a"), "w1")
        assert await broker.start(held, "w1") is True
        await broker.complete(result(held))
        await self.settle()
        assert await broker.start(held, "w1") is False
        await self.settle()
        assert len(events.started) == 1

    async def test_a_heartbeat_is_reported_with_its_details(self) -> None:
        broker, events = await self._connected()
        held = await self._held(broker, assignment("a"), "w1")
        assert await broker.start(held, "w1")
        assert await broker.heartbeat(held, b"half")
        assert await broker.heartbeat(held)
        await self.settle()
        assert events.beats == [("run.a", b"half"), ("run.a", None)]

    async def test_a_heartbeat_of_a_cancelled_delivery_is_told_to_stop_and_not_reported(
        self,
    ) -> None:
        broker, events = await self._connected()
        held = await self._held(broker, assignment("a"), "w1")
        await broker.start(held, "w1")
        await broker.cancel([cancellation(held)])
        await self.settle()
        assert not await broker.heartbeat(held, b"half")
        assert not await broker.heartbeat(assignment("never seen"), b"half")
        await self.settle()
        assert events.beats == []

    async def test_complete_is_reported_as_it_was_said(self) -> None:
        broker, events = await self._connected()
        held = await self._held(broker, assignment("a"), "w1")
        await broker.start(held, "w1")
        said = TaskResult(
            task_run_id=held.task_run_id,
            fence=held.fence,
            outcome=Outcome.failed("no luck", "bad-luck"),
            worker_id="w1",
        )
        await broker.complete(said)
        await self.settle()
        assert events.completed == [said]

    async def test_results_of_unknown_and_cancelled_deliveries_are_reported_too(self) -> None:
        broker, events = await self._connected()
        held = await self._held(broker, assignment("a"), "w1")
        await broker.start(held, "w1")
        await broker.cancel([cancellation(held)])
        await broker.complete(result(held))
        await broker.complete(result(assignment("never seen")))
        await self.settle()
        assert [told.task_run_id for told in events.completed] == ["run.a", "run.never seen"]

    # -- the end

    async def test_close_lets_waiting_fetches_and_listeners_return_empty(self) -> None:
        broker, _ = await self._connected()
        fetches = [
            self._wait_for(broker.fetch(f"w{n}", types)) for n, types in enumerate(([], ["x"]))
        ]
        listener = self._wait_for(broker.cancelled("w1"))
        await self.settle()
        await broker.close()
        for fetch in fetches:
            assert list(await fetch) == []
        assert list(await listener) == []
        assert list(await broker.cancelled("w1")) == []

    async def test_close_drops_what_is_queued(self) -> None:
        broker, _ = await self._connected()
        await broker.dispatch([assignment("a")])
        await broker.close()
        assert list(await broker.fetch("w1", ["echo"])) == []

    async def test_dispatch_after_close_is_refused(self) -> None:
        broker, _ = await self._connected()
        await broker.close()
        with pytest.raises(Refused) as refused:
            await broker.dispatch([assignment("a")])
        assert refused.value.code == "broker-closed"

    async def test_what_was_running_is_still_reported_after_close(self) -> None:
        broker, events = await self._connected()
        held = await self._held(broker, assignment("a"), "w1")
        await broker.start(held, "w1")
        await broker.close()
        await broker.complete(result(held))
        await self.settle()
        assert len(events.completed) == 1

    async def test_close_is_idempotent(self) -> None:
        broker, _ = await self._connected()
        await broker.close()
        await broker.close()

    # -- helpers

    async def _made(self) -> TaskBroker:
        broker = await self.make()
        self.defer(broker.close)
        return broker

    async def _connected(self) -> tuple[TaskBroker, RecordedEvents]:
        broker, events = await self._made(), RecordedEvents()
        broker.connect(events)
        return broker, events

    async def _held(self, broker: TaskBroker, task: Assignment, worker_id: str) -> Assignment:
        await broker.dispatch([task])
        (fetched,) = await broker.fetch(worker_id, [task.executor_type])
        return fetched

    async def _fetch_all(
        self, broker: TaskBroker, count: int, types: Sequence[str] = ("echo",)
    ) -> list[str]:
        names: list[str] = []
        while len(names) < count:
            names += [task.task_name for task in await broker.fetch("w1", types, 3)]
        return names

    async def _nothing_to_fetch(self, broker: TaskBroker) -> bool:
        waiting = self._wait_for(broker.fetch("w1", ["echo"], 10))
        await self.settle()
        return not waiting.done()

    def _wait_for(self, call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(call)

        async def give_up() -> None:
            task.cancel()
            await asyncio.wait([task])

        self.defer(give_up)
        return task
