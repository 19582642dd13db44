"""What the engine offers: the calls, and the views they answer with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ..errors import Problem
from ..record import CALL_KINDS, Phase, call_name


class Metrics(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """`started_at` is the first start; a retry does not move it."""

    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration: timedelta | None = None
    retries: int = 0


class Value(msgspec.Struct, frozen=True):
    """One input or output. A secret's value reads `***`."""

    name: str
    type: str = ""
    value: Any = None


class Omitted(msgspec.Struct, frozen=True):
    """A node that was never reached, and why."""

    name: str
    scope: str
    reason: str


class TaskExecution(msgspec.Struct, kw_only=True, rename="camel"):
    task_run_id: str
    run_id: str
    parent_run_id: str = ""
    depth: int = 0
    scope: str = ""
    task_name: str
    template_name: str = ""
    template_type: str = "task"
    executor_type: str = ""
    created_at: datetime
    status: Phase
    message: str = ""
    code: int | None = None
    inputs: list[Value] = []
    outputs: list[Value] = []
    metrics: Metrics = Metrics()
    attempt: int = 1
    retry_count: int = 0
    deadline_at: datetime | None = None
    told: list[Value] = []  # what its last heartbeat told; empty once it has succeeded
    waiting_for: str = ""  # why it is not terminal; "" when it is

    @property
    def path(self) -> str:
        if self.template_type in CALL_KINDS:
            return call_name(self.scope, self.task_name)
        return self.scope + self.task_name

    @property
    def output_values(self) -> dict[str, Any]:
        return {value.name: value.value for value in self.outputs}

    @property
    def input_values(self) -> dict[str, Any]:
        return {value.name: value.value for value in self.inputs}


class HookExecution(msgspec.Struct, kw_only=True, rename="camel"):
    hook_run_id: str
    hook: str
    scope: str
    task_run_id: str = ""
    template_name: str = ""
    executor_type: str = ""
    status: Phase
    message: str = ""
    inputs: list[Value] = []
    outputs: list[Value] = []
    metrics: Metrics = Metrics()


class Fork(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """The other end of a link between a run and one that goes on from it: `kind` is `fork` or `retry`,
    `seq` the step of the older one, `task` where the younger one begins again, if that is a task."""

    run_id: str
    kind: str = "fork"
    seq: int = 0
    task: str = ""


class Forked(msgspec.Struct, frozen=True, rename="camel"):
    """What became of one run of many that were to be forked: its fork, or why there is none."""

    origin: str
    run_id: str = ""
    problem: Problem | None = None


class Execution(msgspec.Struct, kw_only=True, rename="camel"):
    """One run as it stands: a copy, taken at one version. `tasks` are in creation order."""

    run_id: str
    name: str
    namespace: str = "default"
    cron_id: str = ""
    origin: Fork | None = None  # the run that this one goes on from
    forks: list[Fork] = []  # those that go on from this one, as far as they were asked for
    kind: str = "document"  # or "function"
    parent_task_run_id: str = ""  # the child, in another run, that waits for this run
    status: Phase
    reported: dict[str, Any] = {}  # what a function says of itself
    attributes: dict[str, str] = {}
    message: str = ""
    outputs: list[Value] = []
    metrics: Metrics = Metrics()
    created_at: datetime
    deadline_at: datetime | None = None
    paused_at: datetime | None = None
    progress: str = ""
    seq: int = 0
    tasks: list[TaskExecution] = []
    hooks: list[HookExecution] = []
    omitted: list[Omitted] = []
    warnings: list[str] = []
    waiting_for: list[str] = []  # why the run is not over, one line each; empty when it is

    @property
    def output_values(self) -> dict[str, Any]:
        return {value.name: value.value for value in self.outputs}

    def task(self, name: str) -> TaskExecution:
        """The last created task run named `name`. Raises KeyError."""
        for task in reversed(self.tasks):
            if task.task_name == name:
                return task
        raise KeyError(name)


class CronExecution(msgspec.Struct, kw_only=True, rename="camel"):
    cron_id: str
    name: str
    schedule: str
    timezone: str = "UTC"
    suspended: bool = False
    last_schedule_at: datetime | None = None
    last_run_id: str = ""
    next_fire_at: datetime | None = None
    runs: Sequence[Execution] = ()  # oldest first


class Step(msgspec.Struct, kw_only=True, rename="camel"):
    """One decision of a run, as its log tells it: a sentence for each thing that changed."""

    seq: int
    at: datetime
    changes: list[str]


class Point(msgspec.Struct, frozen=True, rename="camel"):
    """A run as it stood after its decision `seq`."""

    run_id: str
    seq: int


class Changed(msgspec.Struct, frozen=True):
    """One member that differs: `what` is such as `status` or `outputs.total`; None is "not there"."""

    what: str
    a: Any = None
    b: Any = None


class TaskDifference(msgspec.Struct, kw_only=True, rename="camel"):
    """`path` leads from the entrypoint. `only_in` is "a" or "b" when the other has no such task run."""

    path: str
    only_in: str = ""
    changes: list[Changed] = []


class Difference(msgspec.Struct, kw_only=True, rename="camel"):
    """What two points differ in: the run itself, then its task runs. Instants are not compared."""

    a: Point
    b: Point
    run: list[Changed] = []
    tasks: list[TaskDifference] = []

    @property
    def is_empty(self) -> bool:
        return not self.run and not self.tasks


Arguments = Mapping[str, Any]
