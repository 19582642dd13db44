"""Brokers of the simulation: one across a network, and the real local one with a faulty front.

A `Network` outlives engines and workers. It delivers at least once: whatever is lost on it is repeated
when its lease has run out, until a result was handed to an engine or the delivery was called off.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from ...adapters.broker import LocalBroker
from ...ports import Assignment, Cancellation, Fence, TaskEvents, TaskResult
from ..chance import Chance
from .faults import Faults
from .loop import Node, SimLoop, node_context

Key = tuple[str, Fence]


class BrokerDown(Exception):
    """What a broker raises when it does not feel like working."""


class Watcher(Protocol):
    def dispatched(self, assignments: Sequence[Assignment]) -> None: ...


class _Delivery:
    __slots__ = ("assignment", "holders", "over", "repeat")

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.holders: dict[str, None] = {}
        self.over = False  # called off, or a result was handed over
        self.repeat = 0  # counts leases; an alarm of an older one means nothing


class Network:
    def __init__(self, loop: SimLoop, chance: Chance, faults: Faults, watcher: Watcher) -> None:
        self.loop = loop
        self.node = loop.node("network")
        self.faults = faults
        self.watcher = watcher
        self.chance = chance.child("network")
        self.delay = self.chance.one_of((0, 100, 5_000, 300_000))
        self.lease = self.chance.one_of((5_000_000, 30_000_000))
        self.deliveries: dict[Key, _Delivery] = {}
        self.waiting: deque[Key] = deque()
        self.stops: dict[str, list[Cancellation]] = {}
        self.sleepers: list[asyncio.Future[None]] = []
        self.engine: tuple[Node, TaskEvents] | None = None
        self.kept: deque[TaskResult] = deque()  # for the next engine

    def later(self, delay: int, call: Callable[..., None], *args: object) -> None:
        self.loop.call_in(delay, call, *args, context=node_context(self.node))

    def span(self, late: str) -> int:
        if self.faults.strike(late):
            return self.chance.span(100_000, 40_000_000)
        return self.chance.span(1, self.delay) if self.delay else 1

    # Tasks on their way out

    def take_in(self, assignment: Assignment) -> None:
        key = (assignment.task_run_id, assignment.fence)
        if key in self.deliveries:
            return
        delivery = self.deliveries[key] = _Delivery(assignment)
        if self.faults.strike("broker.dispatch-lost"):
            self._lease(key, delivery)
            return
        self.later(self.span("broker.dispatch-late"), self._offer, key)
        if self.faults.strike("broker.dispatch-twice"):
            self.later(self.span("broker.dispatch-late"), self._offer, key)

    def _offer(self, key: Key) -> None:
        delivery = self.deliveries.get(key)
        if delivery is None or delivery.over:
            return
        self.waiting.append(key)
        self._lease(key, delivery)
        self._rouse()

    def _lease(self, key: Key, delivery: _Delivery) -> None:
        delivery.repeat += 1
        self.later(self.lease, self._expire, key, delivery.repeat)

    def _expire(self, key: Key, repeat: int) -> None:
        delivery = self.deliveries.get(key)
        if delivery is not None and not delivery.over and delivery.repeat == repeat:
            if key not in self.waiting:
                self._offer(key)
            else:
                self._lease(key, delivery)

    def _rouse(self) -> None:
        sleepers, self.sleepers = self.sleepers, []
        for sleeper in sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    async def sleep(self) -> None:
        future: asyncio.Future[None] = self.loop.create_future()
        self.sleepers.append(future)
        await future

    def take(self, worker_id: str, types: Sequence[str], limit: int) -> list[Assignment]:
        found: list[Assignment] = []
        for _ in range(len(self.waiting)):
            key = self.waiting.popleft()
            delivery = self.deliveries.get(key)
            if delivery is None or delivery.over:
                continue
            if len(found) >= limit or (types and delivery.assignment.executor_type not in types):
                self.waiting.append(key)
                continue
            delivery.holders[worker_id] = None
            found.append(delivery.assignment)
        return found

    # Words on their way back

    def started(self, assignment: Assignment, worker_id: str) -> bool:
        key = (assignment.task_run_id, assignment.fence)
        delivery = self.deliveries.get(key)
        if delivery is None or delivery.over:
            return False
        if not self.faults.strike("broker.start-lost"):
            for _ in range(2 if self.faults.strike("broker.start-twice") else 1):
                delay = self.span("broker.start-late")
                self.later(delay, self._tell_start, key, worker_id)
        return True

    def _tell_start(self, key: Key, worker_id: str) -> None:
        if self.engine is not None and self.engine[0].alive:
            node, events = self.engine
            self.loop.call_soon(events.on_task_started, *key, worker_id, context=node_context(node))

    def beaten(self, assignment: Assignment, details: bytes | None) -> bool:
        key = (assignment.task_run_id, assignment.fence)
        delivery = self.deliveries.get(key)
        if delivery is None or delivery.over:
            return False
        self.later(self.span("broker.start-late"), self._tell_beat, key, details)
        return True

    def _tell_beat(self, key: Key, details: bytes | None) -> None:
        if self.engine is not None and self.engine[0].alive:
            node, events = self.engine
            self.loop.call_soon(events.on_task_heartbeat, *key, details, context=node_context(node))

    def completed(self, result: TaskResult) -> None:
        if self.faults.strike("broker.result-fails"):
            raise BrokerDown("the result could not be handed in")
        if self.faults.strike("broker.result-lost"):
            return
        self.later(self.span("broker.result-late"), self._tell_result, result)
        if self.faults.strike("broker.result-twice"):
            self.later(self.span("broker.result-late"), self._tell_result, result)

    def _tell_result(self, result: TaskResult) -> None:
        delivery = self.deliveries.get((result.task_run_id, result.fence))
        if self.engine is None or not self.engine[0].alive:
            self.kept.append(result)
            return
        if delivery is not None:
            delivery.over = True
        node, events = self.engine
        self.loop.call_soon(events.on_task_completed, result, context=node_context(node))

    def call_off(self, cancellation: Cancellation) -> None:
        if self.faults.strike("broker.cancel-lost"):
            return
        self.later(self.span("broker.cancel-late"), self._call_off, cancellation)

    def _call_off(self, cancellation: Cancellation) -> None:
        delivery = self.deliveries.get((cancellation.task_run_id, cancellation.fence))
        if delivery is None or delivery.over:
            return
        delivery.over = True
        for worker_id in delivery.holders:
            self.stops.setdefault(worker_id, []).append(cancellation)
        self._rouse()

    def connect(self, node: Node, events: TaskEvents) -> None:
        self.engine = (node, events)
        kept, self.kept = self.kept, deque()
        for result in kept:
            self.later(self.span("broker.result-late"), self._tell_result, result)

    def tidy(self) -> None:
        """Forget what is over, so that a long simulation does not grow."""
        self.deliveries = {key: d for key, d in self.deliveries.items() if not d.over}


class NetworkBroker:
    """One end of the network: an engine's or a worker's. An adapter of the TaskBroker port."""

    def __init__(self, network: Network, node: Node) -> None:
        self._network = network
        self._node = node
        self._closed = False

    def connect(self, events: TaskEvents) -> None:
        self._network.connect(self._node, events)

    async def dispatch(self, assignments: Sequence[Assignment]) -> None:
        network = self._network
        network.watcher.dispatched(assignments)
        if network.faults.strike("broker.dispatch-fails"):
            raise BrokerDown("the broker takes nothing")
        for assignment in assignments:
            network.take_in(assignment)
        if network.faults.strike("broker.dispatch-half"):
            raise BrokerDown("the broker took the tasks, but you are not to know")

    async def cancel(self, cancellations: Sequence[Cancellation]) -> None:
        network = self._network
        if network.faults.strike("broker.cancel-fails"):
            raise BrokerDown("the broker calls nothing off")
        for cancellation in cancellations:
            network.call_off(cancellation)

    async def fetch(
        self, worker_id: str, executor_types: Sequence[str] = (), limit: int = 1
    ) -> Sequence[Assignment]:
        network = self._network
        if network.faults.strike("broker.fetch-fails"):
            raise BrokerDown("nothing can be fetched")
        while not self._closed:
            if found := network.take(worker_id, executor_types, max(1, limit)):
                return found
            await network.sleep()
        return ()

    async def start(self, assignment: Assignment, worker_id: str) -> bool:
        return self._network.started(assignment, worker_id)

    async def heartbeat(self, assignment: Assignment, details: bytes | None = None) -> bool:
        return self._network.beaten(assignment, details)

    async def complete(self, result: TaskResult) -> None:
        self._network.completed(result)

    async def cancelled(self, worker_id: str) -> Sequence[Cancellation]:
        network = self._network
        while not self._closed:
            if stops := network.stops.pop(worker_id, None):
                return stops
            await network.sleep()
        return ()

    async def close(self) -> None:
        self._closed = True
        if self._network.engine is not None and self._network.engine[0] is self._node:
            self._network.engine = None


class FaultyLocalBroker(LocalBroker):
    """The broker of one process, whose front raises now and then. It dies with that process."""

    def __init__(self, faults: Faults, watcher: Watcher) -> None:
        super().__init__()
        self._faults = faults
        self._watcher = watcher

    async def dispatch(self, assignments: Sequence[Assignment]) -> None:
        self._watcher.dispatched(assignments)
        if self._faults.strike("broker.dispatch-fails"):
            raise BrokerDown("the broker takes nothing")
        await super().dispatch(assignments)
        if self._faults.strike("broker.dispatch-half"):
            raise BrokerDown("the broker took the tasks, but you are not to know")

    async def cancel(self, cancellations: Sequence[Cancellation]) -> None:
        if self._faults.strike("broker.cancel-fails"):
            raise BrokerDown("the broker calls nothing off")
        await super().cancel(cancellations)

    async def fetch(
        self, worker_id: str, executor_types: Sequence[str] = (), limit: int = 1
    ) -> Sequence[Assignment]:
        if self._faults.strike("broker.fetch-fails"):
            raise BrokerDown("nothing can be fetched")
        return await super().fetch(worker_id, executor_types, limit)
