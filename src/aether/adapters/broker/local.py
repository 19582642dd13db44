"""LocalBroker: engine and workers in one process, on one event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush

from ...errors import Problem, Refused
from ...ports import Assignment, Cancellation, Fence, TaskEvents, TaskResult

_Key = tuple[str, Fence]
_MANY_DEAD = 64  # dropped deliveries a queue may carry before it is swept


class _Queue:
    """What waits for one executor type: a lane for each priority, first in first out."""

    __slots__ = ("dead", "lanes", "order")

    def __init__(self) -> None:
        self.lanes: dict[int, deque[tuple[int, Assignment]]] = {}
        self.order: list[int] = []  # heap of the negated priorities whose lanes are not empty
        self.dead = 0

    def push(self, number: int, assignment: Assignment) -> None:
        lane = self.lanes.get(assignment.priority)
        if lane is None:
            if len(self.lanes) > _MANY_DEAD:
                self.lanes = {key: kept for key, kept in self.lanes.items() if kept}
            lane = self.lanes[assignment.priority] = deque()
        if not lane:
            heappush(self.order, -assignment.priority)
        lane.append((number, assignment))

    def pop(self) -> Assignment:
        lane = self.lanes[-self.order[0]]
        _, assignment = lane.popleft()
        if not lane:
            heappop(self.order)
        return assignment

    def head(self) -> tuple[int, int]:
        return self.order[0], self.lanes[-self.order[0]][0][0]

    def sweep(self, held: dict[_Key, _Queue | str]) -> None:
        """Forget dropped deliveries, so that a type nobody serves cannot fill the memory."""
        self.dead = 0
        for priority, lane in list(self.lanes.items()):
            kept = deque(
                entry for entry in lane if held.get((entry[1].task_run_id, entry[1].fence)) is self
            )
            self.lanes[priority] = kept
        self.order = sorted(-priority for priority, lane in self.lanes.items() if lane)


class _Waiter:
    __slots__ = ("future", "types")

    def __init__(self, types: Sequence[str]) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.types = types


class LocalBroker:
    """A queue in memory. Everything runs on the loop's thread, so nothing is locked.

    A delivery that is queued or held already is not queued again: dispatching twice is harmless. What
    is queued when the process ends is lost, and dispatched again by the engine that recovers the runs.
    """

    def __init__(self) -> None:
        self._events: TaskEvents | None = None
        self._queues: dict[str, _Queue] = {}
        self._held: dict[
            _Key, _Queue | str
        ] = {}  # where a delivery is: its queue, or a worker's id
        self._waiters: dict[_Waiter, None] = {}
        self._stops: dict[str, list[Cancellation]] = {}
        self._listeners: dict[str, list[asyncio.Future[None]]] = {}
        self._number = 0
        self._closed = False

    def connect(self, events: TaskEvents) -> None:
        if self._events is not None:
            raise Refused(
                Problem(
                    "broker-connected",
                    "this broker serves an engine already",
                    fix="give each engine a LocalBroker of its own",
                )
            )
        self._events = events

    async def dispatch(self, assignments: Sequence[Assignment]) -> None:
        if self._closed or self._events is None:
            raise _unusable(self._closed)
        held, queues = self._held, self._queues
        for assignment in assignments:
            key = (assignment.task_run_id, assignment.fence)
            if key in held:
                continue
            queue = queues.get(assignment.executor_type)
            if queue is None:
                queue = queues[assignment.executor_type] = _Queue()
            held[key] = queue
            self._number += 1
            queue.push(self._number, assignment)
            if self._waiters:
                self._wake(assignment.executor_type)

    async def cancel(self, cancellations: Sequence[Cancellation]) -> None:
        for cancellation in cancellations:
            holder = self._held.pop((cancellation.task_run_id, cancellation.fence), None)
            if holder is None:
                continue
            if isinstance(holder, str):
                self._stops.setdefault(holder, []).append(cancellation)
                self._call_listeners(holder)
                continue
            holder.dead += 1
            if holder.dead >= _MANY_DEAD and holder.dead * 2 > sum(map(len, holder.lanes.values())):
                holder.sweep(self._held)

    async def fetch(
        self, worker_id: str, executor_types: Sequence[str] = (), limit: int = 1
    ) -> Sequence[Assignment]:
        while not self._closed:
            if batch := self._take(worker_id, executor_types, max(1, limit)):
                return batch
            await self._work(executor_types)
        return ()

    async def start(self, assignment: Assignment, worker_id: str) -> bool:
        if self._held.get((assignment.task_run_id, assignment.fence)) != worker_id:
            return False
        if self._events is not None:
            self._events.on_task_started(assignment.task_run_id, assignment.fence, worker_id)
        return True

    async def heartbeat(self, assignment: Assignment, details: bytes | None = None) -> bool:
        if not isinstance(self._held.get((assignment.task_run_id, assignment.fence)), str):
            return False
        if self._events is not None:
            self._events.on_task_heartbeat(assignment.task_run_id, assignment.fence, details)
        return True

    async def complete(self, result: TaskResult) -> None:
        self._held.pop((result.task_run_id, result.fence), None)
        if self._events is not None:
            self._events.on_task_completed(result)

    async def cancelled(self, worker_id: str) -> Sequence[Cancellation]:
        while not self._closed:
            if stops := self._stops.pop(worker_id, None):
                return stops
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._listeners.setdefault(worker_id, []).append(future)
            await future
        return ()

    def waiting(self) -> dict[str, int]:
        """How many deliveries of each executor type wait for a worker. Types that were heard of once stay."""
        return {
            name: sum(map(len, queue.lanes.values())) - queue.dead
            for name, queue in self._queues.items()
        }

    async def close(self) -> None:
        self._closed = True
        for waiter in self._waiters:
            _resolve(waiter.future)
        for worker_id in list(self._listeners):
            self._call_listeners(worker_id)
        self._waiters.clear()
        self._queues.clear()
        self._stops.clear()
        self._held = {key: held for key, held in self._held.items() if isinstance(held, str)}

    def _take(self, worker_id: str, types: Sequence[str], limit: int) -> list[Assignment]:
        names = types or self._queues
        queues = [
            queue for name in names if (queue := self._queues.get(name)) is not None and queue.order
        ]
        batch: list[Assignment] = []
        held = self._held
        while queues and len(batch) < limit:
            queue = queues[0] if len(queues) == 1 else min(queues, key=_Queue.head)
            assignment = queue.pop()
            key = (assignment.task_run_id, assignment.fence)
            if held.get(key) is queue:  # else it was dropped while it waited
                held[key] = worker_id
                batch.append(assignment)
            if not queue.order:
                queue.dead = 0
                queues.remove(queue)
        if self._waiters:
            self._wake_for_what_is_left()
        return batch

    async def _work(self, types: Sequence[str]) -> None:
        """Until there may be work of one of `types`. Whoever is woken takes it out of the queue itself,
        so a fetch that is given up loses nothing but its turn, and that is passed on."""
        waiter = _Waiter(types)
        self._waiters[waiter] = None
        try:
            await waiter.future
        except asyncio.CancelledError:
            self._waiters.pop(waiter, None)
            self._wake_for_what_is_left()
            raise

    def _wake_for_what_is_left(self) -> None:
        for name, queue in self._queues.items():
            if queue.order:
                self._wake(name)

    def _wake(self, executor_type: str) -> None:
        for waiter in self._waiters:
            if waiter.future.done():
                continue  # given up, and about to remove itself
            if not waiter.types or executor_type in waiter.types:
                del self._waiters[waiter]
                waiter.future.set_result(None)
                return

    def _call_listeners(self, worker_id: str) -> None:
        for future in self._listeners.pop(worker_id, ()):
            _resolve(future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _unusable(closed: bool) -> Refused:
    if closed:
        return Refused(
            Problem(
                "broker-closed", "the broker is closed", fix="make a new engine and a new broker"
            )
        )
    return Refused(
        Problem(
            "broker-not-connected",
            "nobody would hear of the results: the broker serves no engine yet",
            fix="pass the broker to an Engine and start that first",
        )
    )
