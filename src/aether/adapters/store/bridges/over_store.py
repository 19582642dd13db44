"""RecordsOver: record calls on any store.

In: record calls. Out: commits of one record each, and records. Never: several records in one call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from copy import copy

import msgspec

from ....errors import NotFound, Problem, Refused, StoreError, TokenMismatch
from ....ports import (
    Commit,
    CommitOutcome,
    Conflict,
    CronPatch,
    Refusal,
    RunQuery,
    RunRecord,
    RunRecordPatch,
    Store,
    TaskRecord,
)
from ....record import (
    CronRow,
    RunPatch,
    RunRow,
    RunRows,
    SchemaRow,
    TaskPatch,
    TaskRow,
    TemplateRow,
    Token,
)
from ...store_rules import place
from .shapes import patched_cron, place_of, run_record, run_row, task_record, task_row

_PAGE = 256
_RUN_PATCH_FIELDS = RunPatch.__struct_fields__


class RecordsOver:
    """A Records for tools and users beside an engine that uses the same store.

    All records of a run share the run's token here: whoever changes a task run changes what an engine
    holds in memory, which must find that out at its next commit. `redo` stays None and setting it is
    refused: the store beneath commits several rows at once.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    async def open(self) -> None:
        await self.store.open()

    async def close(self) -> None:
        await self.store.close()

    async def create_run(self, new: RunRecord) -> RunRecord:
        _refuse_redo(new.redo)
        commit = Commit(
            run_id=new.run_id,
            expected=None,
            run=run_row(new),
            document=(new.document, new.text),
        )
        if isinstance(await self._commit(commit), Conflict):
            raise TokenMismatch(f"run '{new.run_id}' exists already")
        return await self.get_run(new.run_id)

    async def _commit(self, commit: Commit) -> CommitOutcome:
        [outcome] = await self.store.commit([commit])
        if isinstance(outcome, Refusal):
            raise StoreError(f"the store refuses this record: {outcome.reason}")
        return outcome

    async def get_run(self, run_id: str) -> RunRecord:
        row = await self.store.run(run_id)
        if row is None:
            raise _not_found("run", run_id)
        [record] = await self._with_documents([row])
        return record

    async def _with_documents(self, rows: Sequence[RunRow]) -> list[RunRecord]:
        texts: dict[bytes, bytes] = {}
        for row in rows:
            if row.document not in texts:
                # A run that is deleted meanwhile may take its document along.
                texts[row.document] = await self.store.document(row.document) or b""
        return [run_record(row, texts[row.document]) for row in rows]

    async def update_run(
        self, run_id: str, patch: RunRecordPatch | RunPatch, token: Token
    ) -> RunRecord:
        if isinstance(patch, RunRecordPatch):
            _refuse_redo(patch.redo)
        plain = RunPatch(**{name: getattr(patch, name) for name in _RUN_PATCH_FIELDS})
        outcome = await self._commit(Commit(run_id=run_id, expected=token, run=plain))
        record = await self.get_run(run_id)
        if isinstance(outcome, Conflict):
            raise TokenMismatch(f"run '{run_id}' has changed since {token} was its token")
        return record

    async def list_runs(self) -> Sequence[RunRecord]:
        return await self._list(RunQuery(newest_first=False, limit=_PAGE))

    async def list_runs_by_cron(self, cron_id: str) -> Sequence[RunRecord]:
        if not cron_id:
            return []
        return await self._list(RunQuery(cron_id=cron_id, newest_first=False, limit=_PAGE))

    async def _list(self, query: RunQuery) -> list[RunRecord]:
        page = await self.store.runs(query)
        rows = page.runs
        while page.cursor:
            page = await self.store.runs(msgspec.structs.replace(query, after=page.cursor))
            rows += page.runs
        return await self._with_documents(rows)

    async def list_active_runs(self) -> Sequence[RunRecord]:
        rows = [await self.store.run(run_id) async for run_id in self._unfinished()]
        active = [row for row in rows if row is not None and not row.phase.is_terminal]
        return await self._with_documents(sorted(active, key=place))

    async def _unfinished(self) -> AsyncIterator[str]:
        after = ""
        while due := await self.store.unfinished(after, _PAGE):
            for run in due:
                yield run.run_id
            after = due[-1].run_id

    async def delete_run(self, run_id: str) -> None:
        if not await self.store.delete(run_id):
            raise _not_found("run", run_id)

    async def create_task_run(self, new: TaskRecord) -> TaskRecord:
        if new.ordinal < 0:
            raise Refused(
                Problem(
                    "hook-not-kept",
                    "these record calls stand on a store, which keeps hooks as rows of their own",
                    fix="give the task run an ordinal that is not negative",
                )
            )
        while True:
            rows = await self._rows(new.run_id)
            for row in rows.tasks.values():
                held = task_record(new.run_id, row, rows.run.token)
                if held.key == new.key:
                    return held
            if new.ordinal in rows.tasks:
                raise Refused(
                    Problem(
                        "task-run-exists",
                        f"task run '{new.task_run_id}' is another one",
                        fix="take the next ordinal that is free",
                    )
                )
            if await self._write_task(rows, task_row(new)):
                return await self.get_task_run(new.task_run_id)

    async def _rows(self, run_id: str) -> RunRows:
        [rows] = await self.store.load([run_id])
        if rows is None:
            raise _not_found("run", run_id)
        return rows

    async def _write_task(self, rows: RunRows, change: TaskRow | TaskPatch) -> bool:
        """False if the run has changed since `rows` were read."""
        outcome = await self._commit(
            Commit(run_id=rows.run.run_id, expected=rows.run.token, run=RunPatch(), tasks=[change])
        )
        return not isinstance(outcome, Conflict)

    async def get_task_run(self, task_run_id: str) -> TaskRecord:
        rows, ordinal = await self._find(task_run_id)
        return task_record(rows.run.run_id, rows.tasks[ordinal], rows.run.token)

    async def _find(self, task_run_id: str) -> tuple[RunRows, int]:
        if (place := place_of(task_run_id)) is not None:
            [rows] = await self.store.load([place[0]])
            if rows is not None and place[1] in rows.tasks:
                return rows, place[1]
        raise _not_found("task-run", task_run_id)

    async def update_task_run(self, task_run_id: str, patch: TaskPatch, token: Token) -> TaskRecord:
        rows, ordinal = await self._find(task_run_id)
        change = copy(patch)
        change.ordinal = ordinal
        if rows.run.token != token or not await self._write_task(rows, change):
            raise TokenMismatch(
                f"task run '{task_run_id}' or its run has changed since {token} was its token"
            )
        return await self.get_task_run(task_run_id)

    async def list_task_runs(self, run_id: str) -> Sequence[TaskRecord]:
        [rows] = await self.store.load([run_id])
        if rows is None:
            return []
        return [task_record(run_id, row, rows.run.token) for row in rows.tasks.values()]

    async def list_children(self, run_id: str, parent: int | None) -> Sequence[TaskRecord]:
        return [task for task in await self.list_task_runs(run_id) if task.parent == parent]

    async def list_active_task_runs(self) -> Sequence[TaskRecord]:
        return [
            task
            async for run_id in self._unfinished()
            for task in await self.list_task_runs(run_id)
            if not task.phase.is_terminal
        ]

    async def upsert_schema(self, row: SchemaRow) -> None:
        await self.store.put_schema(row)

    async def list_schemas(self) -> Sequence[SchemaRow]:
        return await self.store.schemas()

    async def delete_schemas(self, executor_type: str = "", worker_id: str = "") -> int:
        return await self.store.delete_schemas(executor_type, worker_id)

    async def create_cron(self, new: CronRow) -> CronRow:
        await self.store.put_cron(new, None)
        return await self.get_cron(new.cron_id)

    async def get_cron(self, cron_id: str) -> CronRow:
        row = await self.store.cron(cron_id)
        if row is None:
            raise _not_found("cron", cron_id)
        return row

    async def update_cron(self, cron_id: str, patch: CronPatch, token: Token) -> CronRow:
        await self.store.put_cron(patched_cron(await self.get_cron(cron_id), patch), token)
        return await self.get_cron(cron_id)

    async def list_crons(self) -> Sequence[CronRow]:
        return await self.store.crons()

    async def delete_cron(self, cron_id: str) -> None:
        if not await self.store.delete_cron(cron_id):
            raise _not_found("cron", cron_id)

    async def create_template(self, new: TemplateRow) -> None:
        await self.store.put_template(new)

    async def list_templates(self, name: str = "") -> Sequence[TemplateRow]:
        return await self.store.templates(name)

    async def delete_template(self, name: str, version: str) -> None:
        if not await self.store.delete_template(name, version):
            raise _not_found("template", f"{name}@{version}")


def _not_found(kind: str, record_id: str) -> NotFound:
    return NotFound(
        Problem(f"{kind}-not-found", f"there is no {kind.replace('-', ' ')} '{record_id}'")
    )


def _refuse_redo(redo: object) -> None:
    if redo is not None and redo is not msgspec.UNSET:
        raise Refused(
            Problem(
                "redo-not-kept",
                "these record calls stand on a store, which keeps no `redo`",
                fix="use the store itself: its `commit` writes several rows at once",
            )
        )
