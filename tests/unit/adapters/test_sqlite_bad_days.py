"""A disk that is full, a file that is damaged, foreign, newer or held by somebody else."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from aether.adapters.store import SqliteStore
from aether.adapters.store.sqlite import database
from aether.adapters.store.sqlite.parts import Changes
from aether.adapters.store.sqlite.writer import Writer
from aether.errors import CommitUnknown, Refused, StoreUnavailable
from aether.ports import Committed, Conflict, RunQuery
from aether.record import RunPatch
from aether.testing.rows import a_run, a_task, changing, committed, creating


async def a_store(path: Path, runs: int = 0) -> SqliteStore:
    store = SqliteStore(path)
    await store.open()
    for number in range(runs):
        await committed(store, creating(a_run(f"r{number}"), tasks=[a_task(0, inputs=bytes(2000))]))
    return store


def changes_of(path: Path) -> tuple[apsw.Connection, Changes]:
    """The blocking part of a store alone, with its connection at hand to make it fail."""
    db, _ = database.prepare(path, 1)
    writer = Writer(db, path, keeps_log=True)
    return db, Changes(path, db, writer, db.close)


async def refused(store: SqliteStore) -> Refused:
    with pytest.raises(Refused) as caught:
        await store.open()
    return caught.value


async def test_a_second_engine_in_the_same_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "aether.db"
    store = await a_store(path)
    problem = await refused(SqliteStore(path))
    assert problem.code == "store-locked"
    assert f"this very process ({os.getpid()})" in str(problem)
    await store.close()
    again = await a_store(path)
    await again.close()


async def test_an_opening_that_fails_leaves_no_lock_behind(tmp_path: Path) -> None:
    path = tmp_path / "aether.db"
    path.write_bytes(b"this is no database at all" * 400)
    assert (await refused(SqliteStore(path))).code == "store-corrupt"
    path.unlink()
    await (await a_store(path)).close()


async def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "aether.db"
    content = b"dear diary, " * 1000
    path.write_bytes(content)
    assert (await refused(SqliteStore(path))).code == "store-corrupt"
    assert path.read_bytes() == content


async def test_a_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "aether.db"
    with closing(apsw.Connection(str(path))) as db:
        db.execute("CREATE TABLE diary (line TEXT)")
    before = path.read_bytes()
    for read_only in (False, True):
        problem = await refused(SqliteStore(path, read_only=read_only))
        assert problem.code == "store-foreign"
    assert path.read_bytes() == before


async def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "aether.db"
    await (await a_store(path)).close()
    with closing(apsw.Connection(str(path))) as db:
        db.execute("INSERT INTO migration VALUES (99, 'future', 'x', 1)")
    before = path.read_bytes()
    for read_only in (False, True):
        problem = await refused(SqliteStore(path, read_only=read_only))
        assert problem.code == "store-newer"
        assert "newer version" in str(problem)
    assert path.read_bytes() == before


async def test_a_database_migrated_by_another_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "aether.db"
    await (await a_store(path)).close()
    with closing(apsw.Connection(str(path))) as db:
        db.execute("UPDATE migration SET checksum = 'other' WHERE number = 1")
    assert (await refused(SqliteStore(path))).code == "store-migration-changed"


async def test_damaged_pages_are_reported_and_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "aether.db"
    await (await a_store(path, runs=40)).close()
    content = bytearray(path.read_bytes())
    for page in range(2, len(content) // 4096):  # all but the schema
        content[page * 4096 : page * 4096 + 200] = bytes(range(200))
    path.write_bytes(content)
    assert database.check(path)
    store = SqliteStore(path)
    with pytest.raises((Refused, StoreUnavailable)) as caught:
        await store.open()
        await store.commit([creating(a_run("new"), tasks=[a_task(0)])])
    assert "damaged" in str(caught.value)
    await store.close()
    assert path.read_bytes() == content


async def test_damage_found_by_a_reader_is_told_each_time_and_other_runs_are_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "aether.db"
    await (await a_store(path, runs=40)).close()
    with closing(apsw.Connection(str(path))) as db:
        text = "SELECT rootpage FROM sqlite_schema WHERE name = 'task'"
        ((page,),) = db.execute(text).fetchall()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = bytes(range(256)) * 16
    path.write_bytes(content)
    store = SqliteStore(path, read_only=True)
    await store.open()
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            await store.load(["r1"])
        assert caught.value.code == "store-corrupt"
        assert await store.run("r1") is not None
    await store.close()


async def test_after_damage_was_found_nothing_is_written_any_more(tmp_path: Path) -> None:
    path = tmp_path / "aether.db"
    db, changes = changes_of(path)

    def find_damage() -> None:
        raise apsw.CorruptError("database disk image is malformed")

    with pytest.raises(StoreUnavailable, match="damaged"):
        changes.alone(find_damage)
    with pytest.raises(StoreUnavailable, match="damaged"):
        changes.commit([creating(a_run("run"))])
    assert db.execute("SELECT count(*) FROM run").fetchall() == [(0,)]
    changes.close()


async def test_a_full_disk_writes_nothing_and_is_no_end(tmp_path: Path) -> None:
    db, changes = changes_of(tmp_path / "aether.db")
    (first,) = changes.commit([creating(a_run("run"))])
    assert isinstance(first, Committed)
    ((pages,),) = db.execute("PRAGMA page_count").fetchall()
    db.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    large = changing(
        "run", first.token, RunPatch(message="large"), [a_task(0, inputs=bytes(99999))]
    )
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="no space left"):
            changes.commit([creating(a_run("other")), large])
    assert db.execute("SELECT run_id FROM run").fetchall() == [("run",)]
    assert db.execute("SELECT count(*) FROM task").fetchall() == [(0,)]
    db.execute("PRAGMA max_page_count = 1000000").fetchall()
    outcomes = changes.commit([creating(a_run("other")), large])
    assert [type(outcome) for outcome in outcomes] == [Committed, Committed]
    changes.close()


async def test_a_commit_that_fails_at_the_end_is_in_doubt_and_the_store_goes_on(
    tmp_path: Path,
) -> None:
    db, changes = changes_of(tmp_path / "aether.db")
    (first,) = changes.commit([creating(a_run("run"), tasks=[a_task(0)])])
    assert isinstance(first, Committed)
    db.set_commit_hook(lambda: True)  # makes COMMIT fail
    with pytest.raises(CommitUnknown):
        changes.commit([changing("run", first.token, RunPatch(message="lost"))])
    db.set_commit_hook(None)
    assert db.execute("SELECT token FROM run").fetchall() == [(first.token,)]
    (second,) = changes.commit([changing("run", first.token, RunPatch(message="kept"))])
    assert isinstance(second, Committed)
    (late,) = changes.commit([changing("run", first.token, RunPatch(message="late"))])
    assert isinstance(late, Conflict)
    changes.close()


async def test_a_fault_in_the_middle_leaves_nothing_in_the_file_or_in_memory(
    tmp_path: Path,
) -> None:
    _, changes = changes_of(tmp_path / "aether.db")
    (first,) = changes.commit([creating(a_run("run"))])
    assert isinstance(first, Committed)

    def half() -> None:
        changes.writer.write([changing("run", first.token, RunPatch(message="half"))])
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError):
        changes.alone(half)
    (second,) = changes.commit([changing("run", first.token, RunPatch(seq=2))])
    assert isinstance(second, Committed)
    changes.close()
    store = SqliteStore(tmp_path / "aether.db")
    await store.open()
    row = await store.run("run")
    assert row is not None
    assert (row.message, row.seq) == ("", 2)
    await store.close()


async def test_a_store_that_only_reads_refuses_every_change(tmp_path: Path) -> None:
    path = tmp_path / "aether.db"
    store = await a_store(path, runs=2)
    reading = SqliteStore(path, read_only=True)
    await reading.open()
    assert len((await reading.runs(RunQuery())).runs) == 2
    for change in (
        reading.commit([creating(a_run("new"))]),
        reading.delete("r0"),
        reading.delete_cron("any"),
    ):
        with pytest.raises(Refused) as caught:
            await change
        assert caught.value.code == "store-read-only"
    await committed(store, creating(a_run("new")))
    assert await reading.run("new") is not None
    await reading.close()
    await store.close()


async def test_there_must_be_something_to_read(tmp_path: Path) -> None:
    path = tmp_path / "aether.db"
    problem = await refused(SqliteStore(path, read_only=True))
    assert problem.code == "store-missing"
    assert not path.exists()


async def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "aether.db")
    for call in (store.commit([creating(a_run("run"))]), store.run("run"), store.load(["run"])):
        with pytest.raises(StoreUnavailable, match="not open"):
            await call


async def test_an_unknown_durability_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "aether.db", durability="none")
    assert (await refused(store)).code == "bad-durability"
