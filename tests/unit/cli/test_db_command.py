"""`aether db` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aether.adapters.store import SqliteStore
from aether.adapters.store.sqlite import database
from aether.cli import exits
from aether.cli.main import run_cli
from aether.testing.rows import a_run, committed, creating

KNOWN = len(database.known())  # migrations


def db(verb: str, path: Path, *more: str) -> int:
    return run_cli(["db", verb, "--db", f"sqlite:///{path}", *more])


def test_a_database_is_made_shown_and_found_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "data" / "aether.db"
    assert db("status", path) == exits.INVALID
    assert "does not exist yet" in capsys.readouterr().out
    assert db("migrate", path) == exits.OK
    assert "applied" in capsys.readouterr().out
    assert db("migrate", path) == exits.OK
    assert "up to date" in capsys.readouterr().out
    assert db("status", path) == exits.OK
    assert f"schema    {KNOWN} of {KNOWN}" in capsys.readouterr().out
    assert db("check", path) == exits.OK
    assert "no damage found" in capsys.readouterr().out


def test_scripts_get_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "aether.db"
    told = []
    for verb in ("migrate", "status", "check"):
        assert db(verb, path, "--json") == exits.OK
        told.append(json.loads(capsys.readouterr().out))
    migrate, status, check = told
    assert migrate == {"path": str(path), "applied": KNOWN}
    assert (status["exists"], status["schema"], status["pending"]) == (True, KNOWN, [])
    assert check == {"path": str(path), "problems": []}


async def test_status_and_check_work_beside_an_engine_and_migrate_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "aether.db"
    store = SqliteStore(path)
    await store.open()
    await committed(store, creating(a_run("run")))
    assert db("status", path) == exits.OK
    assert "1, of which 1 unfinished" in capsys.readouterr().out
    assert db("check", path) == exits.OK
    assert db("migrate", path) == exits.INVALID
    assert "error[store-locked]" in capsys.readouterr().err
    await store.close()


def test_damage_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "aether.db"
    path.write_bytes(b"something else entirely" * 500)
    assert db("check", path) == exits.INVALID
    assert "damaged" in capsys.readouterr().out


def test_there_must_be_a_file_to_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "aether.db"
    assert db("check", path) == exits.INVALID
    assert "error[store-missing]" in capsys.readouterr().err
    assert not path.exists()


def test_other_databases_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["db", "status", "--db", "mysql://host/db"]) == exits.INVALID
    assert "error[unknown-store]" in capsys.readouterr().err
