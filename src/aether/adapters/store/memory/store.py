"""MemoryStore: everything in one process, nothing on disk.

In: commits and queries of one event loop. Out: copies. Never: awaits, so each call is atomic by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from heapq import merge

from msgspec import UNSET

from ....ports import (
    Clock,
    Commit,
    CommitOutcome,
    Committed,
    Conflict,
    DueRun,
    LogEntry,
    Page,
    Refusal,
    RunQuery,
)
from ....record import (
    HookRow,
    RunPatch,
    RunRow,
    RunRows,
    TaskRow,
    patch_hook,
    patch_run,
    patch_task,
)
from ...listings import Gathering
from ...store_rules import Place, fork_refusal, place, refusal
from .cluster import Sharing
from .definitions import Definitions
from .forks import Log
from .order import SortedKeys
from .payloads import KeptPayloads

_CONFLICT = Conflict()
_NONE: dict[int, HookRow] = {}


class _Run:
    """A run's rows. Patches reach them in place: nobody else holds these objects."""

    __slots__ = ("hooks", "is_open", "log", "open_hooks", "row", "tasks")

    def __init__(self, row: RunRow) -> None:
        self.row = row
        self.tasks: dict[int, TaskRow] = {}
        self.hooks = _NONE  # most runs have none, and none is ever added to this one
        self.open_hooks = 0
        self.is_open = False  # as the listings know it
        self.log: Log | None = None

    def write_tasks(self, commit: Commit) -> None:
        tasks = self.tasks
        for change in commit.tasks:
            if isinstance(change, TaskRow):
                tasks[change.ordinal] = copy(change)
            else:
                patch_task(tasks[change.ordinal], change)

    def write_hooks(self, commit: Commit) -> None:
        if self.hooks is _NONE:
            self.hooks = {}
        for change in commit.hooks:
            held = self.hooks.get(change.number)
            if held is not None and not held.phase.is_terminal:
                self.open_hooks -= 1
            if isinstance(change, HookRow):
                held = self.hooks[change.number] = copy(change)
            else:
                assert held is not None, "refusal() found every patch its row"
                patch_hook(held, change)
            if not held.phase.is_terminal:
                self.open_hooks += 1


class _Document:
    __slots__ = ("runs", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.runs = 0


class MemoryStore(Definitions, Sharing, KeptPayloads):
    """A Store that lasts as long as the object. It keeps the log only with `history=True`, and serves
    several engines at once only with `shared=True`: their leases pass by `clock`, or else by the
    latest instant that any of them has told."""

    def __init__(
        self, history: bool = False, shared: bool = False, clock: Clock | None = None
    ) -> None:
        Definitions.__init__(self)
        Sharing.__init__(self, shared, clock)
        KeptPayloads.__init__(self)
        self._keeps_log = history
        self._runs: dict[str, _Run] = {}  # type: ignore[assignment]  # what the other base sees of them
        self._documents: dict[bytes, _Document] = {}
        self._created: SortedKeys[Place] = SortedKeys()
        self._by_cron: dict[str, SortedKeys[Place]] = {}
        self._forks: dict[str, set[str]] = {}  # by the run with which their line began

    @property
    def concurrency(self) -> int:
        return 1

    @property
    def keeps_log(self) -> bool:
        return self._keeps_log

    async def open(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """What is kept goes with the object."""

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        return [self._carry_out(commit) for commit in batch]

    def _carry_out(self, commit: Commit) -> CommitOutcome:
        run = self._runs.get(commit.run_id)
        if commit.expected != (None if run is None else run.row.token):
            return _CONFLICT
        if commit.consumed and not self._inboxes.all_wait(commit.run_id, commit.consumed):
            return _CONFLICT
        if run is None:
            if reason := refusal(commit, (), (), self._documents) or self._fork_refusal(commit):
                return Refusal(reason)
            run = self._create(commit)
        else:
            if reason := refusal(commit, run.tasks, run.hooks, self._documents):
                return Refusal(reason)
            assert isinstance(commit.run, RunPatch), "refusal() lets no row replace a run"
            if commit.run.owner is not UNSET:
                self._not_open(commit.run_id, run.row.held_by)
                run.is_open = False  # under its new owner it is put among the open ones again
                run.row.claimed = 0
            patch_run(run.row, commit.run)
        self._last_token += 1
        row = run.row
        row.token = self._last_token
        run.write_tasks(commit)
        if commit.hooks:
            run.write_hooks(commit)
        if commit.log is not None and self._keeps_log:
            if run.log is None:
                run.log = Log(row.run_id)
            run.log.add(commit.log)
        if commit.payloads:
            self._bring(row.run_id, commit.payloads)
        if commit.consumed:
            self._inboxes.consume(row.run_id, commit.consumed)
        is_open = not row.phase.is_terminal or run.open_hooks > 0
        if is_open is not run.is_open:
            run.is_open = is_open
            self._set_open(row.run_id, row.claimed or row.owner, is_open)
        return Committed(row.token)

    def _create(self, commit: Commit) -> _Run:
        assert isinstance(commit.run, RunRow), "refusal() lets no patch create a run"
        row = _copy_run(commit.run)
        row.claimed = 0
        run = self._runs[row.run_id] = _Run(row)
        where = place(row)
        self._created.add(where)
        if row.cron_id:
            self._by_cron.setdefault(row.cron_id, SortedKeys()).add(where)
        document = self._documents.get(row.document)
        if document is None:
            assert commit.document is not None, "refusal() lets no run be without a document"
            document = self._documents[row.document] = _Document(commit.document[1])
        document.runs += 1
        if row.origin is not None:
            self._forks.setdefault(row.origin.root, set()).add(row.run_id)
            origin = self._runs.get(row.origin.run_id)
            if commit.shares and self._keeps_log and origin is not None:
                if origin.log is None:
                    origin.log = Log(origin.row.run_id)
                run.log = Log(row.run_id, origin.log, row.origin.seq)
        return run

    def _fork_refusal(self, commit: Commit) -> str:
        if not commit.shares or not self._keeps_log:
            return ""
        named = commit.run.origin if isinstance(commit.run, RunRow) else None
        origin = None if named is None else self._runs.get(named.run_id)
        return fork_refusal(commit, None if origin is None else origin.row)

    async def load(self, run_ids: Sequence[str]) -> Sequence[RunRows | None]:
        return [self._load(run_id) for run_id in run_ids]

    def _load(self, run_id: str) -> RunRows | None:
        run = self._runs.get(run_id)
        if run is None:
            return None
        return RunRows(
            _copy_run(run.row),
            {ordinal: copy(run.tasks[ordinal]) for ordinal in sorted(run.tasks)},
            {number: copy(run.hooks[number]) for number in sorted(run.hooks)},
        )

    async def run(self, run_id: str) -> RunRow | None:
        run = self._runs.get(run_id)
        return None if run is None else _copy_run(run.row)

    async def document(self, digest: bytes) -> bytes | None:
        document = self._documents.get(digest)
        return None if document is None else document.text

    async def unfinished(self, after: str = "", limit: int = 256) -> Sequence[DueRun]:
        found: list[DueRun] = []
        keys = [keys.behind(after or None) for keys in self._open.values()]
        for run_id in merge(*keys) if len(keys) > 1 else keys[0] if keys else ():
            if len(found) >= limit:
                break
            row = self._runs[run_id].row
            found.append(DueRun(run_id, row.due_at, row.held_by))
        return found

    async def runs(self, query: RunQuery) -> Page:
        keys = self._by_cron.get(query.cron_id) if query.cron_id else self._created
        gathering = Gathering(query)
        if keys is None:
            return gathering.end()
        start = gathering.behind
        ids = keys.before(start) if query.newest_first else keys.behind(start)
        there_are_more = any(gathering.take(self._runs[run_id].row) for _, run_id in ids)
        page = gathering.page() if there_are_more else gathering.end()
        page.runs = [_copy_run(row) for row in page.runs]
        return page

    async def history(
        self, run_id: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[LogEntry]:
        run = self._runs.get(run_id)
        if run is None or run.log is None:
            return []
        return run.log.behind(after_seq, limit)

    async def forks(self, roots: Sequence[str]) -> Sequence[RunRow]:
        found = {run_id for root in roots for run_id in self._forks.get(root, ())}
        return [_copy_run(row) for row in sorted((self._runs[n].row for n in found), key=place)]

    async def delete(self, run_id: str) -> bool:
        run = self._runs.pop(run_id, None)
        if run is None:
            return False
        where = place(run.row)
        self._created.discard(where)
        if run.log is not None:
            for heir in run.log.heirs():
                self._inherit(run_id, heir)
            run.log.release()
        if origin := run.row.origin:
            self._forks[origin.root].discard(run_id)
            if not self._forks[origin.root]:
                del self._forks[origin.root]
        self._let_go(run_id)
        self._not_open(run_id, run.row.held_by)
        self._inboxes.delete(run_id)
        if cron_id := run.row.cron_id:
            self._by_cron[cron_id].discard(where)
            if not self._by_cron[cron_id]:
                del self._by_cron[cron_id]
        document = self._documents[run.row.document]
        document.runs -= 1
        if not document.runs:
            del self._documents[run.row.document]
        return True


def _copy_run(row: RunRow) -> RunRow:
    new = copy(row)
    if new.labels is not None:
        new.labels = dict(new.labels)
    if new.attributes is not None:
        new.attributes = dict(new.attributes)
    return new
