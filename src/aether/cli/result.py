"""A run as one JSON object: what `--json` prints and `--result` writes. `docs/` lists its members."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import Problem
from ..ports import CronExecution, Execution, Fork, HookExecution, TaskExecution, Value


def run_result(execution: Execution, workflow: str) -> dict[str, Any]:
    """`workflow` is the document as the user named it."""
    began = execution.metrics.started_at or execution.created_at
    return {
        "runID": execution.run_id,
        "workflow": workflow,
        "name": execution.name,
        "phase": str(execution.status),
        "message": execution.message,
        "elapsedMs": _millis(began, execution.metrics.finished_at),
        "startTime": instant_text(began),
        "outputs": _values(execution.outputs),
        "progress": execution.progress,
        "warnings": execution.warnings,
        "waitingFor": execution.waiting_for,
        "origin": None if execution.origin is None else link(execution.origin),
        "forks": [link(fork) for fork in execution.forks],
        "tasks": [_task(task) for task in execution.tasks],
        "hooks": [_hook(hook) for hook in execution.hooks],
        "omitted": [
            {"taskName": node.name, "scope": node.scope, "reason": node.reason}
            for node in execution.omitted
        ],
    }


def link(fork: Fork) -> dict[str, Any]:
    """A run that this one comes from, or one that comes from it."""
    return {"runID": fork.run_id, "kind": fork.kind, "seq": fork.seq, "task": fork.task}


def cron_result(cron: CronExecution, workflow: str) -> dict[str, Any]:
    return {
        "cronID": cron.cron_id,
        "workflow": workflow,
        "name": cron.name,
        "schedule": cron.schedule,
        "timezone": cron.timezone,
        "nextFireTime": instant_text(cron.next_fire_at),
        "runs": [run_result(run, workflow) for run in cron.runs],
    }


def refusal_result(problems: Iterable[Problem], workflow: str) -> dict[str, Any]:
    """What stands in place of a result when submit refused the document."""
    return {
        "workflow": workflow,
        "problems": [
            {
                "code": problem.code,
                "severity": problem.severity,
                "what": problem.what,
                "where": str(problem.where),
                "fix": problem.fix,
            }
            for problem in problems
        ],
    }


def duration_text(duration: timedelta | None) -> str:
    """`1h2m3.5s`, to the millisecond; "" if there is none."""
    if duration is None:
        return ""
    millis = round(duration.total_seconds() * 1000)
    if millis < 1000:
        return f"{millis}ms" if millis else "0s"
    minutes, rest = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + seconds


def instant_text(instant: datetime | None) -> str:
    """RFC 3339 in UTC to the millisecond; "" if there is none."""
    if instant is None:
        return ""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _task(task: TaskExecution) -> dict[str, Any]:
    return {
        "runID": task.task_run_id,
        "taskName": task.task_name,
        "scope": task.scope,
        "templateName": task.template_name,
        "templateType": task.template_type,
        "executorType": task.executor_type,
        "depth": task.depth,
        "phase": str(task.status),
        "message": task.message,
        "retryCount": task.retry_count,
        "inputs": _values(task.inputs),
        "outputs": _values(task.outputs),
        "startedAt": instant_text(task.metrics.started_at),
        "finishedAt": instant_text(task.metrics.finished_at),
        "duration": duration_text(task.metrics.duration),
        "waitingFor": task.waiting_for,
    }


def _hook(hook: HookExecution) -> dict[str, Any]:
    return {
        "runID": hook.hook_run_id,
        "hook": hook.hook,
        "scope": hook.scope,
        "taskRunID": hook.task_run_id,
        "phase": str(hook.status),
        "message": hook.message,
    }


def _values(values: Sequence[Value]) -> list[dict[str, Any]]:
    return [{"name": value.name, "type": value.type, "value": value.value} for value in values]


def _millis(began: datetime, ended: datetime | None) -> int:
    """Until now when the run has not ended."""
    return round(((ended or datetime.now(UTC)) - began).total_seconds() * 1000)
