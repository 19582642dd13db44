"""Forks in SQLite: where runs come from, and logs that several of them share.

In: new runs, deleted runs. Out: rows of `fork`, and the log entries that nobody needs any more gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from ....ports import Commit
from ....record import RunRow
from ...store_rules import fork_refusal
from .rows import Kept
from .sql import statements

_SQL = statements("forks")


class ForkWriter:
    """On the writer's connection, inside its transactions."""

    def __init__(self, db: apsw.Connection, keeps_log: bool) -> None:
        self._db = db
        self._keeps_log = keeps_log

    def shared(
        self, commit: Commit, *finders: Callable[[str], Kept | None]
    ) -> tuple[int | None, str]:
        """The number of the run whose log a new one is to share, if it is, and why it cannot."""
        if not commit.shares or not self._keeps_log:
            return None, ""
        named = commit.run.origin if isinstance(commit.run, RunRow) else None
        found = (kept for find in finders if named is not None and (kept := find(named.run_id)))
        origin = next(found, None)
        if origin is None:
            return None, fork_refusal(commit, None)
        return origin.number, fork_refusal(commit, origin.row)

    def add(self, number: int, row: RunRow, shared: int | None) -> None:
        """`shared` is the number of the run whose log it shares."""
        origin = row.origin
        if origin is not None:
            seq = None if shared is None else origin.seq
            self._db.execute(_SQL["add_fork"], (number, origin.root, shared, seq))

    def inherit(self, run_id: str) -> None:
        """Before a run is deleted."""
        self._db.execute(_SQL["inherit"], (run_id,))

    def release_log(self, number: int) -> None:
        """After it was: its log goes, and those of deleted runs that only it had shared."""
        self._db.execute(_SQL["run_gone"], (number,))
        self._db.execute(_SQL["origin_gone"], (number,))
        gone: int | None = number
        while gone is not None:
            shared: Any = self._db.execute(_SQL["shared"], (gone,)).fetchall()[0][0]
            if shared is not None:
                self._db.execute(_SQL["trim_log"], (gone, shared))
                return
            self._db.execute(_SQL["delete_log"], (gone,))
            left: Any = self._db.execute(_SQL["delete_fork"], (gone,)).fetchall()
            gone = left[0][0] if left and left[0][1] else None
