"""Runs for the tests of the command line: views, and a recorder that also writes the store's history."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from aether.errors import Problem, ProblemError, WaitTimeout
from aether.ports import (
    CronExecution,
    Execution,
    HookExecution,
    LogEntry,
    Metrics,
    Omitted,
    TaskExecution,
    Value,
)
from aether.record import (
    NamedValue,
    Phase,
    RunPatch,
    RunRow,
    TaskPatch,
    TaskRow,
    decode_values,
    encode_changes,
    encode_values,
)

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BEGAN_AT = round(BEGAN.timestamp() * 1_000_000)


def values(**named: Any) -> list[Value]:
    return [Value(name.replace("_", "-"), "", value) for name, value in named.items()]


def task(
    name: str, status: Phase = Phase.SUCCEEDED, *, number: int = 0, **more: Any
) -> TaskExecution:
    more.setdefault("created_at", BEGAN)
    return TaskExecution(
        task_run_id=f"r.{number}", run_id="r", task_name=name, status=status, **more
    )


def hook(status: Phase, **more: Any) -> HookExecution:
    return HookExecution(hook_run_id="r.h0", hook="onExit", scope="workflow", status=status, **more)


def execution(*tasks: TaskExecution, status: Phase = Phase.SUCCEEDED, **more: Any) -> Execution:
    more.setdefault("name", "demo")
    more.setdefault("run_id", "r")
    more.setdefault("created_at", BEGAN)
    return Execution(status=status, tasks=list(tasks), **more)


class Recorder:
    """Writes a run step by step, as a store would see it. Each `step` is one millisecond after the last."""

    def __init__(self, name: str = "demo") -> None:
        self.run = RunRow(run_id="r", name=name, document=b"", created_at=BEGAN_AT)
        self.tasks: list[TaskRow] = []
        self.history: list[LogEntry] = []
        self.omitted: list[Omitted] = []
        self._pending: list[Any] = [self.run]

    @property
    def now(self) -> int:
        return BEGAN_AT + 1000 * len(self.history)

    def create(self, name: str, parent: int | None = None, **more: Any) -> int:
        above = self.tasks[parent] if parent is not None else None
        row = TaskRow(
            ordinal=len(self.tasks),
            parent=parent,
            depth=above.depth + 1 if above else 0,
            task_name=name,
            created_at=self.now,
            **{"scope": f"{above.task_name}/" if above else "", **more},
        )
        self.tasks.append(row)
        self._pending.append(TaskRow(**{f: getattr(row, f) for f in row.__struct_fields__}))
        return row.ordinal

    def set(self, ordinal: int, phase: Phase, **more: Any) -> None:
        for name in ("inputs", "outputs"):
            if name in more:
                more[name] = encode_values([NamedValue(k, "", v) for k, v in more[name].items()])
        if phase is Phase.RUNNING:
            more.setdefault("started_at", self.now)
        if phase.is_terminal:
            more.setdefault("finished_at", self.now)
        self._pending.append(TaskPatch(ordinal, phase=phase, **more))
        for name, value in {"phase": phase, **more}.items():
            setattr(self.tasks[ordinal], name, value)

    def finish(self, phase: Phase, message: str = "") -> None:
        self.run.phase = phase
        self._pending.append(RunPatch(phase=phase, message=message, finished_at=self.now))
        self.step()

    def step(self) -> None:
        entry = LogEntry(len(self.history) + 1, self.now, encode_changes(self._pending))
        self.history.append(entry)
        self._pending = []

    def view(self) -> Execution:
        done = sum(row.phase.is_terminal for row in self.tasks)
        return execution(
            *(self._task(row) for row in self.tasks),
            status=self.run.phase,
            name=self.run.name,
            progress=f"{done}/{len(self.tasks)}",
            omitted=self.omitted,
            metrics=Metrics(BEGAN, _instant(self.now), timedelta(microseconds=self.now - BEGAN_AT)),
        )

    def _task(self, row: TaskRow) -> TaskExecution:
        began, ended = _instant(row.started_at), _instant(row.finished_at)
        return task(
            row.task_name,
            row.phase,
            number=row.ordinal,
            parent_run_id=f"r.{row.parent}" if row.parent is not None else "",
            depth=row.depth,
            scope=row.scope,
            template_name=row.template_name,
            template_type=row.kind,
            executor_type=row.executor,
            created_at=_instant(row.created_at),
            message=row.message,
            retry_count=row.retry_count,
            inputs=_values(row.inputs),
            outputs=_values(row.outputs),
            metrics=Metrics(began, ended, ended - began if began and ended else None),
        )


def _values(encoded: bytes | None) -> list[Value]:
    found = decode_values(encoded) if encoded else []
    return [Value(value.name, value.type, value.value) for value in found]


def _instant(micros: int | None) -> datetime | None:
    if micros is None:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


class FakeEngine:
    """Shows one view after another, and writes down what it is asked to do."""

    def __init__(self, *views: Execution, refuse: ProblemError | None = None) -> None:
        self.views = list(views)
        self.refuse = refuse
        self.asked: list[tuple[Any, ...]] = []
        self.crons: list[CronExecution] = []
        self.entries: list[LogEntry] = []
        self.after_cancel: Execution | None = None
        self.on_wait = asyncio.Event()
        self.resume_error: ProblemError | None = None

    async def submit(self, document: Any, arguments: Any = None, *, lenient: bool = False) -> str:
        if self.refuse:
            raise self.refuse
        self.asked.append(("submit", dict(arguments), lenient))
        return "r"

    async def submit_cron(self, document: Any, *, lenient: bool = False) -> str:
        if self.refuse:
            raise self.refuse
        self.asked.append(("submit_cron",))
        return "c"

    async def put_template(self, document: Any, *, lenient: bool = False) -> str:
        self.asked.append(("put_template", document.data))
        return "t@1"

    async def get(self, run_id: str) -> Execution:
        return self.views.pop(0) if len(self.views) > 1 else self.views[0]

    async def wait(self, run_id: str, timeout: float | None = None) -> Execution:
        self.on_wait.set()
        await asyncio.sleep(0)
        if self.views[0].status.is_terminal:
            return self.views[0]
        raise WaitTimeout(Problem("wait-timeout", "not over yet"))

    async def cancel(self, run_id: str) -> None:
        self.asked.append(("cancel", run_id))
        if self.after_cancel is not None:
            self.views = [self.after_cancel]

    async def resume(self, run_id: str, task_run_id: str, payload: Any) -> None:
        self.asked.append(("resume", task_run_id, payload))
        if self.resume_error:
            raise self.resume_error

    async def trigger_cron(self, cron_id: str) -> object:
        self.asked.append(("trigger", cron_id))
        return None

    async def get_cron(self, cron_id: str) -> CronExecution:
        return self.crons.pop(0) if len(self.crons) > 1 else self.crons[0]

    async def history(self, run_id: str, after_seq: int = 0) -> list[LogEntry]:
        return [entry for entry in self.entries if entry.seq > after_seq][:2]


def cron(*runs: Execution) -> CronExecution:
    return CronExecution(cron_id="c", name="nightly", schedule="* * * * *", runs=runs)
