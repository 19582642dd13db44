"""The texts of runs' documents: each kept once, with the count of the runs that name it."""

from __future__ import annotations

from typing import Any

import apsw

from .sql import statements

_SQL = statements("writing")


class DocumentWriter:
    """Which documents are kept, and how many runs of a batch name each."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._known: set[bytes] = set()
        self._uses: dict[bytes, int] = {}

    def __contains__(self, digest: object) -> bool:
        assert isinstance(digest, bytes), "digests are bytes"
        if digest in self._known:
            return True
        if self._db.execute(_SQL["has_document"], (digest,)).fetchall():
            self._known.add(digest)
            return True
        return False

    def use(self, digest: bytes, document: tuple[bytes, bytes] | None) -> None:
        """One more run names it. Its text is taken the first time."""
        self._uses[digest] = self._uses.get(digest, 0) + 1
        if digest not in self:
            assert document is not None, "refusal() lets no run be without a document"
            self._db.execute(_SQL["add_text"], document)
            self._known.add(digest)

    def flush(self) -> None:
        for digest, count in self._uses.items():
            self._db.execute(_SQL["count_document"], (digest, count))
        self._uses.clear()
        if len(self._known) > 4096:
            self._known.clear()

    def forget(self) -> None:
        self._known.clear()
        self._uses.clear()

    def release(self, digest: bytes) -> None:
        """One run less names it; the last one takes it along."""
        left: Any = self._db.execute(_SQL["release_document"], (digest,)).fetchall()
        if left[0][0] <= 0:
            self._db.execute(_SQL["delete_document"], (digest,))
            self._db.execute(_SQL["delete_text"], (digest,))
            self._known.discard(digest)
