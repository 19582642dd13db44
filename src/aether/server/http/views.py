"""What answers are made of, beside the views of `ports.api`; and those views without their values."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from ...ports import Execution, Value
from ...record import Phase, RunRow
from ..instants import moment, span

HIDDEN = "***"


class RunSummary(msgspec.Struct, kw_only=True, rename="camel"):
    """One run of a list: no tasks, no values. `waitingFor` only where it was asked for."""

    run_id: str
    name: str
    namespace: str
    cron_id: str
    labels: dict[str, str]
    attributes: dict[str, str]
    status: Phase
    message: str
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    duration: timedelta | None
    paused_at: datetime | None
    progress: str
    seq: int
    tier: str
    waiting_for: list[str] = []


class RunPage(msgspec.Struct, kw_only=True):
    """`cursor` leads to the next page, which may be short or empty; "" on the last."""

    runs: list[RunSummary]
    cursor: str = ""


class RunCreated(msgspec.Struct, kw_only=True, rename="camel"):
    run_id: str


class RunResult(msgspec.Struct, kw_only=True, rename="camel"):
    """How a run ended, or stands. `runId` is another one where the run was continued as that."""

    run_id: str
    status: Phase
    message: str
    outputs: list[Value]
    waiting_for: list[str]


class Answer(msgspec.Struct, kw_only=True):
    """What a function answered to an update or a query."""

    result: Any = None


class Names(msgspec.Struct, kw_only=True):
    names: list[str]


class Deleted(msgspec.Struct, kw_only=True):
    deleted: int


class QueueView(msgspec.Struct, kw_only=True, rename="camel"):
    """Tasks of one executor type that wait for a worker. `workers` serve it, with `slots` together; none
    of either for a type that nobody serves."""

    executor_type: str
    depth: int
    workers: int = 0
    slots: int = 0


class Health(msgspec.Struct, kw_only=True):
    """`status` is `ok`, or `draining` once the server was asked to stop."""

    status: str
    version: str = ""


def summary(row: RunRow, waiting_for: list[str] | None = None) -> RunSummary:
    return RunSummary(
        run_id=row.run_id,
        name=row.name,
        namespace=row.namespace,
        cron_id=row.cron_id,
        labels=row.labels or {},
        attributes=row.attributes or {},
        status=row.phase,
        message=row.message,
        created_at=moment(row.created_at),
        started_at=moment(row.started_at),
        finished_at=moment(row.finished_at),
        duration=span(row.started_at, row.finished_at),
        paused_at=moment(row.paused_at),
        progress=f"{row.done}/{row.total}" if row.total else "",
        seq=row.seq,
        tier=row.tier,
        waiting_for=waiting_for or [],
    )


def without_values(execution: Execution) -> Execution:
    """The run as somebody sees it who may not read values: names and types stay."""
    return replace(
        execution,
        reported=dict.fromkeys(execution.reported, HIDDEN),
        outputs=_hidden(execution.outputs),
        tasks=[
            replace(task, inputs=_hidden(task.inputs), outputs=_hidden(task.outputs))
            for task in execution.tasks
        ],
        hooks=[
            replace(hook, inputs=_hidden(hook.inputs), outputs=_hidden(hook.outputs))
            for hook in execution.hooks
        ],
    )


def _hidden(values: list[Value]) -> list[Value]:
    return [Value(value.name, value.type, HIDDEN) for value in values]
