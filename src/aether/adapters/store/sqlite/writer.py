"""The one writer: commits, all of a batch in one transaction.

In: commits, on any one thread at a time. Out: outcomes. Never: asyncio, or a commit half done.

Rows are written whole. A patch is applied to the row as it was last written, which is held in memory
while its run moves and fetched where it is not. What several commits of a batch do to one row is
written once. A transaction that fails leaves the memory empty: the file is the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import apsw
from msgspec import UNSET

from ....errors import EngineBug
from ....ports import (
    Claim,
    Commit,
    CommitOutcome,
    Committed,
    Conflict,
    Consumed,
    Payload,
    Refusal,
)
from ....record import (
    HookRow,
    Phase,
    RunPatch,
    RunRow,
    TaskRow,
    patch_hook,
    patch_run,
    patch_task,
)
from ...listings import label_terms
from ...store_rules import refusal
from .documents import DocumentWriter
from .faults import commit_failure, translated
from .forks import ForkWriter
from .payloads import PayloadWriter
from .rows import LARGE, Held, Kept, decode_hook, decode_run, decode_task, encode
from .sql import for_rows, statements

_CONFLICT = Conflict()
_CHUNKS = (64, 8, 1)
_MOST_ROWS = 100_000  # in memory, over all runs
_LOOK_EVERY = 10_000  # rows written between two looks at how many there are, and whose
_TOKENS_OF_AN_OPENING = 40  # bits

_SQL = statements("writing")
_CLUSTER = statements("cluster")


class Writer:
    """Writes on a connection that nobody else uses meanwhile."""

    def __init__(self, db: apsw.Connection, path: Path, keeps_log: bool) -> None:
        self._db = db
        self._path = path
        self._keeps_log = keeps_log
        with translated(path), db:
            self._last_run: int = self._ask("last_run")[0]
            self._last_token: int = self._ask("count_opening")[0] << _TOKENS_OF_AN_OPENING
        self._kept: dict[str, Kept] = {}
        self._documents = DocumentWriter(db)
        self.payloads = PayloadWriter(db)
        self._forks = ForkWriter(db, keeps_log)
        self._written = 0
        self._look = 0
        self._clear()

    def _ask(self, name: str, values: Sequence[Any] = ()) -> Any:
        """The one row that a statement answers, or None."""
        found = self._db.execute(_SQL[name], values).fetchall()
        return found[0] if found else None

    @property
    def moving(self) -> int:
        """How many runs are open, as far as they are held in memory."""
        return len(self._kept)

    def next_token(self) -> int:
        self._last_token += 1
        return self._last_token

    def _clear(self) -> None:
        self._new: list[Kept] = []
        self._touched: dict[int, Kept] = {}
        self._moved: dict[int, Kept] = {}
        self._owned: dict[int, Kept] = {}  # by another session than before
        self._tasks: dict[tuple[int, int], tuple[Kept, TaskRow]] = {}
        self._hooks: dict[tuple[int, int], HookRow] = {}
        self._log: list[Any] = []
        self._labels: list[Any] = []  # to be added to the index of listings
        self._payloads: list[tuple[int, Sequence[Payload]]] = []

    # Transactions

    def begin(self) -> None:
        self._db.execute(_SQL["begin"])

    def commit(self) -> None:
        """Raises StoreUnavailable if nothing was written, CommitUnknown if that is not known."""
        try:
            self._db.execute("COMMIT")
        except apsw.Error as exc:
            raise commit_failure(self._path, exc) from exc

    def undo(self) -> None:
        """Also after a COMMIT that failed. What was held in memory may be ahead of the file now."""
        self._kept.clear()
        self._documents.forget()
        self._clear()
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def delete_run(self, run_id: str) -> bool:
        """All that is the run's. The caller has begun, and commits or undoes."""
        self._forks.inherit(run_id)
        found = self._ask("delete_run", (run_id,))
        if found is None:
            return False
        number, digest, created_at, body = found
        row = decode_run(body)
        for terms in {*label_terms(row.labels), *label_terms(row.attributes)}:
            self._db.execute(_SQL["delete_label"], (*terms, created_at, run_id))
        for name in ("delete_input", "delete_tasks", "delete_hooks"):
            self._db.execute(_SQL[name], (number,))
        self._forks.release_log(number)
        self._db.execute(_CLUSTER["delete_messages"], (number,))
        self._documents.release(digest)
        self._kept.pop(run_id, None)
        return True

    # Commits

    def write(self, batch: Sequence[Commit]) -> list[CommitOutcome]:
        """All but the COMMIT: the caller has begun, and commits or undoes."""
        outcomes = [self._carry_out(commit) for commit in batch]
        self._flush()
        return outcomes

    def _carry_out(self, commit: Commit) -> CommitOutcome:
        kept = self._kept.get(commit.run_id) or self._find(commit.run_id)
        if commit.expected != (None if kept is None else kept.row.token):
            return _CONFLICT
        if commit.consumed and not (kept and self._all_wait(kept, commit.consumed)):
            return _CONFLICT
        if kept is None:
            shared, reason = self._forks.shared(commit, self._kept.get, self._find)
            if reason := refusal(commit, (), (), self._documents) or reason:
                return Refusal(reason)
            kept = self._create(commit, shared)
        else:
            if reason := refusal(commit, kept.tasks, kept.hooks, ()):
                return Refusal(reason)
            self._change(kept, commit)
        kept.seen = self._look
        row = kept.row
        row.token = self._last_token = self._last_token + 1
        if commit.tasks:
            self._take_tasks(kept, commit)
        if commit.hooks:
            was_open = kept.is_open
            self._take_hooks(kept, commit)
            if kept.is_open is not was_open:
                self._moved[kept.number] = kept
        if (log := commit.log) is not None and self._keeps_log:
            self._log += (kept.number, log.seq, log.at, log.body)
        if commit.payloads:
            self._payloads.append((kept.number, commit.payloads))
        for consumed in commit.consumed:
            values = (consumed.answer, kept.number, consumed.key)
            self._db.execute(_CLUSTER["consume"], values)
        return Committed(row.token)

    def _all_wait(self, kept: Kept, consumed: Sequence[Consumed]) -> bool:
        keys = {each.key for each in consumed}
        return len(keys) == len(consumed) and all(
            self._db.execute(_CLUSTER["waits"], (kept.number, key)).fetchall() for key in keys
        )

    def claim(
        self, run_ids: Sequence[str], session: int, stands: Callable[[int], bool]
    ) -> list[Claim]:
        """The caller has begun, and commits or undoes."""
        answers = [self._claim(run_id, session, stands) for run_id in run_ids]
        self._flush()
        return answers

    def _claim(self, run_id: str, session: int, stands: Callable[[int], bool]) -> Claim:
        kept = self._kept.get(run_id) or self._find(run_id)
        if kept is None:
            return Claim.UNKNOWN
        row = kept.row
        if not kept.is_open:
            self._kept.pop(run_id, None)
            return Claim.OVER
        if row.held_by == session:
            return Claim.MINE
        if stands(row.held_by):
            return Claim.HELD
        row.claimed = session
        row.token = self.next_token()
        self._touched[kept.number] = self._owned[kept.number] = kept
        return Claim.TAKEN

    def _find(self, run_id: str) -> Kept | None:
        found = self._ask("find_run", (run_id,))
        if found is None:
            return None
        number, body, open_hooks = found
        return self._keep(number, decode_run(body), open_hooks)

    def _keep(self, number: int, row: RunRow, open_hooks: int) -> Kept:
        kept = Kept(
            number,
            row,
            open_hooks,
            Held(number, self._find_task),
            Held(number, self._find_hook),
        )
        self._kept[row.run_id] = kept
        return kept

    def _find_task(self, run: int, ordinal: int) -> TaskRow | None:
        found = self._ask("find_task", (run, ordinal))
        return None if found is None else decode_task(found[0])

    def _find_hook(self, run: int, number: int) -> HookRow | None:
        found = self._ask("find_hook", (run, number))
        return None if found is None else decode_hook(found[0])

    def _create(self, commit: Commit, shared: int | None) -> Kept:
        if not isinstance(commit.run, RunRow):
            raise EngineBug("a patch was about to create a run")
        row = copy(commit.run)
        row.claimed = 0
        if row.labels is not None:
            row.labels = dict(row.labels)
        if row.attributes is not None:
            row.attributes = dict(row.attributes)
        self._last_run += 1
        kept = self._keep(self._last_run, row, 0)
        self._new.append(kept)
        self._forks.add(kept.number, row, shared)
        self._documents.use(row.document, commit.document)
        if len(row.arguments or b"") + len(row.variables or b"") > LARGE:
            large = (kept.number, row.arguments, row.variables)
            self._db.execute(_SQL["add_input"], large)
            kept.large = True
            row.arguments = row.variables = None
        return kept

    def _change(self, kept: Kept, commit: Commit) -> None:
        if not isinstance(commit.run, RunPatch):
            raise EngineBug("a row was about to replace a run")
        row = kept.row
        phase, due_at = row.phase, row.due_at
        if commit.run.owner is not UNSET:
            row.claimed = 0
            self._owned[kept.number] = kept
        attributes = row.attributes
        patch_run(row, commit.run)
        if row.attributes is not attributes:
            self._index_attributes(kept, attributes)
        if row.phase is phase and row.due_at == due_at:
            self._touched[kept.number] = kept
        else:
            self._moved[kept.number] = kept

    def _index_attributes(self, kept: Kept, before: dict[str, str] | None) -> None:
        """Attributes are found as labels are, and may change."""
        row = kept.row
        if row.attributes is not None:
            row.attributes = dict(row.attributes)
        terms = set(label_terms(row.attributes))
        stale = set(label_terms(before)) - terms - set(label_terms(row.labels))
        for term in sorted(stale):
            self._db.execute(_SQL["delete_label"], (*term, row.created_at, row.run_id))
        self._labels += [
            value
            for term in sorted(terms)
            for value in (*term, row.created_at, row.run_id, kept.number)
        ]

    def _take_tasks(self, kept: Kept, commit: Commit) -> None:
        number, tasks, written = kept.number, kept.tasks, self._tasks
        for change in commit.tasks:
            ordinal = change.ordinal
            if isinstance(change, TaskRow):
                row = tasks[ordinal] = copy(change)
            else:
                row = tasks[ordinal]
                patch_task(row, change)
            written[number, ordinal] = kept, row

    def _take_hooks(self, kept: Kept, commit: Commit) -> None:
        for change in commit.hooks:
            held = kept.hooks.held(change.number)
            if held is not None and not held.phase.is_terminal:
                kept.open_hooks -= 1
            if isinstance(change, HookRow):
                held = kept.hooks[change.number] = copy(change)
            else:
                assert held is not None, "refusal() found every patch its row"
                patch_hook(held, change)
            if not held.phase.is_terminal:
                kept.open_hooks += 1
            self._hooks[kept.number, change.number] = held

    # Writing it down

    def _flush(self) -> None:
        self._documents.flush()
        self._flush_runs()
        if self._tasks:
            rows: list[Any] = []
            for (run, ordinal), (kept, task) in self._tasks.items():
                rows += (run, ordinal, encode(task))
                if task.phase.is_terminal:
                    del kept.tasks[ordinal]
            self._put("put_tasks", rows, 3)
        if self._hooks:
            rows = []
            for (run, number), hook in self._hooks.items():
                rows += (run, number, int(not hook.phase.is_terminal), encode(hook))
            self._put("put_hooks", rows, 4)
        if self._log:
            self._put("add_log", self._log, 4)
        for run, payloads in self._payloads:
            self.payloads.bring(run, payloads)
        self._shrink()
        self._clear()

    def _flush_runs(self) -> None:
        new = {kept.number for kept in self._new} if self._new else ()
        rows: list[Any] = []
        labels = self._labels
        for kept in self._new:
            row = kept.row
            if row.labels or row.attributes:
                for terms in {*label_terms(row.labels), *label_terms(row.attributes)}:
                    labels += (*terms, row.created_at, row.run_id, kept.number)
            rows += (kept.number, row.run_id, row.name, row.namespace, row.cron_id)
            rows += (row.created_at, row.document, _text(row.phase), int(kept.is_open))
            rows += (row.owner, row.due_at, row.token, int(kept.large), encode(row))
        if rows:
            self._put("add_runs", rows, 14)
        if labels:
            self._put("add_labels", labels, 5)
        moved = self._moved
        touched = [
            (kept.row.token, encode(kept.row), number)
            for number, kept in self._touched.items()
            if number not in moved and number not in new
        ]
        if touched:
            self._db.executemany(_SQL["touch_runs"], touched)
        changed = [
            (_text(row.phase), int(kept.is_open), row.due_at, row.token, encode(row), number)
            for number, kept in moved.items()
            if number not in new
            for row in (kept.row,)
        ]
        if changed:
            self._db.executemany(_SQL["move_runs"], changed)
        for number, kept in self._owned.items():
            self._db.execute(_CLUSTER["own_runs"], (kept.row.held_by, number))

    def _put(self, name: str, values: list[Any], width: int) -> None:
        """Rows by the dozen: a statement for each would cost more than the rows themselves."""
        start, left = 0, len(values) // width
        if left == 1:
            self._db.execute(for_rows("writing", name, 1), values)
            return
        for chunk in _CHUNKS:
            text = for_rows("writing", name, chunk) if left >= chunk else ""
            while left >= chunk:
                end = start + chunk * width
                self._db.execute(text, values[start:end])
                start, left = end, left - chunk

    def _shrink(self) -> None:
        """Let go of what is over, of runs that have rested since the last look, and of everything when
        it has become too much."""
        for kept in self._moved.values():
            if not kept.is_open:
                self._kept.pop(kept.row.run_id, None)
        self._written += len(self._tasks) + len(self._hooks)
        if self._written > _LOOK_EVERY:
            self._written = 0
            look, self._look = self._look, self._look + 1
            self._kept = {key: kept for key, kept in self._kept.items() if kept.seen == look}
            held = sum(1 + len(kept.tasks) + len(kept.hooks) for kept in self._kept.values())
            if held > _MOST_ROWS:
                self._kept.clear()


def _text(phase: Phase) -> str:
    return phase._value_
