"""Messages for the owner of a run: the one table that a second process may write to.

In: messages. Out: what waits, and answers. Never: a look into the table while nobody else has committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw

from ....ports import Message, Posted
from .database import connect
from .faults import commit_failure, translated
from .sql import statements

_SQL = statements("cluster")


def add(db: apsw.Connection, messages: Sequence[Message]) -> list[Posted]:
    """The caller has begun, and commits or undoes."""
    return [_add(db, message) for message in messages]


def _add(db: apsw.Connection, message: Message) -> Posted:
    found: Any = db.execute(_SQL["addressee"], (message.run_id,)).fetchall()
    if not found:
        return Posted.UNKNOWN
    number, is_open = found[0]
    if db.execute(_SQL["has_message"], (number, message.key)).fetchall():
        return Posted.ACCEPTED
    if not is_open:
        return Posted.OVER
    db.execute(_SQL["add_message"], (number, message.key, message.body, message.at))
    return Posted.ACCEPTED


def post_beside(path: Path, messages: Sequence[Message]) -> list[Posted]:
    """Post from a process that does not own the file: the owner sees it at its next look."""
    db = connect(path)
    try:
        with translated(path):
            db.execute("BEGIN IMMEDIATE")
            answers = add(db, messages)
        try:
            db.execute("COMMIT")
        except apsw.Error as exc:
            raise commit_failure(path, exc) from exc
        return answers
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
        db.close()


class Inbox:
    """Reads what waits, on the writer's connection: there `data_version` says whether another process
    has written, for a hundredth of the price of a look. `stale` after a change of our own."""

    def __init__(self, db: apsw.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self._version: Any = None
        self.stale = True

    def waiting(self, session: int, limit: int) -> list[Message]:
        with translated(self._path):
            version: Any = self._db.execute(_SQL["version"]).fetchall()
            if version == self._version and not self.stale:
                return []
            rows: Any = self._db.execute(_SQL["inbox"], (session, limit)).fetchall()
            self._version, self.stale = version, bool(rows)
        return [Message(run_id=run_id, key=key, body=body, at=at) for run_id, key, body, at in rows]
