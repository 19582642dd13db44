"""`aether db export` and `import` as a user calls them, between SQLite files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aether.adapters.store import SqliteStore
from aether.cli import exits
from aether.cli.main import run_cli
from aether.record import Phase
from aether.testing.rows import a_run, committed, creating

Call = Callable[..., str]


def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Three runs, of which no log was kept."""
    path = tmp_path / "aether.db"

    async def fill() -> None:
        store = SqliteStore(path, durability="normal", keeps_log=False)
        await store.open()
        for run_id in ("ada", "eve", "ira"):
            await committed(store, creating(a_run(run_id, seq=3, phase=Phase.SUCCEEDED)))
        await store.close()

    asyncio.run(fill())
    return path


@pytest.fixture
def db(capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: str, code: int = exits.OK) -> str:
        found = run_cli(["db", *arguments])
        out, err = capsys.readouterr()
        assert found == code, out + err
        return out + err

    return call


def test_export_copies_everything_and_says_how_much(db: Call, path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy" / "aether.db"
    said = db("export", url(target), "--db", url(path))
    assert said.startswith("3 runs: 3 copied, 0 were there, 3 verified\n")
    said = db("export", url(target), "--db", url(path))
    assert said.startswith("3 runs: 0 copied, 3 were there, 3 verified\n")


def test_import_is_the_same_from_the_other_end(db: Call, path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    told = json.loads(db("import", url(path), "--db", url(target), "--json"))
    assert (told["runs"], told["copied"], told["verified"], told["faults"]) == (3, 3, 3, [])


def test_copy_that_does_not_hold_is_told_by_the_exit_code(
    db: Call, path: Path, tmp_path: Path
) -> None:
    target = tmp_path / "copy.db"

    async def disturb() -> None:
        store = SqliteStore(target, durability="normal")
        await store.open()
        await committed(store, creating(a_run("eve", name="other", seq=9)))
        await store.close()

    asyncio.run(disturb())
    said = db("export", url(target), "--db", url(path), code=exits.VERIFY)
    assert "does not hold: run eve: the target holds another run of that id" in said
    assert "2 copied" in said


def test_one_database_is_not_copied_into_itself(db: Call, path: Path) -> None:
    assert "same-database" in db("export", url(path), "--db", url(path), code=exits.INVALID)


def test_source_that_is_not_there_and_target_in_use_are_told(
    db: Call, path: Path, tmp_path: Path
) -> None:
    said = db("export", url(path), "--db", url(tmp_path / "none.db"), code=exits.USAGE)
    assert "store-missing" in said

    async def beside() -> str:
        store = SqliteStore(tmp_path / "busy.db")
        await store.open()
        try:
            return await asyncio.to_thread(
                db, "export", url(tmp_path / "busy.db"), "--db", url(path), code=exits.USAGE
            )
        finally:
            await store.close()

    assert "store-locked" in asyncio.run(beside())


async def test_source_may_be_open_in_an_engine(db: Call, path: Path, tmp_path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    try:
        said = await asyncio.to_thread(db, "export", url(tmp_path / "copy.db"), "--db", url(path))
    finally:
        await store.close()
    assert "3 verified" in said
