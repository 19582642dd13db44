"""Writing whole runs into another store, through the Store port alone.

In: rows, documents and logs of runs. Out: the same runs in a store that has none of these ids. Never: a
run that an engine would take up half written: until its last commit it reads as cancelled at step 0.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from ..ports import Commit, Committed, LogEntry, Store
from ..record import Phase, RunPatch, RunRow, RunRows, Token

HALF = "half copied: copy it again"
_FIXED = [
    name
    for name in RunRow.__struct_fields__
    if name != "token" and name not in RunPatch.__struct_fields__
]
"""What can be said only when the run is created."""


class Moving(msgspec.Struct):
    """One run to be written; `entries` is its log, ascending: with `shares` without what the target has of
    it already, as the log of its origin."""

    rows: RunRows
    document: bytes
    entries: AsyncIterator[LogEntry]
    shares: bool = False


def is_half(run: RunRow) -> bool:
    """Whether somebody was stopped while writing this run."""
    return run.seq == 0 and run.message == HALF


async def write_runs(store: Store, runs: Sequence[Moving]) -> dict[str, str]:
    """Write `runs` side by side, an entry of each in one batch. Answers why a run could not be written,
    by id; a run that somebody else writes meanwhile is one of them."""
    writing = [_Writing(run) for run in runs]
    failed: dict[str, str] = {}
    while writing:
        batch = [commit for each in writing if (commit := await each.next()) is not None]
        if not batch:
            break
        outcomes = dict(
            zip((commit.run_id for commit in batch), await store.commit(batch), strict=True)
        )
        going_on = []
        for each in writing:
            outcome = outcomes[each.run_id]
            if not isinstance(outcome, Committed):
                failed[each.run_id] = str(getattr(outcome, "reason", "somebody else wrote it"))
                continue
            each.token = outcome.token
            if not each.done:
                going_on.append(each)
        writing = going_on
    return failed


class _Writing:
    """The commits of one run, one after the other."""

    def __init__(self, moving: Moving) -> None:
        self._moving = moving
        self._row = moving.rows.run
        self._ahead: LogEntry | None = None
        self._begun = False
        self.run_id = self._row.run_id
        self.token: Token | None = None
        self.done = False

    async def next(self) -> Commit | None:
        if self.done:
            return None
        if not self._begun:
            self._begun = True
            self._ahead = await anext(self._moving.entries, None)
        entry = self._ahead
        if entry is not None:
            self._ahead = await anext(self._moving.entries, None)
        self.done = self._ahead is None
        rows = self._moving.rows
        commit = Commit(
            run_id=self.run_id,
            expected=self.token,
            run=RunPatch() if self.token is not None else self._first(),
            log=entry,
        )
        if self.token is None:
            commit.document = (self._row.document, self._moving.document)
            commit.shares = self._moving.shares
        elif self.done:
            commit.run = _all_of(self._row)
        if self.done:
            commit.tasks = tuple(rows.tasks.values())
            commit.hooks = tuple(rows.hooks.values())
        return commit

    def _first(self) -> RunRow:
        row = self._row
        if self.done:
            return msgspec.structs.replace(row, owner=0)
        fixed = {name: getattr(row, name) for name in _FIXED}
        return RunRow(**fixed, phase=Phase.CANCELLED, message=HALF, finished_at=row.created_at)


def _all_of(row: RunRow) -> RunPatch:
    """But for the owner, whose session means nothing in another store: whoever comes may claim the run."""
    members = {name: getattr(row, name) for name in RunPatch.__struct_fields__}
    return RunPatch(**members | {"owner": 0})
