"""What the first commit of a fork brings beside its decision: the rows that it keeps, and a part of a log."""

from __future__ import annotations

from ..plan import Event, RunForked
from ..record import RunPatch, RunRow, TaskRow
from .live import Request, event_of


def kept_rows(item: Event | Request) -> list[TaskRow]:
    """The decision only says which of its origin's rows a fork keeps; the store is told them whole."""
    event = event_of(item)
    return event.tasks if isinstance(event, RunForked) else []


def begins_before(run: RunRow | RunPatch) -> bool:
    """Whether the log of a new run begins with that of another."""
    return isinstance(run, RunRow) and run.origin is not None
