"""`apply`: the only thing that changes rows. Stores, state, time travel and tests all call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from .rows import Change, Cut, HookPatch, HookRow, RunPatch, RunRow, RunRows, TaskPatch, TaskRow

encode_changes = msgspec.msgpack.Encoder().encode


def _patcher(patch: type[msgspec.Struct], identity: str = "") -> Callable[[Any, Any], None]:
    """A function that sets in a row what a patch of this type sets. It is made of one line for each
    member: every change of every run passes here at least twice, and a loop takes three times as long."""
    lines = [
        f"    if (value := patch.{name}) is not UNSET:\n        row.{name} = value\n"
        for name in patch.__struct_fields__
        if name != identity
    ]
    names: dict[str, Any] = {"UNSET": UNSET}
    # As a default UNSET is a local name, which is looked up twenty times.
    exec("def apply_patch(row, patch, UNSET=UNSET):\n" + "".join(lines), names)  # noqa: S102 - of our own names
    made: Callable[[Any, Any], None] = names["apply_patch"]
    return made


# Each also merges a later patch into an earlier one.
patch_run: Callable[[RunRow | RunPatch, RunPatch], None] = _patcher(RunPatch)
patch_task: Callable[[TaskRow | TaskPatch, TaskPatch], None] = _patcher(TaskPatch, "ordinal")
patch_hook: Callable[[HookRow | HookPatch, HookPatch], None] = _patcher(HookPatch, "number")


def apply(rows: RunRows | None, change: Change) -> RunRows:
    """`rows` with `change` made in place. The first change of a run is its RunRow; that of a fork is a
    Cut of its origin's rows, on which its own RunRow follows."""
    if isinstance(change, RunRow):
        return RunRows(change) if rows is None else RunRows(change, rows.tasks, rows.hooks)
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
        case Cut():
            rows.tasks, rows.hooks = cut_tasks(rows.tasks, change), {}
    return rows


def cut_tasks(tasks: dict[int, TaskRow], cut: Cut) -> dict[int, TaskRow]:
    """The rows that `cut` keeps, under their new ordinals, which are set in place."""
    kept: dict[int, TaskRow] = {}
    places: dict[int | None, int | None] = {None: None}
    for first, last in cut.tasks:
        for ordinal in range(first, last + 1):
            row = tasks[ordinal]
            places[ordinal] = row.ordinal = len(kept)
            row.parent = places[row.parent]
            kept[row.ordinal] = row
    return kept
