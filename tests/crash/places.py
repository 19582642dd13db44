"""The stores that the crash matrix is run on.

In: a directory, or a server. Out: where a workload finds its store, and a look at it from outside.
Never: anything written.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from aether.adapters.store import PostgresStore, SqliteStore, store_from
from aether.ports import Store

EXAMPLE = Path(__file__).parents[2] / "examples" / "bring_your_own_store"


class Place(Protocol):
    keeps_log: bool

    @property
    def url(self) -> str: ...

    def reader(self) -> Store:
        """A store to look with, not yet open."""

    def left_behind(self) -> Sequence[str]:
        """What a clean stop should have taken away; to be asked before anybody reads."""

    def faults(self) -> Sequence[str]:
        """What the database itself says is wrong, and what it holds that nobody owns."""


class SqlitePlace:
    keeps_log = True

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.url = f"sqlite:{self.path}"

    def reader(self) -> Store:
        return SqliteStore(self.path, read_only=True)

    def left_behind(self) -> list[str]:
        left = [self.path.with_name(self.path.name + end) for end in ("-wal", "-shm")]
        return [f"{path} was left behind by a clean stop" for path in left if path.exists()]

    def faults(self) -> list[str]:
        from aether.adapters.store.sqlite.database import check, connect

        found = [f"integrity_check: {line}" for line in check(self.path)]
        db = connect(self.path, read_only=True)
        try:
            for table in ("task", "hook", "log", "run_input", "run_label", "payload_use"):
                text = f"SELECT count(*) FROM {table} WHERE run NOT IN (SELECT number FROM run)"
                ((orphans,),) = db.execute(text).fetchall()
                if orphans:
                    found.append(f"{orphans} rows of {table} belong to no run")
            uses = "SELECT document, count(*) FROM run GROUP BY document"
            counted = dict(db.execute(uses).fetchall())
            kept = dict(db.execute("SELECT digest, runs FROM document").fetchall())
            texts = {digest for (digest,) in db.execute("SELECT digest FROM document_text")}
            if counted != kept or texts != set(kept):
                found.append("the documents are not counted as the runs use them")
        finally:
            db.close()
        return found


class PostgresPlace:
    """A database of its own on a server that the caller has started."""

    keeps_log = True

    def __init__(self, url: str) -> None:
        self.url = url

    def reader(self) -> Store:
        return PostgresStore(self.url)

    def left_behind(self) -> list[str]:
        return []

    def faults(self) -> list[str]:
        from aether.adapters.store.postgres.database import check

        return asyncio.run(check(self.url))


class FilesPlace:
    """The store of examples/bring_your_own_store, in a directory."""

    keeps_log = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self.url = f"files:{self._folder}"

    def reader(self) -> Store:
        return store_in_files(self._folder)

    def left_behind(self) -> list[str]:
        return [f"{path} was left behind" for path in self._folder.rglob("*.new")]

    def faults(self) -> list[str]:
        return []


def store_in_files(folder: Path) -> Store:
    sys.path.append(str(EXAMPLE))
    from file_records import FileRecords  # type: ignore[import-not-found]

    return store_from(FileRecords(folder))
