"""The worker: slots that fetch deliveries and run them.

A slot is a task that works off what was fetched. Exactly one slot fetches at a time: it *leads*. As
long as executors return without suspending, one slot does everything and no task is made. When its
executor suspends, `_check` runs on the loop, sees that nobody leads, and starts the next slot. A slot
that user code may have marked (a context variable, a cancellation) ends instead of going on, so every
execution begins clean and `current_task`, `timeout` and cancellation mean what they always mean.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import copy_context
from datetime import timedelta

from ..ports import (
    ArtifactRepository,
    Assignment,
    Clock,
    ErrorSink,
    ExecutorRegistry,
    Offload,
    TaskBroker,
    TaskResult,
    WorkerInfo,
    WorkerRegistry,
)
from .beats import Beats
from .execution import Execution
from .faults import Faults, moment
from .presence import Presence
from .staging import Staging

_RETRY_FETCH = timedelta(seconds=1)
_UNWIND = 5  # the last fifth of the grace is for executors that are being cancelled
_STUBBORN = timedelta(seconds=10)


class Worker:
    """Runs at most `slots` executions at a time, for one broker.

    `worker_id` is given and must be unique among the broker's workers. `registry`, if there is one,
    shows this worker while it is up. `offload` takes the packing of archives off the loop; without one
    it is done in place. A type that was registered after `start` is served after `refresh`.
    """

    def __init__(
        self,
        broker: TaskBroker,
        executors: ExecutorRegistry,
        *,
        worker_id: str,
        clock: Clock,
        slots: int = 64,
        artifacts: Mapping[str, ArtifactRepository] | None = None,
        errors: ErrorSink | None = None,
        registry: WorkerRegistry | None = None,
        heartbeat: timedelta = timedelta(seconds=10),
        tags: Mapping[str, str] | None = None,
        offload: Offload | None = None,
    ) -> None:
        self.worker_id = worker_id
        self._broker = broker
        self._executors = executors
        self._clock = clock
        self._slots = max(1, slots)
        self._faults = Faults(errors)
        self._staging = Staging(artifacts or {}, offload, self._faults)
        self._presence = Presence(registry, self._info, heartbeat, clock, self._faults)
        self._tags = dict(tags or {})
        self._backlog: deque[Assignment] = deque()
        self._running: dict[tuple[str, object], Execution] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._leader: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None
        self._checking = False
        self._open = False
        self._exhausted = False  # the broker has been closed
        self._drained: asyncio.Future[None] | None = None
        self._fresh = copy_context()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def running(self) -> int:
        """Executions in progress, those included whose cancellation has not had its effect yet."""
        return len(self._running)

    async def start(self) -> None:
        """Begins to fetch. Does nothing when the worker is up."""
        if self._open:
            return
        self._open = True
        self._exhausted = False
        self._fresh = copy_context()
        self._loop = asyncio.get_running_loop()
        self._listener = asyncio.create_task(
            self._listen(), name=f"{self.worker_id}: cancellations"
        )
        await self._presence.start()
        self._check_soon()

    def refresh(self) -> None:
        """Serve, and announce, the types that the registry holds now."""
        if not self._open:
            return
        if self._leader is not None:
            self._leader.cancel()
        self._check_soon()
        self._presence.announce()

    async def stop(self, grace: timedelta = timedelta(seconds=10)) -> None:
        """Fetches nothing more, lets executions end within `grace`, cancels the others, and returns at
        the end of the grace at the latest. What had not ended by then is never reported: its run
        finds another worker. Does nothing when the worker is down."""
        if not self._open:
            return
        self._open = False
        if self._leader is not None:
            self._leader.cancel()
        await self._presence.stop()
        soft = grace * (_UNWIND - 1) / _UNWIND
        if not await self._drain(soft):
            for execution in self._running.values():
                execution.abandon()
            if not await self._drain(grace - soft):
                self._report_abandoned()
        self._backlog.clear()
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait([self._listener])
            self._listener = None

    def _info(self) -> WorkerInfo:
        types = tuple(self._executors.types())
        schemas = (self._executors.schema(name) for name in types)
        return WorkerInfo(
            worker_id=self.worker_id,
            executor_types=types,
            schemas=tuple(schema for schema in schemas if schema is not None),
            slots=self._slots,
            tags=self._tags,
        )

    # -- slots

    def _check_soon(self) -> None:
        if not self._checking:
            self._checking = True
            asyncio.get_running_loop().call_soon(self._check)

    def _check(self) -> None:
        """Runs when every slot is suspended: starts the next one if there is something for it to do."""
        self._checking = False
        if len(self._running) < self._slots and (self._backlog or self._may_lead()):
            task = asyncio.get_running_loop().create_task(
                self._slot(), name=f"{self.worker_id}: slot", context=self._fresh.copy()
            )
            self._tasks.add(task)
            task.add_done_callback(self._slot_ended)

    def _slot_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._faults.report(
                "run a slot", "the worker itself failed", error, "a new slot starts"
            )
        if self._backlog or self._open:
            self._check_soon()
        self._see_whether_drained()

    async def _slot(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        context = copy_context()
        while True:
            if not self._backlog and (not self._open or not await self._lead(task)):
                return
            if not self._backlog:
                continue
            self._check_soon()
            await self._run(self._backlog.popleft(), task)
            if task.cancelling() or copy_context() != context:
                return

    async def _lead(self, task: asyncio.Task[None]) -> bool:
        """Fetch into the backlog. False: somebody else leads, no slot is free, or it is over."""
        free = self._slots - len(self._running)
        if free < 1 or not self._may_lead():
            return False
        self._leader = task
        try:
            fetched = await self._broker.fetch(self.worker_id, self._executors.types(), free)
        except Exception as error:  # noqa: BLE001 - whatever a broker does, the worker goes on
            self._faults.report("fetch work", "the broker failed", error, "the worker tries again")
            await moment(self._clock, _RETRY_FETCH)
            return True
        finally:
            self._leader = None
        self._backlog.extend(fetched)
        self._exhausted = not fetched
        return not self._exhausted

    def _may_lead(self) -> bool:
        return (
            self._open
            and self._leader is None
            and not self._exhausted
            and bool(self._executors.types())
        )

    async def _run(self, assignment: Assignment, task: asyncio.Task[None]) -> None:
        key = (assignment.task_run_id, assignment.fence)
        if key in self._running:
            return  # a repeated delivery of what runs here already
        execution = self._running[key] = Execution(assignment, task, self._beats_of)
        try:
            if not await self._broker.start(assignment, self.worker_id):
                return
            verdict = await execution.run(
                self._executors.get(assignment.executor_type), self._staging, self._unloading
            )
            if execution.beats is not None:
                await execution.beats.flush()
            await self._broker.complete(
                TaskResult(
                    task_run_id=assignment.task_run_id,
                    fence=assignment.fence,
                    outcome=verdict.outcome,
                    worker_id=self.worker_id,
                    outputs=verdict.outputs,
                    executor_type=assignment.executor_type,
                )
            )
        except Exception as error:  # noqa: BLE001 - a failing broker costs this delivery, not the slot
            self._faults.report_task(
                "report a task",
                "the broker failed",
                assignment,
                error,
                "the task is delivered again once its lease has run out",
            )
        finally:
            del self._running[key]

    def _beats_of(self, assignment: Assignment, stop: Callable[[str], None]) -> Beats:
        assert self._loop is not None, "an execution runs only while the worker is up"
        return Beats(self._broker, assignment, self._clock, self._faults, self._loop, stop)

    def _unloading(self) -> bool:
        """Is the loop itself being torn down? Then all of our tasks were cancelled at once."""
        listener = self._listener
        return listener is None or listener.done() or bool(listener.cancelling())

    # -- cancellation

    async def _listen(self) -> None:
        while True:
            try:
                stops = await self._broker.cancelled(self.worker_id)
            except Exception as error:  # noqa: BLE001 - whatever a broker does, the worker goes on
                self._faults.report(
                    "hear of cancellations", "the broker failed", error, "the worker asks again"
                )
                await moment(self._clock, _RETRY_FETCH)
                continue
            if not stops:
                return
            for stop in stops:
                execution = self._running.get((stop.task_run_id, stop.fence))
                if execution is not None:
                    execution.stop(stop.reason)
                    self._watch(execution)

    def _watch(self, execution: Execution) -> None:
        """Says so when an executor goes on in spite of its cancellation: it costs a slot."""

        def look() -> None:
            assignment = execution.assignment
            if self._running.get((assignment.task_run_id, assignment.fence)) is execution:
                self._faults.report_task(
                    "cancel a task",
                    f"the executor '{assignment.executor_type}' ignores its cancellation",
                    assignment,
                    None,
                    "it keeps one of the worker's slots until it returns; its result is dropped",
                )

        self._clock.call_in(_STUBBORN // timedelta(microseconds=1), look)

    # -- the end

    async def _drain(self, limit: timedelta) -> bool:
        """Waits until no slot is left, at most `limit`, and at least a few turns."""
        for _ in range(3):
            if not self._tasks:
                return True
            await asyncio.sleep(0)
        if self._tasks and limit > timedelta(0):
            self._drained = asyncio.get_running_loop().create_future()
            alarm = self._clock.call_in(limit // timedelta(microseconds=1), self._give_up)
            try:
                await self._drained
            finally:
                alarm.cancel()
                self._drained = None
        return not self._tasks

    def _give_up(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _see_whether_drained(self) -> None:
        if not self._tasks:
            self._give_up()

    def _report_abandoned(self) -> None:
        for execution in self._running.values():
            self._faults.report_task(
                "stop the worker",
                f"the executor '{execution.assignment.executor_type}' did not end within the grace",
                execution.assignment,
                None,
                "its result is dropped, and the task goes to another worker",
            )
