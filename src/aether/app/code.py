"""The code-first parts of an app: workflow functions and activities, served by its worker."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

import msgspec

from .. import engine
from ..adapters.executor import Executors, ThreadPool
from ..adapters.schemas import schema_of_function
from ..document import (
    CronSpec,
    CronWorkflow,
    ExecutorRef,
    Metadata,
    Parameter,
    Task,
    Template,
    Values,
    WorkflowSpec,
)
from ..errors import NotFound, Problem, Refused
from ..flow import Runtime, WorkflowDefinition, encode_error, plain
from ..ports import (
    FAILED,
    Clock,
    ErrorSink,
    Execution,
    Fence,
    FunctionStart,
    Offload,
    Outcome,
    RunEnd,
    RunQuery,
    TaskExecution,
    TaskResult,
)
from ..record import NamedValue, Phase, decode_values
from ..sdk import Activity, ActivityExecutor, Schedule, Workflow

_OPEN = (Phase.CREATED, Phase.READY, Phase.RUNNING, Phase.SUSPENDED)
_MOST_FOUND = 10_000
_THREADS = 1_000_000
_LONG = timedelta(minutes=1)


class CodeFirst:
    """What an app asks of function runs (`ports.FunctionRuns`), with the engine in the same process."""

    def __init__(
        self,
        engine_: engine.Engine,
        executors: Executors,
        pool: Offload,
        clock: Clock,
        errors: ErrorSink,
    ) -> None:
        self._engine = engine_
        self._executors = executors
        self._pool = pool
        self._clock = clock
        # A plain workflow, and each of its parallel branches, keeps its thread while it waits here. They
        # wait for each other, so none may want for a thread; they are made only as they are needed.
        self._threads = ThreadPool(_THREADS, "aether-workflows")
        self._runtime = Runtime(
            journal=engine_.journal,
            clock=clock,
            offload=pool,
            threads=self._threads,
            errors=errors,
        )
        self._definitions: dict[str, WorkflowDefinition] = {}
        self._served: set[str] = set()
        self._found: list[str] = []

    def serve(
        self, workflows: Iterable[Workflow[Any, Any]], activities: Iterable[Activity[..., Any]]
    ) -> list[str]:
        """Register what is not served yet; answers the new executor types."""
        fresh: list[str] = []
        for workflow in workflows:
            definition = workflow.definition
            if definition.name not in self._definitions:
                self._definitions[definition.name] = definition
                host = self._runtime.register(definition)
                self._executors.register(host)
                fresh.append(host.schema.type)
        for activity in activities:
            name = activity.name
            if name not in self._served:
                self._served.add(name)
                schema = schema_of_function(activity.definition.function, type=name)
                self._executors.register(ActivityExecutor(activity.definition, self._pool, schema))
                fresh.append(name)
        return fresh

    def close(self) -> None:
        self._runtime.forget()
        self._threads.close()

    # What is found at the start

    async def find_unfinished(self) -> None:
        """Remember the unfinished runs of workflows that are served here."""
        for name in self._definitions:
            page = await self._engine.list(RunQuery(name=name, phases=_OPEN, limit=_MOST_FOUND))
            self._found += [run.run_id for run in page.runs]

    async def finish_found(self) -> None:
        """Wait for them, each until it is over or waits for something that is not here."""
        for run_id in self._found:
            try:
                async for execution in self._engine.watch(run_id):
                    if self._rests(execution):
                        break
            except NotFound:
                continue  # somebody deleted it

    def _rests(self, execution: Execution) -> bool:
        """Nothing will happen to it soon without somebody else: it waits for a signal, a stranger, or long."""
        tasks = execution.tasks
        if not tasks or execution.paused_at is not None:
            return execution.paused_at is not None
        if tasks[0].status is not Phase.SUSPENDED:
            return False
        return not any(self._goes_on(task) for task in tasks[1:] if not task.status.is_terminal)

    def _goes_on(self, task: TaskExecution) -> bool:
        if task.template_type == "activity":
            return task.executor_type in self._served
        if task.template_type == "timer" and task.deadline_at is not None:
            left = int(task.deadline_at.timestamp() * 1_000_000) - self._clock.now()
            return left < _LONG // timedelta(microseconds=1)
        return task.template_type == "child"

    # ports.FunctionRuns

    async def start_function(self, start: FunctionStart) -> str:
        return await self._engine.start_function(start)

    async def end(self, run_id: str, timeout: timedelta | float | None = None) -> RunEnd:
        return await self._engine.end(run_id, timeout)

    async def get(self, run_id: str) -> Execution:
        return await self._engine.get(run_id)

    def watch(self, run_id: str) -> AsyncIterator[Execution]:
        return self._engine.watch(run_id)

    async def signal(
        self, run_id: str, name: str, payload: bytes | None = None, key: str = ""
    ) -> None:
        await self._engine.signal(run_id, name, payload, key)

    async def update(
        self,
        run_id: str,
        name: str,
        payload: bytes | None = None,
        key: str = "",
        timeout: timedelta | float | None = None,
    ) -> bytes | None:
        return await self._engine.update(run_id, name, payload, key, timeout)

    async def query(self, run_id: str, name: str, payload: bytes | None = None) -> bytes | None:
        """Answered here: the function is led to the end of its record, and asked."""
        execution = await self._engine.get(run_id)
        definition = self._definitions.get(execution.name)
        if definition is None:
            raise Refused(
                Problem(
                    "function-not-served",
                    f"run {run_id} is of '{execution.name}', which this process does not serve",
                    fix="ask where the workflow is served, or serve it here: `app.serve([…])`",
                )
            )
        return await self._runtime.query(definition, run_id, name, payload)

    async def cancel(self, run_id: str, by: str = "the user", *, force: bool = False) -> None:
        await self._engine.cancel(run_id, by, force=force)

    async def pause(self, run_id: str, by: str = "the user") -> None:
        await self._engine.pause(run_id, by)

    async def unpause(self, run_id: str) -> None:
        await self._engine.unpause(run_id)

    # Activities that are completed from outside

    async def complete(self, token: str, result: Any) -> None:
        value = NamedValue("result", "", plain(result))
        self._bring(token, Outcome(parameters=[value]))

    async def fail(self, token: str, error: Exception) -> None:
        _, message, outputs = encode_error(error)
        self._bring(
            token,
            Outcome(
                FAILED, message, parameters=decode_values(outputs), error_type=type(error).__name__
            ),
        )

    def _bring(self, token: str, outcome: Outcome) -> None:
        task_run_id, _, fence = token.rpartition(":")
        task_run_id, _, epoch = task_run_id.rpartition(":")
        if not (task_run_id and epoch.isdecimal() and fence.isdecimal()):
            raise Refused(
                Problem(
                    "bad-token",
                    f"{token!r} is no token of an activity",
                    fix="use `activity.info().token` of the activity that called `complete_later()`",
                )
            )
        self._engine.on_task_completed(
            TaskResult(
                task_run_id=task_run_id, fence=Fence(int(epoch), int(fence)), outcome=outcome
            )
        )

    # Schedules

    async def schedule(self, workflows: Iterable[Workflow[Any, Any]]) -> None:
        """Workflows that run by themselves become crons, each under the name of its workflow: one that is
        there already is changed if its schedule was."""
        for workflow in workflows:
            if workflow.schedule is not None:
                await self._put_cron(_cron_of(workflow.name, workflow.schedule))

    async def _put_cron(self, document: CronWorkflow) -> None:
        """The id follows from the name, so processes that start together make one cron and not two."""
        cron_id = f"workflow-{document.metadata.name}"
        try:
            await self._engine.submit_cron(document, cron_id=cron_id)
        except Refused as error:
            if error.code != "cron-exists":
                raise
            stored = await self._engine.get_cron_document(cron_id)
            if _says(document) == _says(stored):
                return
            suspended = (await self._engine.get_cron(cron_id)).suspended
            document = _suspended(document, suspended)  # somebody's wish, and not the code's
            try:
                await self._engine.update_cron(cron_id, document)
            except Refused as error:
                if error.code != "cron-spec-changed":  # other inputs: another cron
                    raise
                await self._engine.delete_cron(cron_id)
                await self._engine.submit_cron(document, cron_id=cron_id)


def _cron_of(name: str, schedule: Schedule) -> CronWorkflow:
    """A document with one task, which is the workflow."""
    inputs = [Parameter(name=key, value=plain(value)) for key, value in schedule.inputs.items()]
    task = Task(
        name="run",
        executor=ExecutorRef(type=f"workflow:{name}"),
        inputs=Values(parameters=tuple(inputs)) if inputs else None,
    )
    spec = CronSpec(
        schedule=schedule.cron,
        timezone=schedule.timezone,
        catch_up=schedule.catch_up,
        workflow_spec=WorkflowSpec(entrypoint="run", templates=(Template(task=task),)),
    )
    if schedule.catch_up_window is not None:
        spec = msgspec.structs.replace(spec, catch_up_window=_text_of(schedule.catch_up_window))
    if schedule.jitter is not None:
        spec = msgspec.structs.replace(spec, jitter=_text_of(schedule.jitter))
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "workflow"
    return CronWorkflow(metadata=Metadata(name=slug), spec=spec)


def _suspended(document: CronWorkflow, suspended: bool) -> CronWorkflow:
    spec = msgspec.structs.replace(document.spec, suspend=suspended)
    return msgspec.structs.replace(document, spec=spec)


def _says(document: CronWorkflow) -> bytes:
    return msgspec.json.encode(_suspended(document, False), order="deterministic")


def _text_of(span: Any) -> str:
    if isinstance(span, timedelta):
        return f"{span.total_seconds():g}s"
    return span if isinstance(span, str) else f"{span:g}s"
