"""A decision in plain words: one sentence for each thing that it changed.

In: the rows before, and the changes. Out: sentences such as `main/fetch: Ready → Running on worker w1`.
Never: values, only their names: they may be large, and `at` shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from msgspec import UNSET, UnsetType

from ..ports import LogEntry, Step
from ..record import (
    CALL_KINDS,
    Change,
    Cut,
    HookPatch,
    HookRow,
    Instant,
    Phase,
    RunPatch,
    RunRow,
    RunRows,
    TaskPatch,
    TaskRow,
    apply,
    call_name,
    decode_raw_values,
    patch_fields,
)
from .instants import moment

_FROM_OUTSIDE = ("signal", "update", "cancel")
_PLACES = {RunRow: 0, Cut: 0, TaskPatch: 1, TaskRow: 2, HookRow: 3, HookPatch: 4, RunPatch: 5}
"""A decision reads best as it was come to: what happened, what that began, what it means for the run."""


def step_of(
    rows: RunRows | None, entry: LogEntry, changes: Sequence[Change]
) -> tuple[RunRows | None, Step]:
    """The rows after the decision, and the decision in sentences."""
    told: list[tuple[int, str]] = []
    due: Instant | None | UnsetType = UNSET
    for change in changes:
        if rows is not None and (sentence := sentence_of(rows, change)):
            told.append((_PLACES[type(change)], sentence))
        if isinstance(change, RunPatch):
            due = change.due_at
        rows = apply(rows, change)
        if isinstance(change, RunRow):
            told.insert(0, (0, _created(change)))
    told.sort(key=itemgetter(0))
    sentences = [sentence for _, sentence in told] or [_alarm(due)]
    return rows, Step(seq=entry.seq, at=moment(entry.at), changes=sentences)


def full_path(rows: RunRows, row: TaskRow) -> str:
    """From the entrypoint down to the task run. A row's scope names its parent alone."""
    if row.kind in CALL_KINDS:
        return call_name(row.scope, row.task_name)
    path = row.scope + row.task_name
    while row.parent is not None:
        row = rows.tasks[row.parent]
        path = row.scope + path
    return path


def sentence_of(rows: RunRows, change: Change) -> str:
    """ "" for what only counts."""
    match change:
        case TaskPatch():
            row = rows.tasks[change.ordinal]
            return f"{full_path(rows, row)}: {_task(row, change)}"
        case TaskRow():
            return f"{full_path(rows, change)}: {_new_task(change)}"
        case RunPatch():
            return _run(rows.run, change)
        case HookRow():
            return f"{_hook_name(rows, change)}: fired"
        case HookPatch():
            hook = rows.hooks[change.number]
            return f"{_hook_name(rows, hook)}: {_hook(hook, change)}"
        case Cut():
            kept = sum(last + 1 - first for first, last in change.tasks)
            return f"run: keeps {kept} of {len(rows.tasks)} task runs"
    return ""


def _created(row: RunRow) -> str:
    phase = "" if row.phase is Phase.CREATED else f", {row.phase}"
    came = row.name
    if (origin := row.origin) is not None:
        came = f"run {origin.run_id} at step {origin.seq}, a {origin.kind}"
        came += f" from {origin.task}" if origin.task else ""
    return f"run: created from {came}{phase}{_because(row.message)}"


def _run(row: RunRow, patch: RunPatch) -> str:
    said = []
    if patch.phase is not UNSET and patch.phase is not row.phase:
        said.append(f"{patch.phase}{_because(patch.message)}")
    if patch.paused_at is not UNSET:
        paused = "paused" if row.paused_at is None else "still paused"
        by = row.paused_by if patch.paused_by is UNSET else patch.paused_by
        said.append("goes on" if patch.paused_at is None else f"{paused} by {by}")
    if patch.epoch is not UNSET and patch.epoch != row.epoch:
        said.append(f"taken over by another engine (epoch {patch.epoch})")
    if names := _names(patch.outputs):
        said.append(f"outputs {names}")
    if patch.status is not UNSET:
        said.append("says something new of itself")
    if isinstance(patch.attributes, dict):
        said.append(f"attributes {', '.join(patch.attributes)}")
    if patch.warnings is not UNSET:
        said += patch.warnings[len(row.warnings) :]
    if patch.phase is UNSET and patch.message is not UNSET and patch.message:
        said.append(patch.message)
    return f"run: {', '.join(said)}" if said else ""


def _new_task(row: TaskRow) -> str:
    what = f"{_article(row.kind)} {row.kind}" if row.kind != "task" else f"executor {row.executor}"
    if row.kind == "activity":
        what += f" of {row.executor}"
    if row.kind == "child":
        what += f", run {row.worker}"
    if row.kind in _FROM_OUTSIDE:
        return f"{row.kind} received"
    if row.kind in CALL_KINDS and row.phase.is_terminal:
        return f"{row.kind} {row.phase}{_because(row.message)}"
    phase = "" if row.phase is Phase.CREATED else f", {row.phase}"
    return f"created ({what}){phase}{_because(row.message)}"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _task(row: TaskRow, patch: TaskPatch) -> str:
    said = ""
    phase = row.phase if patch.phase is UNSET else patch.phase
    if phase is not row.phase:
        said = f"{row.phase} → {phase}"
        if phase is Phase.RUNNING and patch.worker:
            said += f" on worker {patch.worker}"
    elif patch.delivery is not UNSET:
        said = "handed out again"
    elif names := _names(patch.inputs):
        said = f"inputs {names}"
    if phase is Phase.SUCCEEDED and (names := _names(patch.outputs)):
        said += f" with {names}"
    if patch.losses is not UNSET and patch.losses > row.losses:
        said += " after its worker was lost"
    if patch.retry_count is not UNSET and patch.retry_count > row.retry_count:
        said += f", retry {patch.retry_count}"
    if patch.retry_at is not UNSET and patch.retry_at is not None:
        said += f" at {_clock(patch.retry_at)}"
    said += _because(patch.message)
    if said:
        return said.removeprefix(", ").removeprefix(": ")
    return f"{', '.join(patch_fields(patch))} changed"


def _hook_name(rows: RunRows, row: HookRow) -> str:
    of = "" if row.task is None else f" of {full_path(rows, rows.tasks[row.task])}"
    return f"hook {row.hook}{of}"


def _hook(row: HookRow, patch: HookPatch) -> str:
    said = []
    if patch.phase is not UNSET and patch.phase is not row.phase:
        said.append(f"{row.phase} → {patch.phase}{_because(patch.message)}")
    if patch.notified is True:
        said.append("notified")
    return ", ".join(said) or f"{', '.join(patch_fields(patch))} changed"


def _alarm(due: Instant | None | UnsetType) -> str:
    """A decision that changed nothing but when somebody must look at the run again."""
    if due is None or due is UNSET:
        return "run: nothing is due any more"
    return f"run: the next thing is due at {_clock(due)}"


def _because(message: str | UnsetType) -> str:
    return "" if message is UNSET or not message else f": {message}"


def _names(values: bytes | None | UnsetType) -> str:
    if values is UNSET or not values:
        return ""
    return ", ".join(value.name for value in decode_raw_values(values))


def _clock(instant: Instant) -> str:
    return moment(instant).strftime("%Y-%m-%d %H:%M:%SZ")
