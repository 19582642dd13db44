"""Connections, and the schema under them.

In: a path. Out: connections set up for their part, on a database whose schema is the one we know.
Never: a file changed that is not ours, or that a newer version wrote.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec

from ....errors import Problem, Refused
from ....record import Instant
from ...migrations import Applied, Migration, read_migrations, still_to_apply
from .faults import translated
from .lock import ProcessLock
from .sql import migrations, schema

PAGE = 4096
WAL_PAGES = 4000
"""How far the write-ahead log is grown at the start: to write over a block takes half as long as to
append one, because the file's length need not go to disk too. It is not kept when the store is closed:
a backup that is put in the database's place must not meet the log of another time."""

_OLDEST = 3_051_003
_READ_WRITE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
_LEVELS = {"full": "FULL", "normal": "NORMAL"}


class Status(msgspec.Struct, kw_only=True):
    """What a database is, for people."""

    path: str
    exists: bool
    schema: int = 0
    known: int = 0
    pending: list[str] = []
    runs: int = 0
    unfinished: int = 0
    bytes: int = 0
    sqlite: str = ""


def connect(path: Path, *, read_only: bool = False, durability: str = "full") -> apsw.Connection:
    """One more connection. It waits a moment for a lock, and never runs into another's checkpoint."""
    if durability not in _LEVELS:
        raise Refused(
            Problem(
                "bad-durability",
                f"'{durability}' is no durability",
                fix="use 'full', or 'normal' where the last commits may be lost with the power",
            )
        )
    if apsw.sqlite_lib_version() < _full_version(_OLDEST):
        raise Refused(
            Problem(
                "store-sqlite-too-old",
                f"this apsw brings SQLite {apsw.sqlite_lib_version()}, which can damage a database",
                fix="install apsw 3.51.3 or newer from its own wheel",
            )
        )
    with translated(path):
        flags = apsw.SQLITE_OPEN_READONLY if read_only else _READ_WRITE
        db = apsw.Connection(os.fspath(path.absolute()), flags=flags)
        db.set_busy_timeout(5000)
        if not read_only:
            db.execute(f"PRAGMA synchronous = {_LEVELS[durability]}").fetchall()
            db.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
    return db


def _full_version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def prepare(path: Path, now: Instant, durability: str = "full") -> tuple[apsw.Connection, int]:
    """The writer's connection, migrated, and how many migrations that took. Needs the process lock."""
    fresh = not path.exists()
    db = connect(path, durability=durability)
    try:
        with translated(path):
            pending = still_to_apply(known(), applied(db, path), str(path))
            if db.execute("PRAGMA journal_mode = WAL").fetchall() != [("wal",)]:
                raise Refused(
                    Problem(
                        "store-no-wal",
                        f"{path} lies on a file system without shared memory",
                        fix="keep it on a local disk, not on a network share",
                    )
                )
            for migration in pending:
                _apply(db, migration, now)
        if fresh:
            _sync_directory(path.parent)
    except BaseException:
        db.close()
        raise
    return db, len(pending)


def known() -> Sequence[Migration]:
    return read_migrations(migrations())


def applied(db: apsw.Connection, path: Path) -> list[Applied]:
    """What the database says of itself; nothing for an empty one. Raises Refused `store-foreign`."""
    tables = {str(name) for (name,) in db.execute("SELECT name FROM sqlite_schema").fetchall()}
    if not tables:
        return []
    if "migration" not in tables:
        raise Refused(
            Problem(
                "store-foreign",
                f"{path} is a database of another program",
                fix="give Aether a file of its own",
            )
        )
    rows: list[Any] = db.execute("SELECT number, name, checksum FROM migration").fetchall()
    return [Applied(*row) for row in rows]


def _apply(db: apsw.Connection, migration: Migration, now: Instant) -> None:
    with db:
        if migration.number == 1:
            db.execute(_migration_table()).fetchall()
        db.execute(migration.text).fetchall()
        db.execute(
            "INSERT INTO migration VALUES (?, ?, ?, ?)",
            (migration.number, migration.name, migration.checksum, now),
        ).fetchall()


def _migration_table() -> str:
    """The table that must be there before any migration: the first statement of the schema."""
    text = schema()
    return text[: text.index(") STRICT;") + len(") STRICT;")]


def _sync_directory(directory: Path) -> None:
    """So that the file's name survives as well as its content."""
    if os.name == "nt":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def grow_log(db: apsw.Connection, path: Path) -> None:
    """Make the write-ahead log's file long, once, with pages that are rolled back at once."""
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size >= WAL_PAGES * PAGE:
        return
    (before,) = db.execute("PRAGMA cache_size").fetchall()[0]
    db.execute("PRAGMA cache_size = 16").fetchall()
    try:
        db.execute("BEGIN IMMEDIATE").fetchall()
        db.execute("CREATE TABLE filler (content BLOB)").fetchall()
        db.execute("INSERT INTO filler VALUES (zeroblob(?))", (WAL_PAGES * PAGE,)).fetchall()
    except apsw.FullError:
        return  # it only was to be quicker
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK").fetchall()
        db.execute(f"PRAGMA cache_size = {before:d}").fetchall()


def migrate(path: Path, now: Instant) -> int:
    """Bring a database up to date, or make one; answers how many migrations that took."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = ProcessLock(path)
    lock.acquire()
    try:
        db, count = prepare(path, now)
        db.close()
    finally:
        lock.release()
    return count


def vacuum(path: Path, now: Instant) -> tuple[int, int]:
    """Give the space of what was deleted back to the disk; answers the size before and after. Needs the
    database for itself, and for a while as much space again."""
    if not path.exists():
        raise Refused(
            Problem("store-missing", f"there is no {path}", fix="make it with `aether db migrate`")
        )
    lock = ProcessLock(path)
    lock.acquire()
    try:
        db, _ = prepare(path, now)
        try:
            with translated(path):
                before = path.stat().st_size
                for statement in ("VACUUM", "PRAGMA optimize = 0x10002"):
                    db.execute(statement).fetchall()
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            db.close()
    finally:
        lock.release()
    return before, path.stat().st_size


def status(path: Path) -> Status:
    """What there is, read beside a running engine."""
    everything = known()
    if not path.exists():
        names = [f"{each.number:04}_{each.name}" for each in everything]
        return Status(path=str(path), exists=False, known=len(everything), pending=names)
    db = connect(path, read_only=True)
    try:
        with translated(path):
            done = applied(db, path)
            pending = still_to_apply(everything, done, str(path))
            runs = unfinished = 0
            if done:
                counts: Any = db.execute(
                    "SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM run WHERE open = 1)"
                ).fetchone()
                runs, unfinished = counts
    finally:
        db.close()
    return Status(
        path=str(path),
        exists=True,
        schema=len(done),
        known=len(everything),
        pending=[f"{each.number:04}_{each.name}" for each in pending],
        runs=runs,
        unfinished=unfinished,
        bytes=path.stat().st_size,
        sqlite=apsw.sqlite_lib_version(),
    )


def check(path: Path) -> list[str]:
    """What is wrong with the file, in SQLite's words; nothing if it is whole."""
    if not path.exists():
        raise Refused(
            Problem("store-missing", f"there is no {path}", fix="make it with `aether db migrate`")
        )
    db = connect(path, read_only=True)
    try:
        with translated(path):
            still_to_apply(known(), applied(db, path), str(path))
            found = [str(line) for (line,) in db.execute("PRAGMA integrity_check(20)").fetchall()]
    except Refused as exc:
        if exc.code != "store-corrupt":
            raise
        return [exc.problems[0].what]
    finally:
        db.close()
    return [] if found == ["ok"] else found
