"""The store suites find stores and records that are broken on purpose, each by the planned test."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import pytest
from msgspec.structs import replace

from aether.adapters.store import MemoryStore
from aether.errors import NotFound, Refused, TokenMismatch
from aether.ports import (
    Commit,
    CommitOutcome,
    Committed,
    DueRun,
    LogEntry,
    Page,
    Refusal,
    RunQuery,
    RunRecord,
    TaskRecord,
)
from aether.record import (
    CronRow,
    Phase,
    RunPatch,
    RunRow,
    RunRows,
    SchemaRow,
    TaskPatch,
    TaskRow,
    TemplateRow,
    Token,
)
from aether.testing import DictRecords, RecordsContract, StoreContract, rejects


class Broken(MemoryStore):
    def __init__(self) -> None:
        super().__init__(history=True)


class ForgetsToCheckTokens(Broken):
    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        for commit in batch:
            row = await self.run(commit.run_id)
            if commit.expected is not None and row is not None:
                commit.expected = row.token
        return await super().commit(batch)


class CreatesOverWhatExists(Broken):
    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        for commit in batch:
            if commit.expected is None and not isinstance(commit.run, RunPatch):
                await self.delete(commit.run_id)
        return await super().commit(batch)


class CountsTokensAnewForEachRun(Broken):
    """Tokens of a run count from 1: those of a deleted run fit the next of its id."""

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        outcomes: list[CommitOutcome] = []
        for commit in batch:
            self._last_token = commit.expected or 0
            outcomes += await super().commit([commit])
        return outcomes


class AppliesHalfACommit(Broken):
    """Whatever is refused was written up to the fault."""

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        outcomes = list(await super().commit(batch))
        for commit, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Refusal) and isinstance(commit.run, RunPatch):
                half = [change for change in commit.tasks if isinstance(change, TaskRow)]
                await super().commit([replace(commit, tasks=half, hooks=[], document=None)])
        return outcomes


class GivesUpABatchAtTheFirstConflict(Broken):
    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        outcomes: list[CommitOutcome] = []
        for commit in batch:
            if outcomes and not isinstance(outcomes[-1], Committed):
                outcomes.append(outcomes[-1])
            else:
                outcomes += await super().commit([commit])
        return outcomes


class ForgetsPatchesOfNothing(Broken):
    """Members that a patch sets to None are taken for members that it leaves alone."""

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        return await super().commit(
            [
                replace(commit, tasks=[_without_none(each) for each in commit.tasks])
                for commit in batch
            ]
        )


def _without_none(change: TaskRow | TaskPatch) -> TaskRow | TaskPatch:
    if isinstance(change, TaskRow):
        return change
    members = {name: getattr(change, name) for name in change.__struct_fields__}
    return TaskPatch(**{name: value for name, value in members.items() if value is not None})


class ForgetsPatchesBehindTheirRow(Broken):
    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        trimmed = []
        for commit in batch:
            new = {change.ordinal for change in commit.tasks if isinstance(change, TaskRow)}
            tasks = [
                change
                for change in commit.tasks
                if isinstance(change, TaskRow) or change.ordinal not in new
            ]
            trimmed.append(replace(commit, tasks=tasks))
        return await super().commit(trimmed)


class SharesRowsHandedOut(Broken):
    async def load(self, run_ids: Sequence[str]) -> Sequence[RunRows | None]:
        runs = [self._runs.get(run_id) for run_id in run_ids]
        return [None if run is None else RunRows(run.row, run.tasks, run.hooks) for run in runs]


class SharesLabelsHandedOut(Broken):
    async def run(self, run_id: str) -> RunRow | None:
        run = self._runs.get(run_id)
        return None if run is None else copy(run.row)


class SharesRowsHandedIn(Broken):
    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        outcomes = await super().commit(batch)
        for commit in batch:
            for change in commit.tasks:
                if isinstance(change, TaskRow) and commit.run_id in self._runs:
                    self._runs[commit.run_id].tasks[change.ordinal] = change
        return outcomes


class KeepsDocumentsForEver(Broken):
    async def delete(self, run_id: str) -> bool:
        if run_id in self._runs:
            self._documents[self._runs[run_id].row.document].runs += 1
        return await super().delete(run_id)


class DropsDocumentsTooSoon(Broken):
    async def delete(self, run_id: str) -> bool:
        digest = self._runs[run_id].row.document if run_id in self._runs else b""
        existed = await super().delete(run_id)
        self._documents.pop(digest, None)
        return existed


class LoadsInTheOrderOfWriting(Broken):
    async def load(self, run_ids: Sequence[str]) -> Sequence[RunRows | None]:
        found = await super().load(run_ids)
        for rows in found:
            if rows is not None:
                order = self._runs[rows.run.run_id].tasks
                rows.tasks = {ordinal: rows.tasks[ordinal] for ordinal in order}
        return found


class CursorSkipsOne(Broken):
    async def runs(self, query: RunQuery) -> Page:
        page = await super().runs(query)
        if query.after and len(page.runs) > 1:
            del page.runs[0]
        return page


class CountsPagesByOffset(Broken):
    """A cursor that is a number of rows: what is deleted or created shifts the rest."""

    async def runs(self, query: RunQuery) -> Page:
        if not query.after.isdigit() and query.after:
            return await super().runs(query)
        start = int(query.after or 0)
        everything = await super().runs(replace(query, after="", limit=1_000_000))
        end = start + query.limit
        more = end < len(everything.runs)
        return Page(everything.runs[start:end], str(end) if more else "")


class LeavesACursorOnTheLastPage(Broken):
    async def runs(self, query: RunQuery) -> Page:
        page = await super().runs(query)
        if not page.cursor and len(page.runs) == query.limit:
            page.cursor = (await super().runs(replace(query, limit=1))).cursor or "end"
        return page


class TakesAnyCursor(Broken):
    async def runs(self, query: RunQuery) -> Page:
        try:
            return await super().runs(query)
        except Refused:
            return Page([])


class ForgetsHooksOfFinishedRuns(Broken):
    async def unfinished(self, after: str = "", limit: int = 256) -> Sequence[DueRun]:
        found = await super().unfinished(after, 1_000_000)
        return [run for run in found if not self._runs[run.run_id].row.phase.is_terminal][:limit]


class ListsUnfinishedInAnyOrder(Broken):
    async def unfinished(self, after: str = "", limit: int = 256) -> Sequence[DueRun]:
        return (await super().unfinished(after, limit))[::-1]


class KeepsTheLogOfDeletedRuns(Broken):
    def __init__(self) -> None:
        super().__init__()
        self.old: dict[str, list[LogEntry]] = {}

    async def delete(self, run_id: str) -> bool:
        self.old.setdefault(run_id, []).extend(await super().history(run_id))
        return await super().delete(run_id)

    async def history(
        self, run_id: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[LogEntry]:
        return [*self.old.get(run_id, []), *await super().history(run_id, after_seq, limit)]


class PromisesALogAndKeepsNone(Broken):
    async def history(
        self, run_id: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[LogEntry]:
        return []


class PutsCronsUnderAnyToken(Broken):
    async def put_cron(self, row: CronRow, expected: Token | None) -> Token:
        held = await self.cron(row.cron_id)
        return await super().put_cron(row, None if held is None else held.token)


class SortsVersionsAsText(Broken):
    async def template(self, name: str, version: str = "") -> TemplateRow | None:
        rows = sorted(await self.templates(name), key=lambda row: row.version)
        rows = [row for row in rows if version in ("", row.version)]
        return rows[-1] if rows else None


class DeletesSchemasOfEitherFilter(Broken):
    async def delete_schemas(self, executor_type: str = "", worker_id: str = "") -> int:
        if executor_type and worker_id:
            first = await super().delete_schemas(executor_type)
            return first + await super().delete_schemas("", worker_id)
        return await super().delete_schemas(executor_type, worker_id)


STORES = [
    (ForgetsToCheckTokens, "test_a_commit_under_an_old_token_is_a_conflict_and_writes_nothing"),
    (CreatesOverWhatExists, "test_a_run_that_exists_is_not_created_again"),
    (CountsTokensAnewForEachRun, "test_a_token_of_an_earlier_run_of_the_same_id_is_a_conflict"),
    (AppliesHalfACommit, "test_what_can_never_be_carried_out_is_refused_whole"),
    (
        GivesUpABatchAtTheFirstConflict,
        "test_each_commit_of_a_batch_is_answered_for_itself_and_in_order",
    ),
    (ForgetsPatchesOfNothing, "test_a_task_patch_changes_only_what_it_sets"),
    (ForgetsPatchesBehindTheirRow, "test_rows_and_patches_of_one_commit_apply_in_order"),
    (SharesRowsHandedOut, "test_rows_handed_out_are_copies"),
    (SharesLabelsHandedOut, "test_rows_handed_out_are_copies"),
    (SharesRowsHandedIn, "test_rows_handed_in_are_copied"),
    (KeepsDocumentsForEver, "test_a_document_goes_with_its_last_run"),
    (DropsDocumentsTooSoon, "test_a_document_goes_with_its_last_run"),
    (LoadsInTheOrderOfWriting, "test_loaded_tasks_and_hooks_ascend"),
    (CursorSkipsOne, "test_pages_join_without_a_gap_or_a_repeat"),
    (CountsPagesByOffset, "test_runs_created_or_deleted_between_pages_move_no_other"),
    (LeavesACursorOnTheLastPage, "test_the_last_page_has_no_cursor"),
    (TakesAnyCursor, "test_a_cursor_that_no_page_gave_is_refused"),
    (
        ForgetsHooksOfFinishedRuns,
        "test_a_run_is_unfinished_until_it_and_its_hooks_are_terminal",
    ),
    (ListsUnfinishedInAnyOrder, "test_unfinished_runs_are_listed_by_id_behind_a_cursor"),
    (KeepsTheLogOfDeletedRuns, "test_a_run_created_anew_has_nothing_of_the_deleted_one"),
    (PromisesALogAndKeepsNone, "test_the_log_is_given_back_in_order_and_in_pages"),
    (PutsCronsUnderAnyToken, "test_a_cron_is_created_once_and_replaced_under_its_token"),
    (SortsVersionsAsText, "test_the_newest_template_is_the_last_created"),
    (DeletesSchemasOfEitherFilter, "test_schemas_are_deleted_where_all_given_filters_match"),
]


@pytest.mark.parametrize(
    ("broken", "test"), STORES, ids=lambda value: getattr(value, "__name__", "")
)
def test_the_suite_finds_a_broken_store(broken: type[MemoryStore], test: str) -> None:
    rejects(StoreContract, broken, by=test)


class UpdatesUnderAnyToken(DictRecords):
    async def update_task_run(self, task_run_id: str, patch: TaskPatch, token: Token) -> TaskRecord:
        held = await self.get_task_run(task_run_id)
        return await super().update_task_run(task_run_id, patch, held.token)


class OverwritesTaskRuns(DictRecords):
    async def create_task_run(self, new: TaskRecord) -> TaskRecord:
        self._tasks.pop(new.task_run_id, None)
        return await super().create_task_run(new)


class KnowsTaskRunsByScopeAndNameAlone(DictRecords):
    async def create_task_run(self, new: TaskRecord) -> TaskRecord:
        for task in await self.list_task_runs(new.run_id):
            if (task.scope, task.task_name) == (new.scope, new.task_name):
                return task
        return await super().create_task_run(new)


class WritesWholeRecords(DictRecords):
    """A patch resets what it does not set."""

    async def update_run(self, run_id: str, patch: Any, token: Token) -> RunRecord:
        if patch.message is not None and patch.phase is not Phase.RUNNING:
            patch = replace(patch, outputs=None)
        return await super().update_run(run_id, patch, token)


class ForgetsRedo(DictRecords):
    async def update_run(self, run_id: str, patch: Any, token: Token) -> RunRecord:
        members = {name: getattr(patch, name) for name in RunPatch.__struct_fields__}
        return await super().update_run(run_id, RunPatch(**members), token)


class SharesRecords(DictRecords):
    async def get_run(self, run_id: str) -> RunRecord:
        await super().get_run(run_id)
        return self._runs[run_id]


class LeavesTaskRunsBehind(DictRecords):
    async def delete_run(self, run_id: str) -> None:
        await self.get_run(run_id)
        del self._runs[run_id]


class AnswersWithTheStateBefore(DictRecords):
    async def update_cron(self, cron_id: str, patch: Any, token: Token) -> CronRow:
        before = await self.get_cron(cron_id)
        await super().update_cron(cron_id, patch, token)
        return before


class MistakesMissingForChanged(DictRecords):
    async def update_run(self, run_id: str, patch: Any, token: Token) -> RunRecord:
        try:
            return await super().update_run(run_id, patch, token)
        except NotFound as exc:
            raise TokenMismatch("gone") from exc


class ListsInTheOrderOfWriting(DictRecords):
    async def list_task_runs(self, run_id: str) -> Sequence[TaskRecord]:
        return [copy(task) for task in self._tasks.values() if task.run_id == run_id]


class ForgetsRunsWithARedo(DictRecords):
    async def list_active_runs(self) -> Sequence[RunRecord]:
        return [run for run in await super().list_active_runs() if not run.phase.is_terminal]


class KeepsOneSchemaForEachType(DictRecords):
    async def upsert_schema(self, row: SchemaRow) -> None:
        await self.delete_schemas(row.type)
        await super().upsert_schema(row)


RECORDS = [
    (UpdatesUnderAnyToken, "test_a_task_update_under_another_token_writes_nothing"),
    (OverwritesTaskRuns, "test_another_task_run_under_a_taken_ordinal_is_refused"),
    (KnowsTaskRunsByScopeAndNameAlone, "test_each_part_of_the_key_makes_another_task_run"),
    (WritesWholeRecords, "test_a_run_patch_writes_only_what_it_sets"),
    (ForgetsRedo, "test_redo_is_kept_until_it_is_cleared"),
    (SharesRecords, "test_records_go_in_and_out_as_copies"),
    (LeavesTaskRunsBehind, "test_deleting_a_run_deletes_its_task_runs"),
    (
        AnswersWithTheStateBefore,
        "test_a_cron_is_created_once_and_updated_in_part_under_its_token",
    ),
    (MistakesMissingForChanged, "test_what_does_not_exist_is_not_found"),
    (ListsInTheOrderOfWriting, "test_task_runs_ascend_by_ordinal"),
    (
        ForgetsRunsWithARedo,
        "test_active_runs_are_those_that_are_not_terminal_or_have_a_redo",
    ),
    (KeepsOneSchemaForEachType, "test_schemas_are_replaced_and_listed_by_worker_then_type"),
]


@pytest.mark.parametrize(
    ("broken", "test"), RECORDS, ids=lambda value: getattr(value, "__name__", "")
)
def test_the_suite_finds_broken_records(broken: type[DictRecords], test: str) -> None:
    rejects(RecordsContract, broken, by=test)
