"""Records in plain dicts: the smallest honest store, to read and to copy from.

In: records and patches. Out: copies of records. Never: two records written as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from ..errors import NotFound, Problem, Refused, TokenMismatch
from ..ports import CronPatch, RunRecord, RunRecordPatch, TaskRecord
from ..record import CronRow, RunPatch, SchemaRow, TaskPatch, TemplateRow, Token

R = TypeVar("R", RunRecord, TaskRecord, CronRow)
K = TypeVar("K")
V = TypeVar("V")


class DictRecords:
    """A Records that lasts as long as the object. `store_from(DictRecords())` is a whole store."""

    def __init__(self) -> None:
        self._last_token = 0
        self._runs: dict[str, RunRecord] = {}
        self._tasks: dict[str, TaskRecord] = {}
        self._crons: dict[str, CronRow] = {}
        self._schemas: dict[tuple[str, str], SchemaRow] = {}
        self._templates: dict[tuple[str, str], TemplateRow] = {}

    async def open(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """What is kept goes with the object."""

    def _keep(self, records: dict[str, R], record_id: str, record: R) -> R:
        self._last_token += 1
        record.token = self._last_token
        records[record_id] = record
        return deepcopy(record)

    def _create(self, records: dict[str, R], record_id: str, new: R) -> R:
        if record_id in records:
            raise TokenMismatch(f"'{record_id}' exists already")
        return self._keep(records, record_id, deepcopy(new))

    def _update(
        self, records: dict[str, R], record_id: str, patch: msgspec.Struct, token: Token, kind: str
    ) -> R:
        held = _held(records, record_id, kind)
        if held.token != token:
            raise TokenMismatch(f"'{record_id}' has changed since {token} was its token")
        new = deepcopy(held)
        for name in patch.__struct_fields__:
            value = getattr(patch, name)
            if value is not UNSET and name != "ordinal":
                setattr(new, name, deepcopy(value))
        return self._keep(records, record_id, new)

    async def create_run(self, new: RunRecord) -> RunRecord:
        return self._create(self._runs, new.run_id, new)

    async def get_run(self, run_id: str) -> RunRecord:
        return deepcopy(_held(self._runs, run_id, "run"))

    async def update_run(
        self, run_id: str, patch: RunRecordPatch | RunPatch, token: Token
    ) -> RunRecord:
        return self._update(self._runs, run_id, patch, token, "run")

    async def list_runs(self) -> Sequence[RunRecord]:
        return _oldest_first(self._runs.values())

    async def list_active_runs(self) -> Sequence[RunRecord]:
        return _oldest_first(
            run for run in self._runs.values() if not run.phase.is_terminal or run.redo is not None
        )

    async def list_runs_by_cron(self, cron_id: str) -> Sequence[RunRecord]:
        return _oldest_first(run for run in self._runs.values() if run.cron_id == cron_id)

    async def delete_run(self, run_id: str) -> None:
        _held(self._runs, run_id, "run")
        del self._runs[run_id]
        for task_run_id in [key for key, task in self._tasks.items() if task.run_id == run_id]:
            del self._tasks[task_run_id]

    async def create_task_run(self, new: TaskRecord) -> TaskRecord:
        _held(self._runs, new.run_id, "run")
        for task in self._tasks.values():
            if task.key == new.key:
                return deepcopy(task)
        if new.task_run_id in self._tasks:
            raise Refused(
                Problem(
                    "task-run-exists",
                    f"task run '{new.task_run_id}' is another one: {self._tasks[new.task_run_id].key}",
                    fix="take the next ordinal that is free",
                )
            )
        return self._keep(self._tasks, new.task_run_id, deepcopy(new))

    async def get_task_run(self, task_run_id: str) -> TaskRecord:
        return deepcopy(_held(self._tasks, task_run_id, "task-run"))

    async def update_task_run(self, task_run_id: str, patch: TaskPatch, token: Token) -> TaskRecord:
        return self._update(self._tasks, task_run_id, patch, token, "task-run")

    async def list_task_runs(self, run_id: str) -> Sequence[TaskRecord]:
        return _by_ordinal(task for task in self._tasks.values() if task.run_id == run_id)

    async def list_children(self, run_id: str, parent: int | None) -> Sequence[TaskRecord]:
        return [task for task in await self.list_task_runs(run_id) if task.parent == parent]

    async def list_active_task_runs(self) -> Sequence[TaskRecord]:
        return _by_ordinal(task for task in self._tasks.values() if not task.phase.is_terminal)

    async def upsert_schema(self, row: SchemaRow) -> None:
        self._schemas[row.worker_id, row.type] = deepcopy(row)

    async def list_schemas(self) -> Sequence[SchemaRow]:
        return [deepcopy(row) for _, row in sorted(self._schemas.items(), key=_key)]

    async def delete_schemas(self, executor_type: str = "", worker_id: str = "") -> int:
        gone = [
            key
            for key in self._schemas
            if worker_id in ("", key[0]) and executor_type in ("", key[1])
        ]
        for key in gone:
            del self._schemas[key]
        return len(gone)

    async def create_cron(self, new: CronRow) -> CronRow:
        return self._create(self._crons, new.cron_id, new)

    async def get_cron(self, cron_id: str) -> CronRow:
        return deepcopy(_held(self._crons, cron_id, "cron"))

    async def update_cron(self, cron_id: str, patch: CronPatch, token: Token) -> CronRow:
        return self._update(self._crons, cron_id, patch, token, "cron")

    async def list_crons(self) -> Sequence[CronRow]:
        return [deepcopy(row) for _, row in sorted(self._crons.items(), key=_key)]

    async def delete_cron(self, cron_id: str) -> None:
        _held(self._crons, cron_id, "cron")
        del self._crons[cron_id]

    async def create_template(self, new: TemplateRow) -> None:
        if (new.name, new.version) in self._templates:
            raise TokenMismatch(f"template '{new.name}@{new.version}' exists already")
        self._templates[new.name, new.version] = deepcopy(new)

    async def list_templates(self, name: str = "") -> Sequence[TemplateRow]:
        rows = [row for row in self._templates.values() if name in ("", row.name)]
        return deepcopy(sorted(rows, key=lambda row: (row.name, row.created_at)))

    async def delete_template(self, name: str, version: str) -> None:
        _held(self._templates, (name, version), "template")
        del self._templates[name, version]


def _key(item: tuple[Any, object]) -> Any:
    return item[0]


def _held(records: dict[K, V], record_id: K, kind: str) -> V:
    if record_id not in records:
        raise NotFound(
            Problem(f"{kind}-not-found", f"there is no {kind.replace('-', ' ')} '{record_id}'")
        )
    return records[record_id]


def _oldest_first(runs: Iterable[RunRecord]) -> list[RunRecord]:
    return deepcopy(sorted(runs, key=lambda run: (run.created_at, run.run_id)))


def _by_ordinal(tasks: Iterable[TaskRecord]) -> list[TaskRecord]:
    return deepcopy(sorted(tasks, key=lambda task: (task.run_id, task.ordinal)))
