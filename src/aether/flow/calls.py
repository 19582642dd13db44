"""Durable calls in flight: what the function asked for, and what the record says about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import Context as Variables
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from ..ports import Handle
from ..record import (
    ActivityScheduled,
    ChildStarted,
    Fact,
    Path,
    Phase,
    StepDone,
    TaskRow,
    TimerStarted,
    WaitOpened,
)
from . import codec
from .errors import StepFailed, rebuild
from .loop import Detached as Detached
from .options import Retry

if TYPE_CHECKING:
    from .loop import Timer
    from .run import FlowRun

Key = tuple[str, str]
"""(scope, name) of a row: its path as the rows have it."""


class ContinueAsNew(BaseException):
    """Carries the inputs of the run that takes over out of the function."""

    def __init__(self, inputs: bytes | None) -> None:
        self.inputs = inputs


class SignalTimeout(TimeoutError):
    """The signal did not come before the deadline of `ctx.wait_for`."""


class Call:
    """One durable call. `future` is what the function awaits; `row` what the record held of it."""

    __slots__ = ("dropped", "fact", "future", "inputs", "name", "path", "row", "where")
    kind = ""

    def __init__(self, name: str, where: str, inputs: bytes | None = None) -> None:
        self.name = name
        self.where = where
        self.inputs = inputs
        self.path: Path
        self.future: asyncio.Future[Any] | None = None
        self.row: TaskRow | None = None
        self.fact: Fact | None = None
        self.dropped = False

    def begin(self, run: FlowRun) -> Fact:
        """The fact that opens it. Called once, when the call is new to the record."""
        raise NotImplementedError

    def answered(self, row: TaskRow) -> None:
        """Hands out what `row`, which is terminal, says."""
        future = self.future
        if future is None or future.done():
            return
        if row.phase is Phase.SUCCEEDED:
            try:
                future.set_result(self.value_of(row))
            except Exception as error:  # noqa: BLE001 - a value whose class is gone
                future.set_exception(error)
        else:
            future.set_exception(self.error_of(row))

    def value_of(self, row: TaskRow) -> Any:
        return codec.decode(row.outputs)

    def error_of(self, row: TaskRow) -> Exception:
        if row.outputs is None:
            kind = {Phase.CANCELLED: "cancelled", Phase.TIMEOUT: "timeout"}
            return StepFailed(
                row.message or f"{self.kind} '{self.name}' ended {row.phase}",
                kind.get(row.phase, ""),
            )
        return rebuild(row.outputs, row.message)

    def due_at(self) -> int | None:
        """When it is known to end, if it is."""
        return None


class StepCall(Call):
    """A function that runs here. `fact` is what came of it."""

    __slots__ = (
        "alarm",
        "args",
        "attempt",
        "error",
        "function",
        "kwargs",
        "pause",
        "retry",
        "run",
        "started_at",
        "task",
        "timed_out",
        "timeout",
        "value",
        "variables",
    )
    kind = "step"

    def __init__(
        self,
        name: str,
        where: str,
        inputs: bytes | None,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        retry: Retry | None,
        timeout: int,
    ) -> None:
        self.name = name
        self.where = where
        self.inputs = inputs
        self.future = None
        self.row = None
        self.fact = None
        self.dropped = False
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.retry = retry
        self.timeout = timeout
        self.attempt = 1
        self.timed_out = False
        self.alarm: Handle | None = None  # of its timeout
        self.pause: TimerCall | None = None  # before its next attempt, where it is long
        self.task: asyncio.Task[Any] | None = None
        self.error: Exception | None = None
        self.value: Any = None
        self.started_at = 0
        self.run: FlowRun
        self.variables: Variables = copy_context()

    def hand_out(self) -> None:
        """What it came to, live: the same as a replay of its row would hand out."""
        future = self.future
        if future is None or future.done():
            return
        if self.error is None:
            future.set_result(self.value)
        else:
            future.set_exception(self.error)

    def ended(self, task: asyncio.Task[Any]) -> None:
        self.run.step_ended(self, task)

    def retry_path(self, attempt: int) -> Path:
        """The path of the timer that waits before `attempt`, where it waits for long."""
        return Path(self.path.branch, f"{self.name}: attempt {attempt}", self.path.occurrence)


class TimerCall(Call):
    """A durable timer: of `ctx.sleep` (a future), of asyncio (`timer`), or before a retry (`step`)."""

    __slots__ = ("due", "step", "timer")
    kind = "timer"

    def __init__(self, where: str, due: int, name: str = "sleep", timer: Timer | None = None):
        super().__init__(name, where)
        self.due = due
        self.timer = timer
        self.step: StepCall | None = None

    def begin(self, run: FlowRun) -> Fact:
        return TimerStarted(path=self.path, where=self.where, due_at=self.due)

    def answered(self, row: TaskRow) -> None:
        if self.step is not None:
            self.step.run.retry_due(self.step)
        elif self.timer is None:
            super().answered(row)
        elif not self.timer.cancelled():
            self.timer.fire_soon()

    def value_of(self, row: TaskRow) -> None:
        return None

    def due_at(self) -> int | None:
        return self.due


class WaitCall(Call):
    """Waits for a signal. `type` is what its payload is read as."""

    __slots__ = ("deadline", "type")
    kind = "wait"

    def __init__(self, name: str, where: str, type: Any, deadline: int | None) -> None:  # noqa: A002
        super().__init__(name, where)
        self.type = type
        self.deadline = deadline

    def begin(self, run: FlowRun) -> Fact:
        return WaitOpened(path=self.path, where=self.where, deadline_at=self.deadline)

    def value_of(self, row: TaskRow) -> Any:
        return codec.decode(row.outputs, self.type)

    def error_of(self, row: TaskRow) -> Exception:
        if row.phase is Phase.TIMEOUT:
            return SignalTimeout(f"no signal '{self.name}' came in time")
        return super().error_of(row)


class ActivityCall(Call):
    """A task for any worker that serves `executor`."""

    __slots__ = ("executor", "options", "type")
    kind = "activity"

    def __init__(
        self,
        name: str,
        where: str,
        inputs: bytes | None,
        executor: str,
        options: bytes,
        type: Any,  # noqa: A002
    ) -> None:
        super().__init__(name, where, inputs)
        self.executor = executor
        self.options = options
        self.type = type

    def begin(self, run: FlowRun) -> Fact:
        return ActivityScheduled(
            path=self.path,
            where=self.where,
            executor=self.executor,
            inputs=self.inputs,
            options=self.options,
        )

    def value_of(self, row: TaskRow) -> Any:
        return one_value(row.outputs, self.type)


class ChildCall(Call):
    """Another run. `function` or `template` says of what."""

    __slots__ = ("function", "options", "run_id", "template", "type")
    kind = "child"

    def __init__(
        self,
        name: str,
        where: str,
        inputs: bytes | None,
        *,
        run_id: str,
        function: str,
        template: str,
        options: bytes,
        type: Any,  # noqa: A002
    ) -> None:
        super().__init__(name, where, inputs)
        self.run_id = run_id
        self.function = function
        self.template = template
        self.options = options
        self.type = type

    def begin(self, run: FlowRun) -> Fact:
        if not self.run_id:
            self.run_id = run.child_id(self.path)
        return ChildStarted(
            path=self.path,
            where=self.where,
            run_id=self.run_id,
            function=self.function,
            template=self.template,
            inputs=self.inputs,
            options=self.options,
        )

    def value_of(self, row: TaskRow) -> Any:
        return one_value(row.outputs, self.type)


def one_value(outputs: bytes | None, hint: Any) -> Any:
    """What an activity or a child gave: its value named `result`, or all of its values by name."""
    if not outputs:
        return None
    values = codec.decode_inputs(outputs)
    if len(values) == 1 and codec.RESULT in values:
        return codec.decode(outputs, hint)
    return values if hint is None else codec.fit(values, hint)


def key_of_row(row: TaskRow) -> Key:
    return row.scope, row.task_name


def key_of(path: Path) -> Key:
    return path.scope, path.name


def step_fact(call: StepCall, finished_at: int) -> StepDone:
    return StepDone(
        path=call.path,
        where=call.where,
        inputs=call.inputs,
        attempt=call.attempt,
        started_at=call.started_at,
        finished_at=finished_at,
    )
