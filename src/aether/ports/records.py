"""Records: the store as tools and hand-written adapters see it, one record a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from msgspec import UNSET, UnsetType

from ..record import (
    CronRow,
    Instant,
    RunPatch,
    RunRow,
    SchemaRow,
    TaskPatch,
    TaskRow,
    TemplateRow,
    Token,
    hook_run_id,
    task_run_id,
)


class RunRecord(RunRow, kw_only=True, tag="run-record", omit_defaults=True):
    """A run with its document. `redo` belongs to whoever writes several records as one decision."""

    text: bytes  # the document itself; `document` is its digest
    redo: bytes | None = None


class RunRecordPatch(RunPatch, kw_only=True, tag="run-record~", omit_defaults=True):
    redo: bytes | None | UnsetType = UNSET


class TaskRecord(TaskRow, kw_only=True, tag="task-record", omit_defaults=True):
    """A task run with its run and a token of its own."""

    run_id: str
    token: Token = 0

    @property
    def task_run_id(self) -> str:
        if self.ordinal < 0:
            return hook_run_id(self.run_id, -1 - self.ordinal)
        return task_run_id(self.run_id, self.ordinal)

    @property
    def key(self) -> tuple[str, int | None, str, str]:
        """What makes a task run the same one: run, parent, scope, task name."""
        return self.run_id, self.parent, self.scope, self.task_name


class CronPatch(msgspec.Struct, kw_only=True, omit_defaults=True):
    name: str | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    document: bytes | UnsetType = UNSET
    last_schedule_at: Instant | None | UnsetType = UNSET
    last_fire_at: Instant | None | UnsetType = UNSET
    last_run_id: str | UnsetType = UNSET
    next_fire_at: Instant | None | UnsetType = UNSET
    suspended: bool | UnsetType = UNSET
    updated_at: Instant | None | UnsetType = UNSET
    pending: tuple[tuple[str, Instant, Instant | None], ...] | UnsetType = UNSET


class Records(Protocol):
    """Keeps records, each under its own token. Everything handed in or out is a copy.

    Each call is carried out whole or not at all; no call spans two records, except a delete. When a
    call raises StoreUnavailable nothing was written; CommitUnknown leaves that open. `open` comes
    before every other call, `close` after; both may be called again.

    Create and update return the record as it now stands, with a token that it never had. The token of a
    record handed in means nothing. An update writes only the members that its patch sets. If its
    `token` is not the record's it raises TokenMismatch and writes nothing. A record's token changes
    with each update of that record, and with nothing else.

    Record calls that stand on a Store (`RecordsOver`) differ in three points: a run and its task runs
    share one token, `redo` is refused with `redo-not-kept`, negative ordinals with `hook-not-kept`.

    What a get, an update or a delete names and does not exist raises NotFound `run-not-found`,
    `task-run-not-found`, `cron-not-found` or `template-not-found`; so does creating a task run in a
    run that does not exist. Lists of what does not exist are empty. Creating a run, cron or template
    that exists raises TokenMismatch.

    Runs. `list_runs` and `list_runs_by_cron` go by (`created_at`, run id), oldest first.
    `list_active_runs` lists, in the same order, the runs that are not terminal and those whose `redo`
    is not None. `delete_run` removes its task runs too.

    Task runs. `create_task_run` is idempotent by the key (run, parent, scope, task name): when a task
    run of that key exists it is returned as it stands, and nothing is written. Another task run under
    an ordinal that is taken raises Refused `task-run-exists`. Lists of task runs ascend by ordinal.
    `list_children` takes the parent's ordinal, None for the entry. `list_active_task_runs` lists those
    that are not terminal, of all runs, by run id, then ordinal. In `update_task_run` the id counts;
    what `patch.ordinal` says does not matter. Ordinals may be negative: `store_from` keeps a run's hooks
    as task runs of kind `hook`, counted down from -1, which are task runs like any other here.

    Schemas, crons, templates. `upsert_schema` replaces the one of that worker and type.
    `delete_schemas` removes those that match all given filters, and answers how many; an empty filter
    matches any. Schemas are listed by worker, then type, crons by id, templates by name, then
    `created_at`, among equals in the order in which they were put.
    """

    async def open(self) -> None: ...

    async def create_run(self, new: RunRecord) -> RunRecord: ...

    async def get_run(self, run_id: str) -> RunRecord: ...

    async def update_run(
        self, run_id: str, patch: RunRecordPatch | RunPatch, token: Token
    ) -> RunRecord: ...

    async def list_runs(self) -> Sequence[RunRecord]: ...

    async def list_active_runs(self) -> Sequence[RunRecord]: ...

    async def list_runs_by_cron(self, cron_id: str) -> Sequence[RunRecord]: ...

    async def delete_run(self, run_id: str) -> None: ...

    async def create_task_run(self, new: TaskRecord) -> TaskRecord: ...

    async def get_task_run(self, task_run_id: str) -> TaskRecord: ...

    async def update_task_run(
        self, task_run_id: str, patch: TaskPatch, token: Token
    ) -> TaskRecord: ...

    async def list_task_runs(self, run_id: str) -> Sequence[TaskRecord]: ...

    async def list_children(self, run_id: str, parent: int | None) -> Sequence[TaskRecord]: ...

    async def list_active_task_runs(self) -> Sequence[TaskRecord]: ...

    async def upsert_schema(self, row: SchemaRow) -> None: ...

    async def list_schemas(self) -> Sequence[SchemaRow]: ...

    async def delete_schemas(self, executor_type: str = "", worker_id: str = "") -> int: ...

    async def create_cron(self, new: CronRow) -> CronRow: ...

    async def get_cron(self, cron_id: str) -> CronRow: ...

    async def update_cron(self, cron_id: str, patch: CronPatch, token: Token) -> CronRow: ...

    async def list_crons(self) -> Sequence[CronRow]: ...

    async def delete_cron(self, cron_id: str) -> None: ...

    async def create_template(self, new: TemplateRow) -> None: ...

    async def list_templates(self, name: str = "") -> Sequence[TemplateRow]: ...

    async def delete_template(self, name: str, version: str) -> None: ...

    async def close(self) -> None: ...
