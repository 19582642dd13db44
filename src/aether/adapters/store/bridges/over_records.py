"""StoreOverRecords: a store on hand-written record calls.

In: commits. Out: record calls. Never: a decision half done, whatever call was the last one.

A commit is one token-checked update of the run's record, which also carries the steps that follow: the
task records of this decision (`redo`). That update is the commit point. The steps follow, each under
the token that its record had before, so a step taken twice changes nothing. Whoever reads a run first
takes the steps that are still open; the next commit replaces them with its own. A finished run is the
only one whose `redo` is cleared: as long as it is there, `list_active_runs` names the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from msgspec import UNSET

from ....errors import CommitUnknown, EngineBug, NotFound, StoreUnavailable, TokenMismatch
from ....ports import (
    Commit,
    CommitOutcome,
    Committed,
    Conflict,
    DueRun,
    LogEntry,
    Page,
    Records,
    Refusal,
    RunQuery,
    RunRecord,
    RunRecordPatch,
    TaskRecord,
)
from ....record import HookRow, RunPatch, RunRow, RunRows, TaskRow, Token
from ...store_rules import matches, place, read_cursor, refusal, write_cursor
from .cluster import SharingOverRecords
from .definitions import DefinitionsOverRecords
from .redo import Step, decode_redo, encode_redo, steps_of
from .shapes import hook_row, run_record, task_record, task_record_id, task_row

_CONFLICT = Conflict()
_RUN_PATCH_FIELDS = RunPatch.__struct_fields__
_KNOWN_RUNS = 512


class _Known:
    """What a commit must know of a run as it stands under `token`: no rows, only tokens and hooks."""

    __slots__ = ("hooks", "terminal", "token", "tokens")

    def __init__(self, token: Token, terminal: bool) -> None:
        self.token = token
        self.terminal = terminal
        self.tokens: dict[int, Token] = {}
        self.hooks: dict[int, HookRow] = {}

    @property
    def finished(self) -> bool:
        return self.terminal and all(hook.phase.is_terminal for hook in self.hooks.values())


class StoreOverRecords(DefinitionsOverRecords, SharingOverRecords):
    """The Store that `store_from` makes. It keeps no log; its listings read every run's record."""

    def __init__(self, records: Records) -> None:
        DefinitionsOverRecords.__init__(self, records)
        SharingOverRecords.__init__(self)
        self._lock = asyncio.Lock()  # one decision or whole read at a time
        self._known: dict[str, _Known] = {}
        self._wrote = False

    @property
    def concurrency(self) -> int:
        return 1

    @property
    def keeps_log(self) -> bool:
        return False

    @property
    def keeps_payloads(self) -> bool:
        return False

    async def payloads(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        return {}

    async def collect(self, limit: int = 100) -> int:
        return 0

    async def open(self) -> None:
        await self._records.open()

    async def close(self) -> None:
        await self._records.close()

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        async with self._lock:
            self._wrote = False
            return [await self._answer(commit) for commit in batch]

    async def _answer(self, commit: Commit) -> CommitOutcome:
        known = self._known.pop(commit.run_id, None)  # comes back only if all goes well
        if commit.consumed and not self._inboxes.all_wait(commit.run_id, commit.consumed):
            return _CONFLICT
        try:
            if commit.expected is None:
                return await self._create(commit)
            outcome = await self._change(commit, commit.expected, known)
            if isinstance(outcome, Committed):
                self._took(commit)
            return outcome
        except StoreUnavailable as exc:
            if self._wrote:
                raise CommitUnknown("the store was lost after a part of the batch") from exc
            raise

    async def _create(self, commit: Commit) -> CommitOutcome:
        row = commit.run
        text: bytes | None = None
        if commit.document is not None:
            text = commit.document[1]
        elif isinstance(row, RunRow):
            text = await self.document(row.document)
        kept = () if text is None or isinstance(row, RunPatch) else (row.document,)
        reason = refusal(commit, (), (), kept)
        if reason or text is None or isinstance(row, RunPatch):
            return await self._refuse(commit, reason)
        known = _Known(0, row.phase.is_terminal)
        steps = steps_of(commit, known.tokens, known.hooks)
        try:
            record = await self._records.create_run(run_record(row, text, _redo(steps, known)))
        except TokenMismatch:
            return _CONFLICT
        return await self._follow_up(record, steps, known)

    async def _change(self, commit: Commit, expected: Token, known: _Known | None) -> CommitOutcome:
        if known is None or known.token != expected:
            if await self._read(commit.run_id) is None:
                return _CONFLICT
            known = self._known.pop(commit.run_id)
            if known.token != expected:
                return _CONFLICT
        if reason := refusal(commit, known.tokens, known.hooks, ()):
            return await self._refuse(commit, reason)
        assert isinstance(commit.run, RunPatch), "refusal() lets no row replace a run"
        steps = steps_of(commit, known.tokens, known.hooks)
        if commit.run.phase is not UNSET:
            known.terminal = commit.run.phase.is_terminal
        members = {name: getattr(commit.run, name) for name in _RUN_PATCH_FIELDS}
        patch = RunRecordPatch(**members, redo=_redo(steps, known))
        try:
            record = await self._records.update_run(commit.run_id, patch, expected)
        except (TokenMismatch, NotFound):
            return _CONFLICT
        return await self._follow_up(record, steps, known)

    async def _refuse(self, commit: Commit, reason: str) -> CommitOutcome:
        try:
            token: Token | None = (await self._records.get_run(commit.run_id)).token
        except NotFound:
            token = None
        return Refusal(reason) if token == commit.expected else _CONFLICT

    async def _follow_up(
        self, record: RunRecord, steps: Sequence[Step], known: _Known
    ) -> CommitOutcome:
        """The decision is committed: now the task records, and the end of a finished run."""
        self._wrote = True
        known.token = record.token
        try:
            for step in steps:
                try:
                    await self._take(record.run_id, step, known)
                except TokenMismatch:
                    if not await self._insist(record, step, known):
                        return Committed(record.token)
            if known.finished and record.redo is not None:
                record = await self._records.update_run(
                    record.run_id, RunRecordPatch(redo=None), record.token
                )
                known.token = record.token
        except (NotFound, TokenMismatch):  # somebody went on with the run, or deleted it
            return Committed(record.token)
        if not known.finished:
            self._remember(record.run_id, known)
        return Committed(record.token)

    async def _take(self, run_id: str, step: Step, known: _Known) -> bool:
        """Take a step that is still open; False if it was taken already."""
        ordinal = step.change.ordinal
        held = known.tokens.get(ordinal)
        if held != step.before:
            return False
        if isinstance(step.change, TaskRow):
            record = await self._records.create_task_run(task_record(run_id, step.change))
            if record.ordinal != ordinal:
                raise EngineBug(
                    f"task runs {ordinal} and {record.ordinal} of '{run_id}' are the same"
                )
        else:
            task_run_id = task_record_id(run_id, ordinal)
            assert held is not None, "refusal() found every patch its row"
            record = await self._records.update_task_run(task_run_id, step.change, held)
        known.tokens[ordinal] = record.token
        return True

    async def _insist(self, run: RunRecord, step: Step, known: _Known) -> bool:
        """A task record was changed behind this store's back. Its run was not: so this change counts.

        False if somebody has gone on with the run meanwhile: they took these steps before.
        """
        task_run_id = task_record_id(run.run_id, step.change.ordinal)
        while True:
            task = await self._records.get_task_run(task_run_id)
            if (await self._records.get_run(run.run_id)).token != run.token:
                return False
            known.tokens[step.change.ordinal] = task.token
            try:
                return await self._take(run.run_id, Step(task.token, step.change), known)
            except TokenMismatch:
                continue

    async def _read(self, run_id: str) -> tuple[RunRecord, Sequence[TaskRecord]] | None:
        """The run's records after every step is taken, all as of one token."""
        while True:
            try:
                record = await self._records.get_run(run_id)
                tasks = await self._records.list_task_runs(run_id)
                if await self._settle(record, tasks):
                    continue
                if (await self._records.get_run(run_id)).token == record.token:
                    return record, tasks
            except NotFound:
                return None
            except TokenMismatch:
                continue  # somebody else takes the same steps

    async def _settle(self, record: RunRecord, tasks: Sequence[TaskRecord]) -> bool:
        """Take what steps are open, and remember the run. True if anything was written."""
        known = _Known(record.token, record.phase.is_terminal)
        known.tokens = {task.ordinal: task.token for task in tasks}
        wrote = False
        for step in decode_redo(record.redo or b"\x90"):
            wrote |= await self._take(record.run_id, step, known)
        if wrote:
            return True
        hooks = [hook_row(task) for task in tasks if task.ordinal < 0]
        known.hooks = {hook.number: hook for hook in hooks}
        if known.finished and record.redo is not None:
            patch = RunRecordPatch(redo=None)
            await self._records.update_run(record.run_id, patch, record.token)
            return True
        self._remember(record.run_id, known)
        return False

    def _remember(self, run_id: str, known: _Known) -> None:
        self._known[run_id] = known
        if len(self._known) > _KNOWN_RUNS:
            del self._known[next(iter(self._known))]

    async def load(self, run_ids: Sequence[str]) -> Sequence[RunRows | None]:
        async with self._lock:
            return [await self._load(run_id) for run_id in run_ids]

    async def _load(self, run_id: str) -> RunRows | None:
        found = await self._read(run_id)
        if found is None:
            return None
        record, tasks = found
        hooks = [hook_row(task) for task in tasks if task.ordinal < 0]
        return RunRows(
            self._row(record),
            {task.ordinal: task_row(task) for task in tasks if task.ordinal >= 0},
            {hook.number: hook for hook in reversed(hooks)},
        )

    async def run(self, run_id: str) -> RunRow | None:
        try:
            return self._row(await self._records.get_run(run_id))
        except NotFound:
            return None

    async def document(self, digest: bytes) -> bytes | None:
        for record in await self._records.list_runs():
            if record.document == digest:
                return record.text
        return None

    async def unfinished(self, after: str = "", limit: int = 256) -> Sequence[DueRun]:
        async with self._lock:
            found: list[DueRun] = []
            active = await self._records.list_active_runs()
            for record in sorted(active, key=lambda record: record.run_id):
                if len(found) >= limit:
                    break
                if record.run_id > after and await self._is_unfinished(record):
                    found.append(DueRun(record.run_id, record.due_at, self._holder(record)))
            return found

    async def _is_unfinished(self, record: RunRecord) -> bool:
        if not record.phase.is_terminal:
            return True
        if await self._read(record.run_id) is None:
            return False
        return not self._known[record.run_id].finished

    async def runs(self, query: RunQuery) -> Page:
        start = read_cursor(query.after)
        if query.cron_id:
            records = await self._records.list_runs_by_cron(query.cron_id)
        else:
            records = await self._records.list_runs()
        found: list[RunRow] = []
        for record in sorted(records, key=place, reverse=query.newest_first):
            here = place(record)
            if start is not None and (here >= start if query.newest_first else here <= start):
                continue
            if not matches(record, query):
                continue
            if len(found) >= query.limit:
                return Page(found, write_cursor(place(found[-1])))
            found.append(self._row(record))
        return Page(found)

    async def forks(self, roots: Sequence[str]) -> Sequence[RunRow]:
        records = sorted(await self._records.list_runs(), key=place)
        return [self._row(each) for each in records if each.origin and each.origin.root in roots]

    async def history(
        self, run_id: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[LogEntry]:
        return []

    async def delete(self, run_id: str) -> bool:
        async with self._lock:
            self._known.pop(run_id, None)
            self._gone(run_id)
            try:
                await self._records.delete_run(run_id)
            except NotFound:
                return False
            return True


def _redo(steps: Sequence[Step], known: _Known) -> bytes | None:
    """An empty list keeps a terminal run among the active ones while a hook of it is open."""
    if steps or (known.terminal and not known.finished):
        return encode_redo(steps)
    return None
