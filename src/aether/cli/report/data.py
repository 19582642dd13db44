"""What the page knows: the run as it ended, and the store's history as deltas.

Instants are milliseconds since the run was created. A value of a task that a step of the history sets
to what it is in the end is written `"="`, so that payloads stand in the page once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ...ports import Execution, LogEntry, TaskExecution, Value
from ...record import (
    CALL_KINDS,
    HookPatch,
    HookRow,
    NamedValue,
    RunPatch,
    RunRow,
    TaskPatch,
    TaskRow,
    decode_changes,
    decode_values,
    parse_task_run_id,
    patch_fields,
)
from ..result import duration_text, instant_text
from .edges import dependencies

LONGEST_VALUE = 256 * 1024  # characters of JSON; a longer one is cut, and says so
SAME_AS_IN_THE_END = "="
_VALUES = ("inputs", "outputs")
_INSTANTS = {"ready_at", "started_at", "finished_at", "deadline_at", "retry_at", "paused_at"}
_TASK_FIELDS = (
    "phase", "message", "code", "inputs", "outputs", "attempt", "retry_count", "losses", "started_at",
    "finished_at", "deadline_at", "retry_at", "worker",
)  # fmt: skip
_RUN_FIELDS = ("phase", "message", "outputs", "started_at", "finished_at", "paused_at", "paused_by")
_HOOK_FIELDS = ("phase", "message", "notified", "outputs")

Values = list[list[Any]]


def report_data(
    execution: Execution, text: str, document: Any, history: Sequence[LogEntry]
) -> dict[str, Any]:
    origin = execution.created_at
    index = {task.task_run_id: place for place, task in enumerate(execution.tasks)}
    waits_for, omitted = dependencies(execution, document)
    tasks = [
        _task(task, index, waits_for[place], origin) for place, task in enumerate(execution.tasks)
    ]
    return {
        "run": _run(execution, origin),
        "tasks": tasks,
        "omitted": omitted,
        "hooks": [_hook(hook, index) for hook in execution.hooks],
        "steps": _Deltas(execution, tasks).of(history),
        "document": text,
    }


def _run(execution: Execution, origin: datetime) -> dict[str, Any]:
    return {
        "id": execution.run_id,
        "name": execution.name,
        "namespace": execution.namespace,
        "phase": str(execution.status),
        "message": execution.message,
        "createdAt": instant_text(origin),
        "started": _since(execution.metrics.started_at, origin),
        "finished": _since(execution.metrics.finished_at, origin),
        "duration": duration_text(execution.metrics.duration),
        "outputs": _shown(execution.outputs),
        "warnings": execution.warnings,
        "waitingFor": execution.waiting_for,
        "progress": execution.progress,
        "kind": execution.kind,
        "reported": execution.reported,
        "attributes": execution.attributes,
    }


def _task(
    task: TaskExecution, index: Mapping[str, int], waits_for: list[int], origin: datetime
) -> dict[str, Any]:
    return {
        "id": task.task_run_id,
        "parent": index.get(task.parent_run_id, -1),
        "name": task.path if task.template_type in CALL_KINDS else task.task_name,
        "scope": "" if task.template_type in CALL_KINDS else task.scope,
        "template": task.template_name,
        "type": task.template_type,
        "executor": task.executor_type,
        "depth": task.depth,
        "dependencies": waits_for,
        "phase": str(task.status),
        "message": task.message,
        "code": task.code,
        "retry_count": task.retry_count,
        "attempt": task.attempt,
        "inputs": _shown(task.inputs),
        "outputs": _shown(task.outputs),
        "created": _since(task.created_at, origin),
        "started_at": _since(task.metrics.started_at, origin),
        "finished_at": _since(task.metrics.finished_at, origin),
        "waitingFor": task.waiting_for,
    }


def _hook(hook: Any, index: Mapping[str, int]) -> dict[str, Any]:
    return {
        "hook": hook.hook,
        "scope": hook.scope,
        "task": index.get(hook.task_run_id, -1),
        "template": hook.template_name,
        "phase": str(hook.status),
        "message": hook.message,
        "inputs": _shown(hook.inputs),
        "outputs": _shown(hook.outputs),
    }


class _Deltas:
    """Turns log entries into what each of them changed, by place in the list of tasks."""

    def __init__(self, execution: Execution, tasks: Sequence[Mapping[str, Any]]) -> None:
        self._origin = _micros(execution.created_at)
        self._final = tasks
        self._places: dict[int, int] = {}
        for place, task in enumerate(execution.tasks):
            parsed = parse_task_run_id(task.task_run_id)
            self._places[parsed[1] if parsed else place] = place

    def of(self, history: Iterable[LogEntry]) -> list[dict[str, Any]]:
        return [self._step(entry) for entry in history]

    def _step(self, entry: LogEntry) -> dict[str, Any]:
        step: dict[str, Any] = {"seq": entry.seq, "at": self._millis(entry.at)}
        for change in decode_changes(entry.body):
            match change:
                case RunRow() | RunPatch():
                    step.setdefault("run", {}).update(self._fields(change, _RUN_FIELDS))
                case TaskRow() | TaskPatch():
                    self._task(step.setdefault("tasks", []), change)
                case HookRow() | HookPatch():
                    fields = self._fields(change, _HOOK_FIELDS)
                    if isinstance(change, HookRow):
                        fields["hook"] = change.hook
                    step.setdefault("hooks", []).append([change.number, fields])
        return step

    def _task(self, into: list[Any], change: TaskRow | TaskPatch) -> None:
        place = self._places.get(change.ordinal)
        if place is None:
            return  # deleted since, or not in the view: there is no row to show it in
        fields = self._fields(change, _TASK_FIELDS)
        final = self._final[place]
        for name in _VALUES:
            if name in fields and fields[name] == final[name]:
                fields[name] = SAME_AS_IN_THE_END
        into.append([place, fields, isinstance(change, TaskRow)])

    def _fields(self, change: Any, names: Sequence[str]) -> dict[str, Any]:
        """What `change` sets; of a new row, what it says beyond the defaults, and its phase."""
        if isinstance(change, RunPatch | TaskPatch | HookPatch):
            written = patch_fields(change)
        else:
            written = {name: getattr(change, name) for name in names if hasattr(change, name)}
            usual = (
                (None, "", 0, False) if isinstance(change, RunRow | HookRow) else (None, "", 0, 1)
            )
            written = {name: value for name, value in written.items() if value not in usual}
        return {name: self._plain(name, written[name]) for name in names if name in written}

    def _plain(self, name: str, value: Any) -> Any:
        if name in _VALUES:
            return [] if value is None else [_named(each) for each in decode_values(value)]
        if name in _INSTANTS and value is not None:
            return self._millis(value)
        return str(value) if name == "phase" else value

    def _millis(self, instant: int) -> float:
        return round((instant - self._origin) / 1000, 3)


def _shown(values: Sequence[Value]) -> Values:
    return [[value.name, value.type, _cut(value.value)] for value in values]


def _named(value: NamedValue) -> list[Any]:
    return [value.name, value.type, "***" if value.secret is not None else _cut(value.value)]


def _cut(value: Any) -> Any:
    text = msgspec.json.encode(value)
    if len(text) <= LONGEST_VALUE:
        return value
    return f"{text[:LONGEST_VALUE].decode('utf-8', 'ignore')} … ({len(text):,} bytes, cut)"


def _since(instant: datetime | None, origin: datetime) -> float | None:
    return None if instant is None else round((instant - origin).total_seconds() * 1000, 3)


def _micros(instant: datetime) -> int:
    return round(instant.timestamp() * 1_000_000)
