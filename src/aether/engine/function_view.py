"""Why a run of a function is not over, a reason for each thing that it waits for."""

from __future__ import annotations

from collections.abc import Collection

from ..plan import STUCK, is_held
from ..record import Phase, RunRow, TaskRow
from .instants import clock

PARKED = "parked, waiting for a signal or an update that it handles"


def why_waiting(run: RunRow, row: TaskRow, served: Collection[str] | None) -> str:
    """The one true reason, for a row of a function run that is not over; "" where others have it."""
    match row.kind:
        case "workflow":
            return _root(run, row, served)
        case "activity":
            return _activity(run, row, served)
        case "timer":
            return f"timer due at {clock(row.deadline_at)}"
        case "wait":
            until = "" if row.deadline_at is None else f" until {clock(row.deadline_at)}"
            return f"waiting for signal '{row.task_name}'{until}"
        case "child":
            held = row.phase is Phase.CREATED
            return _paused(run) if held else f"waiting for run {row.worker}"
        case "continue":
            return f"waiting for run {row.worker} to begin in its place"
        case "step":
            return f"attempt {row.attempt + 1} at {clock(row.retry_at)}: {row.message}"
        case "update":
            return "waiting for the function to answer"
    return ""


def _root(run: RunRow, row: TaskRow, served: Collection[str] | None) -> str:
    match row.phase:
        case Phase.CREATED if is_held(run) and run.paused_at is None and not row.retry_at:
            return "waiting for the run to begin"
        case Phase.CREATED:
            return f"to begin at {clock(row.retry_at)}" if row.retry_at else _paused(run)
        case Phase.SUSPENDED:
            return f"stuck: {row.message}" if row.code == STUCK else ""
    return _task(row, served)


def _activity(run: RunRow, row: TaskRow, served: Collection[str] | None) -> str:
    match row.phase:
        case Phase.CREATED:
            if row.retry_at is None:
                return _paused(run)
            return f"retry {row.retry_count} at {clock(row.retry_at)}: {row.message}"
        case Phase.SUSPENDED:
            note = f": {row.message}" if row.message else ""
            return f"waiting to be completed from outside{note}"
    return _task(row, served)


def _task(row: TaskRow, served: Collection[str] | None) -> str:
    if row.phase is Phase.RUNNING:
        worker = f" on worker {row.worker}" if row.worker else ""
        return f"running{worker} since {clock(row.started_at)}"
    if served is not None and row.executor not in served:
        what, _, name = row.executor.partition(":")
        if what == "workflow" and row.kind == "workflow":
            return f"no worker serves workflow '{name}'"
        return f"no worker serves executor type '{row.executor}'"
    return f"queued for a worker of type '{row.executor}' since {clock(row.ready_at)}"


def _paused(run: RunRow) -> str:
    return f"paused by {run.paused_by} since {clock(run.paused_at)}"
