"""`apply`: the only thing that changes rows. Stores, state, time travel and tests all call it."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from .rows import Change, HookPatch, HookRow, RunPatch, RunRow, RunRows, TaskPatch, TaskRow

_RUN_FIELDS = RunPatch.__struct_fields__
_TASK_FIELDS = TaskPatch.__struct_fields__[1:]
_HOOK_FIELDS = HookPatch.__struct_fields__[1:]

encode_changes = msgspec.msgpack.Encoder().encode


def patch_run(row: RunRow | RunPatch, patch: RunPatch) -> None:
    """Also merges a later patch into an earlier one."""
    for field in _RUN_FIELDS:
        value = getattr(patch, field)
        if value is not UNSET:
            setattr(row, field, value)


def patch_task(row: TaskRow | TaskPatch, patch: TaskPatch) -> None:
    """Also merges a later patch into an earlier one."""
    for field in _TASK_FIELDS:
        value = getattr(patch, field)
        if value is not UNSET:
            setattr(row, field, value)


def patch_hook(row: HookRow | HookPatch, patch: HookPatch) -> None:
    for field in _HOOK_FIELDS:
        value = getattr(patch, field)
        if value is not UNSET:
            setattr(row, field, value)


def apply(rows: RunRows | None, change: Change) -> RunRows:
    """`rows` with `change` made in place. The first change of a run is its RunRow."""
    if isinstance(change, RunRow):
        return RunRows(change)
    assert rows is not None, "a run's first change creates it"
    match change:
        case TaskPatch():
            patch_task(rows.tasks[change.ordinal], change)
        case TaskRow():
            rows.tasks[change.ordinal] = change
        case RunPatch():
            patch_run(rows.run, change)
        case HookRow():
            rows.hooks[change.number] = change
        case HookPatch():
            patch_hook(rows.hooks[change.number], change)
    return rows
