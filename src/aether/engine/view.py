"""From rows to what people see: an Execution with its task runs, and why it waits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from ..plan import EXECUTOR_OF_FUNCTION, RUN, is_held
from ..ports import Execution, Fork, HookExecution, Metrics, Omitted, TaskExecution, Value
from ..record import (
    CALL_KINDS,
    HookRow,
    Instant,
    Phase,
    RunRow,
    RunRows,
    TaskRow,
    decode_json,
    decode_values,
    hook_run_id,
    task_run_id,
)
from .function_view import PARKED, why_waiting
from .instants import clock as _clock
from .instants import moment
from .slots_view import Obstacles, why_in_line

_NONE: Obstacles = {}
_REASONS = 20
"""So many reasons for waiting are listed for one run; a fan-out of thousands has thousands."""


def maybe_moment(instant: Instant | None) -> datetime | None:
    return None if instant is None else moment(instant)


def execution_of(
    rows: RunRows,
    served: Collection[str] | None,
    parallelism: int = 0,
    forks: Sequence[Fork] = (),
    obstacles: Obstacles = _NONE,
) -> Execution:
    """`served` are the executor types somebody announced; None: nobody keeps count. `forks` are those of
    the run, and `obstacles` is what its task runs wait for that want slots: its rows know neither."""
    run = rows.run
    tasks = [_task(run, row, served, parallelism, obstacles) for row in rows.tasks.values()]
    reasons = [f"{task.path}: {task.waiting_for}" for task in tasks if task.waiting_for]
    if len(reasons) > _REASONS:
        more = len(reasons) - _REASONS
        reasons[_REASONS:] = [f"and {more} more"]
    if run.slots is not None and run.slots.waits and not run.phase.is_terminal:
        reasons = [why_in_line(run.slots, obstacles.get(RUN))]
    if run.paused_at is not None:
        reasons.insert(0, _paused(run))
    is_function = bool(tasks) and tasks[0].template_type == "workflow"
    if is_function and not reasons and tasks[0].status is Phase.SUSPENDED:
        reasons = [PARKED]
    if not reasons and not run.phase.is_terminal:
        reasons = ["the engine is about to create its next tasks"]
    return Execution(
        run_id=run.run_id,
        name=run.name,
        kind="function" if is_function else "document",
        reported=decode_json(run.status) if run.status else {},
        attributes=dict(run.attributes or {}),
        parent_task_run_id=run.parent,
        namespace=run.namespace,
        cron_id=run.cron_id,
        origin=origin_of(run),
        forks=list(forks),
        status=run.phase,
        message=run.message,
        outputs=_values(run.outputs),
        metrics=_metrics(run.started_at, run.finished_at, 0),
        created_at=moment(run.created_at),
        deadline_at=maybe_moment(run.deadline_at),
        paused_at=maybe_moment(run.paused_at),
        progress=f"{run.done}/{run.total}" if run.total else "",
        seq=run.seq,
        tasks=tasks,
        hooks=[_hook(run, row) for row in rows.hooks.values() if row.template],
        omitted=[
            Omitted(name, _children_scope(row), reason)
            for row in rows.tasks.values()
            for name, reason in row.omitted
        ],
        warnings=list(run.warnings),
        waiting_for=reasons,
    )


def origin_of(run: RunRow) -> Fork | None:
    came = run.origin
    if came is None:
        return None
    return Fork(run_id=came.run_id, kind=came.kind, seq=came.seq, task=came.task)


def _task(
    run: RunRow,
    row: TaskRow,
    served: Collection[str] | None,
    parallelism: int,
    obstacles: Obstacles,
) -> TaskExecution:
    run_id, parent, deadline, phase = run.run_id, row.parent, row.deadline_at, row.phase
    inputs, outputs = row.inputs, row.outputs
    return TaskExecution(
        task_run_id=task_run_id(run_id, row.ordinal),
        run_id=run_id,
        parent_run_id="" if parent is None else task_run_id(run_id, parent),
        depth=row.depth,
        scope=row.scope,
        task_name=row.task_name,
        template_name=row.template_name,
        template_type=row.kind,
        executor_type=row.executor,
        created_at=moment(row.created_at),
        status=phase,
        message=row.message,
        code=row.code,
        inputs=_values(inputs) if inputs else [],
        outputs=_values(outputs) if outputs else [],
        metrics=_metrics(row.started_at, row.finished_at, row.retry_count),
        attempt=row.attempt,
        retry_count=row.retry_count,
        deadline_at=None if deadline is None else moment(deadline),
        told=_values(row.details) if row.details else [],
        waiting_for=""
        if phase.is_terminal
        else _why_waiting(run, row, served, parallelism, obstacles),
    )


def _why_waiting(
    run: RunRow,
    row: TaskRow,
    served: Collection[str] | None,
    parallelism: int,
    obstacles: Obstacles,
) -> str:
    """The one true reason, for a task run that is neither over nor a container."""
    if row.slots is not None and row.slots.waits:
        if run.paused_at is None and not is_held(run):
            return why_in_line(row.slots, obstacles.get(row.ordinal))
    if row.kind == "workflow" or row.kind in CALL_KINDS:
        return why_waiting(run, row, served)
    if row.phase.is_terminal or row.kind != "task":
        return ""
    match row.phase:
        case Phase.RUNNING if row.executor.startswith(EXECUTOR_OF_FUNCTION):
            return f"waiting for run {row.worker}"
        case Phase.RUNNING:
            worker = f" on worker {row.worker}" if row.worker else ""
            return f"running{worker} since {_clock(row.started_at)}"
        case Phase.SUSPENDED:
            note = f": {row.message}" if row.message else ""
            return f"suspended, waiting for a resume{note}"
        case Phase.READY:
            if served is not None and row.executor not in served:
                return f"no worker serves executor type '{row.executor}'"
            return f"queued for a worker of type '{row.executor}' since {_clock(row.ready_at)}"
    if row.retry_at is not None:
        return f"retry {row.retry_count} at {_clock(row.retry_at)}"
    if run.paused_at is not None:
        return _paused(run)
    if is_held(run):
        return "waiting for the run to begin"
    slots = f"one of the run's {parallelism} slots" if parallelism else "a free slot of the run"
    return f"waiting for {slots}"


def _paused(run: RunRow) -> str:
    return f"paused by {run.paused_by} since {_clock(run.paused_at)}"


def _hook(run: RunRow, row: HookRow) -> HookExecution:
    return HookExecution(
        hook_run_id=hook_run_id(run.run_id, row.number),
        hook=row.hook,
        scope=row.scope,
        task_run_id="" if row.task is None else task_run_id(run.run_id, row.task),
        template_name=row.template,
        executor_type=row.executor,
        status=row.phase,
        message=row.message,
        inputs=_values(row.inputs),
        outputs=_values(row.outputs),
        metrics=_metrics(row.started_at, row.finished_at, 0),
    )


def _metrics(started: Instant | None, finished: Instant | None, retries: int) -> Metrics:
    if started is None or finished is None:
        return Metrics(maybe_moment(started), maybe_moment(finished), None, retries)
    began, ended = moment(started), moment(finished)
    return Metrics(began, ended, ended - began, retries)


def _values(data: bytes | None) -> list[Value]:
    return [
        Value(v.name, v.type, "***" if v.secret is not None else v.value)
        for v in decode_values(data)
    ]


def _children_scope(row: TaskRow) -> str:
    name = row.task_name if row.attempt == 1 else f"{row.task_name}#{row.attempt}"
    return f"{name}/"
