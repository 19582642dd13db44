"""The auditor: whether a run that is not over has a recorded, true reason to wait.

In: rows as a store holds them, and the time. Out: what is wrong with them, a line each. Never: a change,
or a look anywhere but at the rows: it can be run over any store, while an engine works on it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..record import Instant, Phase, RunRow, RunRows, TaskRow

GRACE = 60_000_000
"""Microseconds an engine may be late, busy or down before a run counts as forgotten."""

_AT_WORK = (Phase.READY, Phase.RUNNING)


def audit(rows: RunRows, now: Instant, *, parallelism: int = 0, grace: int = GRACE) -> list[str]:
    """What is wrong with this run; empty if nothing is. `parallelism` is its document's, 0 for none."""
    run = rows.run
    found = [*_counts(rows), *_family(rows)]
    if run.phase.is_terminal:
        found += _closed(rows)
    else:
        found += _waiting(rows, now, parallelism, grace)
    found += _dues(rows, now, grace)
    return [f"run {run.run_id}: {what}" for what in found]


def _counts(rows: RunRows) -> Iterator[str]:
    run = rows.run
    done = sum(task.phase.is_terminal for task in rows.tasks.values())
    if (run.total, run.done) != (len(rows.tasks), done):
        yield f"it counts {run.done}/{run.total} task runs, and has {done}/{len(rows.tasks)}"


def _family(rows: RunRows) -> Iterator[str]:
    seen: dict[tuple[int | None, str, str], int] = {}
    for task in rows.tasks.values():
        key = (task.parent, task.scope, task.task_name)
        if key in seen:
            yield f"task runs {seen[key]} and {task.ordinal} are the same: {key}"
        seen[key] = task.ordinal
        if task.parent is None or task.phase.is_terminal:
            continue
        parent = rows.tasks.get(task.parent)
        if parent is None:
            yield f"task run {task.ordinal} has no parent {task.parent}"
        elif parent.phase.is_terminal and task.kind != "continue":
            yield f"task run {task.ordinal} is {task.phase} below {task.parent}, which is over"


def _closed(rows: RunRows) -> Iterator[str]:
    if rows.run.finished_at is None:
        yield "it is over, and nobody knows since when"
    for task in rows.tasks.values():
        if not task.phase.is_terminal:
            yield f"it is {rows.run.phase}, and task run {task.ordinal} is {task.phase}"


def _waiting(rows: RunRows, now: Instant, parallelism: int, grace: int) -> Iterator[str]:
    run = rows.run
    root = rows.tasks.get(0)
    if root is not None and root.kind == "workflow":
        yield from _function(rows)
        return
    leaves = [t for t in rows.tasks.values() if t.kind == "task" and not t.phase.is_terminal]
    active = sum(leaf.phase in _AT_WORK for leaf in leaves)
    if parallelism and active > parallelism:
        yield f"{active} tasks hold its {parallelism} slots"
    full = bool(parallelism) and active >= parallelism
    for leaf in leaves:
        held = leaf.phase is Phase.CREATED and leaf.retry_at is None and not _in_line(leaf)
        if held and run.paused_at is None and not full and not _in_line(run):
            yield f"task run {leaf.ordinal} is held back, though nothing holds it"
    if leaves or run.paused_at is not None or _in_line(run) or _retries(rows):
        return
    if now - _last_change(rows) > grace:
        yield "nothing of it is under way, and nothing will wake it"


def _function(rows: RunRows) -> Iterator[str]:
    """A function that is parked waits for what is open, or for a signal or update: both wake it."""
    run = rows.run
    if run.paused_at is not None:
        return
    for task in rows.tasks.values():
        held = task.phase is Phase.CREATED and task.retry_at is None and not _in_line(task)
        if held and not _in_line(run) and task.kind in ("workflow", "activity", "child"):
            yield f"task run {task.ordinal} is held back, though nothing holds it"
    root = rows.tasks[0]
    if root.phase.is_terminal and not any(
        task.kind == "continue" and not task.phase.is_terminal for task in rows.tasks.values()
    ):
        yield "its function is over, and it is not"


def _in_line(row: RunRow | TaskRow) -> bool:
    """It waits for slots of limited keys."""
    return row.slots is not None and row.slots.waits


def _retries(rows: RunRows) -> bool:
    return any(not t.phase.is_terminal and t.retry_at is not None for t in rows.tasks.values())


def _last_change(rows: RunRows) -> Instant:
    latest = rows.run.created_at
    for task in rows.tasks.values():
        latest = max(latest, task.created_at, task.ready_at or 0, task.started_at or 0)
        latest = max(latest, task.finished_at or 0)
    return latest


def _dues(rows: RunRows, now: Instant, grace: int) -> Iterator[str]:
    """`due_at` is what wakes a run: nothing may be due before it, and it may not lie far behind."""
    run = rows.run
    if run.due_at is not None and run.due_at < now - grace:
        yield f"it was due {(now - run.due_at) / 1_000_000:.0f}s ago, and nobody looked"
    for due, what in _alarms(rows):
        if run.due_at is None or run.due_at > due:
            yield f"{what} is due at {due}, and the run at {run.due_at}"


def _alarms(rows: RunRows) -> Iterator[tuple[Instant, str]]:
    run = rows.run
    if run.paused_at is None or run.phase.is_terminal:
        for hook in rows.hooks.values():
            if hook.finished_at is None and hook.deadline_at is not None:
                yield hook.deadline_at, f"hook {hook.number}"
    if run.paused_at is not None or run.phase.is_terminal:
        return
    if run.deadline_at is not None:
        yield run.deadline_at, "its deadline"
    for task in rows.tasks.values():
        if not task.phase.is_terminal:
            yield from _alarms_of(task)


def _alarms_of(task: TaskRow) -> Iterator[tuple[Instant, str]]:
    if task.deadline_at is not None:
        yield task.deadline_at, f"task run {task.ordinal}"
    if task.retry_at is not None and task.kind != "step":  # its function waits to try it again
        yield task.retry_at, f"the retry of task run {task.ordinal}"
    if task.beat_by is not None:
        yield task.beat_by, f"the heartbeat of task run {task.ordinal}"
