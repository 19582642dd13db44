"""Moves what was committed from the write-ahead log into the database, beside the writer.

In: the log's length after each commit. Out: a log that begins again from its start. Never: a wait for
a reader, and none of the writer but for the last few pages.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from pathlib import Path

import apsw

from .database import connect

_log = logging.getLogger("aether.store")

LONG = 1000
"""Pages in the log after which it is worth a checkpoint."""


class Checkpoints:
    """A thread and a connection of its own, so that no commit waits for the database file's fsync."""

    def __init__(self, path: Path, durability: str) -> None:
        self._path = path
        self._db = connect(path, durability=durability)
        self._wanted = threading.Event()
        self._closed = False
        self._nearly_done = False
        self._next = LONG
        self._last = 0
        self._thread = threading.Thread(target=self._serve, name="aether-checkpoint", daemon=True)
        self._thread.start()

    def grown(self, db: apsw.Connection, name: str, pages: int) -> int:
        """SQLite calls this after each commit of the writer.

        The thread moves nearly all; while it does, the writer adds some more, and a log that is never
        moved whole never begins again. So the writer moves the little that is left.
        """
        if pages < self._last:
            self._next = LONG  # it has begun again
        self._last = pages
        if pages >= self._next and not self._wanted.is_set():
            if self._nearly_done:
                self._nearly_done = False
                self._next = (
                    pages + LONG
                )  # if a reader keeps it from beginning again, do not insist
                with suppress(apsw.Error):  # the commit itself is on disk; the thread will tell
                    db.wal_checkpoint(name, apsw.SQLITE_CHECKPOINT_PASSIVE)
            else:
                self._wanted.set()
        return apsw.SQLITE_OK

    def close(self) -> None:
        self._closed = True
        self._wanted.set()
        self._thread.join()
        self._db.close()

    def _serve(self) -> None:
        failing = False  # said once, not at each commit of a bad day
        while not self._closed:  # `close` may have asked just before the wish was cleared below
            self._wanted.wait()
            if self._closed:
                return
            try:
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except (apsw.BusyError, apsw.LockedError):
                pass  # the writer's own turn; the next commit asks again
            except apsw.Error as exc:
                # A full disk or a bad page. Nothing is lost: the log keeps all until it works again.
                if not failing:
                    _log.warning(
                        "%s: no checkpoint, the next commits try again: %s", self._path, exc
                    )
                failing = True
            else:
                failing = False
                self._nearly_done = True
            self._wanted.clear()
