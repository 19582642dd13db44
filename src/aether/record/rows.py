"""Rows, and patches of rows: what every store moves. A decision's changes are made of nothing else.

Instants are whole microseconds since 1970 in UTC; `ports.api` shows them as aware datetimes. In a
patch, UNSET means "leave as it is". No row can be part of a cycle, and a process may hold millions:
`gc=False` spares the collector the walk.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from .limits import Slots
from .phase import Phase
from .tiers import ACTION_LOG

Instant = int
Token = int


class Origin(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Where a fork comes from: another run, as it stood after its decision `seq`."""

    run_id: str
    seq: int
    root: str  # the run with which this line of forks began
    kind: str = "fork"  # or "retry"
    task: str = ""  # the task run that it begins from, as people read it
    # What makes that task run the same one in the fork (parent, scope, task name), where it is given inputs.
    place: tuple[int | None, str, str] | None = None


class RunRow(msgspec.Struct, kw_only=True, tag="run+", omit_defaults=True, gc=False):
    """One workflow run. What stands above `phase` never changes after creation."""

    run_id: str
    name: str
    namespace: str = "default"
    document: bytes  # digest of the resolved document, which the store keeps once
    arguments: bytes | None = None  # the values submitted, as encoded NamedValues
    variables: bytes | None = None  # what the variable sources said at submit: a JSON object
    labels: dict[str, str] | None = None
    cron_id: str = ""
    fire_at: Instant | None = None  # the instant a cron meant, which is not when it got round to it
    parent: str = ""  # the task run of another run that waits for this one
    created_at: Instant
    tier: str = ACTION_LOG  # how much of the run outlives its process: one of TIERS
    origin: Origin | None = None  # of a fork
    given: bytes | None = None  # inputs for the task run at `origin.place`, as encoded NamedValues
    phase: Phase = Phase.CREATED
    message: str = ""
    outputs: bytes | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    deadline_at: Instant | None = None
    due_at: Instant | None = None  # the earliest instant at which somebody must look at this run
    paused_at: Instant | None = None
    paused_by: str = ""
    total: int = 0  # task runs that exist, containers included; also the next ordinal
    done: int = 0  # of these, the terminal ones
    warnings: tuple[str, ...] = ()
    status: bytes | None = None  # what a function says of itself: a JSON object
    attributes: dict[str, str] | None = None  # found like labels, and may change
    slots: Slots | None = (
        None  # of limits on the whole run: nothing of it is begun before it has them
    )
    epoch: int = 1
    owner: int = 0  # the session that decides for it, as of its last decision; 0 is none
    seq: int = 0  # decisions committed so far
    decided_at: Instant = 0  # when the last of them was made: time in a run never goes back
    head: bytes = b""  # hash of the last log entry, where a log is kept
    signature: bytes = b""  # of run id, seq and head, where the engine has a key
    claimed: int = 0  # the session that has claimed it since, until it decides
    token: Token = 0  # the store's; nobody else reads meaning into it

    @property
    def held_by(self) -> int:
        """The session whose engine may decide for this run, if that session stands."""
        return self.claimed or self.owner


class RunPatch(msgspec.Struct, kw_only=True, tag="run~", omit_defaults=True, gc=False):
    phase: Phase | UnsetType = UNSET
    message: str | UnsetType = UNSET
    outputs: bytes | None | UnsetType = UNSET
    started_at: Instant | None | UnsetType = UNSET
    finished_at: Instant | None | UnsetType = UNSET
    deadline_at: Instant | None | UnsetType = UNSET
    due_at: Instant | None | UnsetType = UNSET
    paused_at: Instant | None | UnsetType = UNSET
    paused_by: str | UnsetType = UNSET
    total: int | UnsetType = UNSET
    done: int | UnsetType = UNSET
    warnings: tuple[str, ...] | UnsetType = UNSET
    status: bytes | None | UnsetType = UNSET
    attributes: dict[str, str] | None | UnsetType = UNSET
    slots: Slots | None | UnsetType = UNSET
    epoch: int | UnsetType = UNSET
    owner: int | UnsetType = UNSET
    seq: int | UnsetType = UNSET
    decided_at: Instant | UnsetType = UNSET
    head: bytes | UnsetType = UNSET
    signature: bytes | UnsetType = UNSET


class TaskRow(msgspec.Struct, kw_only=True, tag="task+", omit_defaults=True, gc=False):
    """One task run, containers included. Unique in its run by (parent, scope, task name)."""

    ordinal: int
    parent: int | None = None
    depth: int = 0
    scope: str = ""
    task_name: str
    template_name: str = ""
    kind: str = "task"
    executor: str = ""
    index: int = 0  # the node's place in its DAG, or the iteration
    options: bytes | None = None  # an encoded ActivityOptions or ChildOptions
    created_at: Instant
    phase: Phase = Phase.CREATED
    message: str = ""
    code: int | None = None
    inputs: bytes | None = None
    outputs: bytes | None = None
    attempt: int = 1  # grows by policy
    begun: int = 0  # the last attempt that a worker is known to have started
    delivery: int = 0  # grows with every dispatch
    retry_count: int = 0  # retries granted
    losses: int = 0  # workers lost while they held it
    ready_at: Instant | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    deadline_at: Instant | None = None
    retry_at: Instant | None = None  # not dispatched before
    worker: str = ""
    omitted: tuple[tuple[str, str], ...] = ()  # nodes never reached: (name, reason)
    items: bytes | None = None  # what `itemsFrom` gave: a JSON array, kept so that it never changes
    artifacts_in: bytes | None = None  # JSON: name to {type, config, archive}
    artifacts_out: bytes | None = None
    order: int = 0  # of an answer, or of a step among the answers: see ports.Journal
    beat_by: Instant | None = None  # when its worker's next heartbeat is overdue
    details: bytes | None = None  # what the last heartbeat told: encoded NamedValues
    slots: Slots | None = None  # of limits on this task run


class TaskPatch(msgspec.Struct, tag="task~", omit_defaults=True, gc=False):
    ordinal: int
    phase: Phase | UnsetType = UNSET
    message: str | UnsetType = UNSET
    code: int | None | UnsetType = UNSET
    inputs: bytes | None | UnsetType = UNSET
    outputs: bytes | None | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    begun: int | UnsetType = UNSET
    delivery: int | UnsetType = UNSET
    retry_count: int | UnsetType = UNSET
    losses: int | UnsetType = UNSET
    ready_at: Instant | None | UnsetType = UNSET
    started_at: Instant | None | UnsetType = UNSET
    finished_at: Instant | None | UnsetType = UNSET
    deadline_at: Instant | None | UnsetType = UNSET
    retry_at: Instant | None | UnsetType = UNSET
    worker: str | UnsetType = UNSET
    omitted: tuple[tuple[str, str], ...] | UnsetType = UNSET
    items: bytes | None | UnsetType = UNSET
    artifacts_in: bytes | None | UnsetType = UNSET
    artifacts_out: bytes | None | UnsetType = UNSET
    order: int | UnsetType = UNSET
    beat_by: Instant | None | UnsetType = UNSET
    details: bytes | None | UnsetType = UNSET
    slots: Slots | None | UnsetType = UNSET


class HookRow(msgspec.Struct, kw_only=True, tag="hook+", omit_defaults=True, gc=False):
    """One hook that fired: an event for the notifier and a task of its own, outside all counts."""

    number: int
    hook: str  # onStart, onSuccess, …
    template: str
    scope: str  # "workflow" or "task"
    task: int | None = None  # ordinal of the task run it belongs to
    task_name: str = ""
    subject_phase: str = ""  # the phase of the run or task run when the hook fired
    created_at: Instant
    executor: str = ""
    notified: bool = False  # the event was delivered, or there was none to deliver
    phase: Phase = Phase.READY
    message: str = ""
    code: int | None = None
    inputs: bytes | None = None
    outputs: bytes | None = None
    delivery: int = 1
    started_at: Instant | None = None
    finished_at: Instant | None = None
    deadline_at: Instant | None = None


class HookPatch(msgspec.Struct, kw_only=True, tag="hook~", omit_defaults=True, gc=False):
    number: int
    notified: bool | UnsetType = UNSET
    phase: Phase | UnsetType = UNSET
    message: str | UnsetType = UNSET
    code: int | None | UnsetType = UNSET
    outputs: bytes | None | UnsetType = UNSET
    delivery: int | UnsetType = UNSET
    started_at: Instant | None | UnsetType = UNSET
    finished_at: Instant | None | UnsetType = UNSET


class Cut(msgspec.Struct, tag="cut", gc=False):
    """What a fork keeps of its origin: task runs from a first to a last ordinal, counted anew in their
    order, and no hooks. The fork's own RunRow follows."""

    tasks: tuple[tuple[int, int], ...]


Change = RunRow | RunPatch | TaskRow | TaskPatch | HookRow | HookPatch | Cut


class RunRows(msgspec.Struct):
    """All rows of one run, tasks by ordinal (which is creation order), hooks by number."""

    run: RunRow
    tasks: dict[int, TaskRow] = {}
    hooks: dict[int, HookRow] = {}


class CronRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    cron_id: str
    name: str
    namespace: str = "default"
    document: bytes  # the resolved document as JSON, exactly as submitted
    created_at: Instant
    last_schedule_at: Instant | None = None
    last_fire_at: Instant | None = None
    last_run_id: str = ""
    next_fire_at: Instant | None = None
    suspended: bool = False
    updated_at: Instant | None = None
    # Fires claimed and not yet dealt with: run id, instant meant, and when it was due if the clock asked.
    pending: tuple[tuple[str, Instant, Instant | None], ...] = ()
    token: Token = 0


class TemplateRow(msgspec.Struct, kw_only=True):
    """One version of a stored WorkflowTemplate. Versions of a name are ordered by creation."""

    name: str
    version: str
    document: bytes
    created_at: Instant


class SchemaRow(msgspec.Struct, kw_only=True):
    """An executor schema announced by a worker; `worker_id` is "" for the engine's own."""

    worker_id: str
    type: str
    schema: bytes  # JSON of ports.executor.Schema


def task_run_id(run_id: str, ordinal: int) -> str:
    return f"{run_id}.{ordinal}"


def hook_run_id(run_id: str, number: int) -> str:
    return f"{run_id}.h{number}"


def parse_task_run_id(text: str) -> tuple[str, int, bool] | None:
    """(run id, number, is it a hook), or None if `text` is no task run id."""
    run_id, dot, tail = text.rpartition(".")
    if run_id and tail.isdecimal() and tail.isascii() and len(tail) <= 18:
        return run_id, int(tail), False  # nearly all are: each task run comes here twice
    is_hook = tail.startswith("h")
    digits = tail[1:] if is_hook else tail
    if not dot or not run_id or not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        return None
    return run_id, int(digits), is_hook


def patch_fields(patch: RunPatch | TaskPatch | HookPatch) -> dict[str, Any]:
    """The members that `patch` sets."""
    return {
        name: value
        for name in patch.__struct_fields__
        if name not in ("ordinal", "number") and (value := getattr(patch, name)) is not UNSET
    }
