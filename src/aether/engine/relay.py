"""Performs what was decided and committed: hands tasks to the broker, calls them off, tells hooks.

Nothing here is remembered elsewhere: a task that is Ready is its own outbox. What a failing broker
did not take is kept and offered again; after a crash the rows say the same.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from ..plan import (
    EXECUTOR_OF_FUNCTION,
    AnyState,
    CancelChild,
    CancelTask,
    Command,
    DispatchHook,
    DispatchTask,
    NotifyHook,
    StartChild,
    State,
    Warn,
    kept_at,
)
from ..ports import (
    ERROR,
    SUSPENDED,
    ArtifactTransfer,
    Assignment,
    Cancellation,
    Clock,
    Fence,
    HookEvent,
    Notifier,
    Outcome,
    SecretProvider,
    TaskBroker,
    TaskResult,
)
from ..record import HookRow, TaskRow, decode_json, decode_values, hook_run_id, task_run_id
from .children import Children
from .faults import Faults
from .live import LiveRun
from .secrets import SecretMissing, resolve_secrets

_AGAIN = 1_000_000
HOOK_TIMEOUT = 60_000_000


class Relay:
    """`report` takes a result that the relay itself gives in a worker's place."""

    def __init__(
        self,
        broker: TaskBroker,
        notifier: Notifier | None,
        secrets: SecretProvider | None,
        clock: Clock,
        faults: Faults,
        report: Callable[[TaskResult], None],
        delivered: Callable[[str, int], None],
    ) -> None:
        self._broker = broker
        self._notifier = notifier
        self._secrets = secrets
        self._clock = clock
        self._faults = faults
        self._report = report
        self._delivered = delivered
        self.children = Children()
        self.children.forget = self._forget_function
        self._tasks_of_runs: dict[str, tuple[str, Fence]] = {}
        self.started: Callable[[str, Fence, str], None] = lambda task_run_id, fence, worker: None
        self._runs_for_tasks: dict[tuple[str, Fence], str] = {}  # what is called off with its task
        self._assignments: list[Assignment] = []
        self._unsealing: set[asyncio.Task[None]] = set()  # fetch the secrets of one task each
        self._cancellations: list[Cancellation] = []
        self._refused: list[Assignment] = []  # a failing broker did not take them
        self._events: dict[str, deque[tuple[int, HookEvent]]] = {}
        self._tellers: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._idle: asyncio.Future[None] | None = None
        self._open = False

    def start(self) -> None:
        self._open = True
        self._task = asyncio.create_task(self._run(), name="aether: relay")

    async def stop(self) -> None:
        self._open = False
        self._wake()
        if self._task is not None:
            await asyncio.wait([self._task])
        others = [*self._tellers.values(), *self._unsealing]
        for other in others:
            other.cancel()
        if others:
            await asyncio.wait(others)

    def perform(self, live: LiveRun, commands: list[Command]) -> None:
        state = live.state
        if state is None:
            return
        for command in commands:
            match command:
                case DispatchTask(ordinal):
                    self._hand_out(live, state, ordinal)
                case CancelTask(ordinal, epoch, delivery, reason):
                    task_id = task_run_id(live.run_id, ordinal)
                    self._call_off(Cancellation(task_id, Fence(epoch, delivery), reason))
                case NotifyHook(number):
                    self._tell(state, number)
                case DispatchHook(number):
                    self._hand_out_hook(live, state, number)
                case StartChild(ordinal):
                    self.children.start(state, ordinal)
                case CancelChild(run_id, reason):
                    self.children.cancel(run_id, reason)
                case Warn(ordinal, what):
                    task_id = "" if ordinal is None else task_run_id(live.run_id, ordinal)
                    self._faults.report(
                        f"run {state.run.name}",
                        what,
                        then="the run goes on",
                        run_id=live.run_id,
                        task_run_id=task_id,
                        warning=True,
                    )
        if commands:
            self._wake()

    # Tasks

    def _hand_out(self, live: LiveRun, state: AnyState, ordinal: int) -> None:
        node = state.nodes.get(ordinal)
        if node is None:
            return  # it ended in the same decision
        row, spec, plan = node.row, node.spec, state.plan
        if spec.executor.startswith(EXECUTOR_OF_FUNCTION) and isinstance(state, State):
            self._begin_function(live, state, node.row)
            return
        assignment = Assignment(
            run_id=live.run_id,
            task_run_id=task_run_id(live.run_id, ordinal),
            fence=Fence(state.run.epoch, row.delivery),
            task_name=row.task_name,
            template_name=row.template_name,
            executor_type=spec.executor,
            inputs=row.inputs,
            attempt=row.attempt,
            retry_count=row.retry_count,
            resumed=row.code == SUSPENDED,
            timeout=spec.timeout,
            priority=spec.priority or plan.priority,
            resources=spec.resources,
            details=row.details,
        )
        if row.artifacts_in or spec.output_artifacts:
            assignment.artifacts = _transfers(live.run_id, row.artifacts_in, ordinal, state)
        self._enqueue(live, plan.has_secrets, assignment)

    def _begin_function(self, live: LiveRun, state: State, row: TaskRow) -> None:
        """A task of a document that is a workflow function: a run of its own, whose end is the task's."""
        task_id, fence = task_run_id(live.run_id, row.ordinal), Fence(state.run.epoch, row.delivery)
        if state.plan.has_secrets and any(value.secret for value in decode_values(row.inputs)):
            what = "a workflow function takes no secret as an input: its inputs are recorded"
            outcome = Outcome(ERROR, what, error_type="secret-recorded")
            self._report(TaskResult(task_run_id=task_id, fence=fence, outcome=outcome))
            return
        child = self.children.start_task(state.run, row)
        self._forget_function(child)  # of an earlier delivery
        self._runs_for_tasks[task_id, fence] = child
        self._tasks_of_runs[child] = task_id, fence
        self.started(task_id, fence, child)

    def _forget_function(self, child: str) -> None:
        if self._tasks_of_runs and (key := self._tasks_of_runs.pop(child, None)) is not None:
            self._runs_for_tasks.pop(key, None)

    def _hand_out_hook(self, live: LiveRun, state: AnyState, number: int) -> None:
        hook = state.hooks.get(number)
        if hook is None:
            return
        assignment = Assignment(
            run_id=live.run_id,
            task_run_id=hook_run_id(live.run_id, number),
            fence=Fence(state.run.epoch, hook.delivery),
            task_name=hook.hook,
            template_name=hook.template,
            executor_type=hook.executor,
            inputs=hook.inputs,
            timeout=HOOK_TIMEOUT,
            priority=state.plan.priority,
        )
        self._enqueue(live, state.plan.has_secrets, assignment)

    def _enqueue(self, live: LiveRun, has_secrets: bool, assignment: Assignment) -> None:
        if not has_secrets:
            self._assignments.append(assignment)
            return
        task = asyncio.create_task(self._unseal(live, assignment), name="aether: secrets")
        self._unsealing.add(task)
        task.add_done_callback(self._unsealing.discard)

    def _call_off(self, cancellation: Cancellation) -> None:
        """A task that no broker has taken yet is not offered again."""
        if self._runs_for_tasks:
            key = (cancellation.task_run_id, cancellation.fence)
            if (child := self._runs_for_tasks.pop(key, None)) is not None:
                self._tasks_of_runs.pop(child, None)
                self.children.cancel(child, cancellation.reason)
                return
        self._cancellations.append(cancellation)
        if self._refused:
            over = (cancellation.task_run_id, cancellation.fence)
            self._refused = [a for a in self._refused if (a.task_run_id, a.fence) != over]

    async def _run(self) -> None:
        while self._open:
            if self._assignments or self._cancellations:
                await self._to_broker()
            else:
                self._idle = asyncio.get_running_loop().create_future()
                await self._idle
        if self._cancellations:
            await self._to_broker()

    async def _to_broker(self) -> None:
        assignments, self._assignments = self._assignments, []
        cancellations, self._cancellations = self._cancellations, []
        try:
            if assignments:
                await self._broker.dispatch(assignments)
        except Exception as error:  # noqa: BLE001 - whatever a broker does, the engine goes on
            then = f"{len(assignments)} tasks stay Ready and are offered again in 1s"
            self._broker_failed("dispatch tasks", error, then)
            self._refused += assignments
            self._clock.call_in(_AGAIN, self._offer_again)
        try:
            if cancellations:
                await self._broker.cancel(cancellations)
        except Exception as error:  # noqa: BLE001 - likewise
            then = "what these tasks still report changes nothing"
            self._broker_failed("call off tasks", error, then)

    def _broker_failed(self, operation: str, error: Exception, then: str) -> None:
        self._faults.report(operation, f"the broker failed: {error}", error, then=then)

    def _offer_again(self) -> None:
        self._assignments = self._refused + self._assignments
        self._refused = []
        self._wake()

    async def _unseal(self, live: LiveRun, assignment: Assignment) -> None:
        """In a task of its own: a provider that is slow holds up nobody else."""
        try:
            resolved = await resolve_secrets(assignment.inputs, self._secrets)
        except SecretMissing as error:
            self._refuse(assignment, str(error))
        except Exception as error:  # noqa: BLE001 - a failing provider costs this task alone
            what = f"the secret provider failed: {type(error).__name__}"
            self._faults.report("fetch a secret", what, error, run_id=live.run_id)
            self._refuse(assignment, what)
        else:
            live.secrets |= resolved.values
            self._assignments.append(msgspec.structs.replace(assignment, inputs=resolved.inputs))
            self._wake()

    def _refuse(self, assignment: Assignment, message: str) -> None:
        outcome = Outcome(ERROR, message, error_type="secret-missing")
        self._report(
            TaskResult(task_run_id=assignment.task_run_id, fence=assignment.fence, outcome=outcome)
        )

    def _wake(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    # Hooks

    def _tell(self, state: AnyState, number: int) -> None:
        hook = state.hooks.get(number)
        if hook is None or self._notifier is None:
            return
        run_id = state.run.run_id
        waiting = self._events.setdefault(run_id, deque())
        waiting.append((number, _event_of(state, hook)))
        if run_id not in self._tellers:
            teller = asyncio.create_task(self._tell_all(run_id), name=f"aether: hooks of {run_id}")
            self._tellers[run_id] = teller

    async def _tell_all(self, run_id: str) -> None:
        """The events of one run, in order, however slow or broken the notifier is."""
        waiting = self._events[run_id]
        assert self._notifier is not None
        try:
            while waiting:
                number, event = waiting[0]
                try:
                    await self._notifier.notify(event)
                except Exception as error:  # noqa: BLE001 - a notifier never changes a run
                    self._faults.report(
                        f"tell the notifier of {event.hook}",
                        str(error) or type(error).__name__,
                        error,
                        then="the event is given up, the run goes on",
                        run_id=run_id,
                    )
                waiting.popleft()
                self._delivered(run_id, number)
        finally:
            del self._tellers[run_id]
            if not waiting:
                del self._events[run_id]


def _event_of(state: AnyState, hook: HookRow) -> HookEvent:
    run = state.run
    facts: dict[str, str] = {"workflowRunID": run.run_id}
    task_id = ""
    if hook.task is None:
        facts["workflowName"] = run.name
    else:
        task_id = task_run_id(run.run_id, hook.task)
        facts["taskRunID"] = task_id
        facts["taskName"] = hook.task_name
    if hook.hook == "onExit":
        facts["phase"] = hook.subject_phase
    return HookEvent(
        event_id=hook_run_id(run.run_id, hook.number),
        hook=hook.hook,  # type: ignore[arg-type]  # rows keep it as plain text
        scope="workflow" if hook.task is None else "task",
        run_id=run.run_id,
        workflow_name=run.name if hook.task is None else "",
        task_run_id=task_id,
        task_name=hook.task_name,
        template=hook.template,
        phase=hook.subject_phase,
        at=hook.created_at,
        context=facts,
    )


def _transfers(
    run_id: str, artifacts_in: bytes | None, ordinal: int, state: AnyState
) -> tuple[ArtifactTransfer, ...]:
    found = [
        ArtifactTransfer(name, place["type"], place["config"], place["archive"])
        for name, place in (decode_json(artifacts_in) if artifacts_in else {}).items()
    ]
    for slot in state.nodes[ordinal].spec.output_artifacts:
        place = kept_at(slot, run_id, ordinal)
        found.append(
            ArtifactTransfer(slot.name, place["type"], place["config"], place["archive"], True)
        )
    return tuple(found)
