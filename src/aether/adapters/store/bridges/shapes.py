"""Rows as records, and records as rows."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from ....ports import CronPatch, RunRecord, TaskRecord
from ....record import (
    CronRow,
    HookRow,
    RunRow,
    TaskPatch,
    TaskRow,
    Token,
    hook_run_id,
    parse_task_run_id,
    task_run_id,
)

_HOOK_SCOPE = "hooks/"
_RUN_FIELDS = RunRow.__struct_fields__
_TASK_FIELDS = TaskRow.__struct_fields__
_PATCH_FIELDS = tuple(name for name in TaskPatch.__struct_fields__ if name != "ordinal")
_CRON_FIELDS = CronPatch.__struct_fields__

_encode = msgspec.msgpack.Encoder().encode
_hook_decoder: msgspec.msgpack.Decoder[HookRow] = msgspec.msgpack.Decoder(HookRow)


def run_record(row: RunRow, text: bytes, redo: bytes | None = None) -> RunRecord:
    members = {name: getattr(row, name) for name in _RUN_FIELDS}
    members["claimed"] = 0  # claims are the store's, not the record's
    return RunRecord(**members, text=text, redo=redo)


def run_row(record: RunRecord) -> RunRow:
    return RunRow(**{name: getattr(record, name) for name in _RUN_FIELDS})


def task_record(run_id: str, row: TaskRow, token: Token = 0) -> TaskRecord:
    members = {name: getattr(row, name) for name in _TASK_FIELDS}
    return TaskRecord(**members, run_id=run_id, token=token)


def task_row(record: TaskRecord) -> TaskRow:
    return TaskRow(**{name: getattr(record, name) for name in _TASK_FIELDS})


def whole_patch(row: TaskRow) -> TaskPatch:
    """All that a patch can say about `row`."""
    return TaskPatch(row.ordinal, **{name: getattr(row, name) for name in _PATCH_FIELDS})


def cron_patch(row: CronRow) -> CronPatch:
    return CronPatch(**{name: getattr(row, name) for name in _CRON_FIELDS})


def patched_cron(row: CronRow, patch: CronPatch) -> CronRow:
    given = {name: getattr(patch, name) for name in _CRON_FIELDS}
    return msgspec.structs.replace(
        row, **{name: value for name, value in given.items() if value is not UNSET}
    )


def hook_task(hook: HookRow) -> TaskRow:
    """A hook in the shape of a task run: Records know no hooks. The row itself is in `inputs`."""
    return TaskRow(
        ordinal=-1 - hook.number,
        scope=_HOOK_SCOPE,
        task_name=str(hook.number),
        template_name=hook.template,
        kind="hook",
        executor=hook.executor,
        created_at=hook.created_at,
        phase=hook.phase,
        inputs=_encode(hook),
    )


def hook_row(task: TaskRow) -> HookRow:
    assert task.inputs is not None, "hook_task() filled it"
    return _hook_decoder.decode(task.inputs)


def task_record_id(run_id: str, ordinal: int) -> str:
    return hook_run_id(run_id, -1 - ordinal) if ordinal < 0 else task_run_id(run_id, ordinal)


def place_of(task_run_id: str) -> tuple[str, int] | None:
    """Run id and ordinal, negative for a hook; None for a text that no task run has as its id."""
    parsed = parse_task_run_id(task_run_id)
    if parsed is None:
        return None
    run_id, number, is_hook = parsed
    return run_id, -1 - number if is_hook else number
