"""`aether db vacuum` as a user calls it, on a SQLite file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aether.adapters.clock import SystemClock
from aether.adapters.store import SqliteStore
from aether.cli import exits
from aether.cli.main import run_cli
from aether.ports import RunQuery
from aether.record import Phase, encode_json
from aether.testing.rows import a_run, a_task, committed, creating

_DAY = 86_400_000_000

Call = Callable[..., str]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs that ended 1 and 40 days ago; the older one that succeeded is large and has an artifact."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "aether.db"

    async def fill() -> None:
        store = SqliteStore(path, durability="normal")
        await store.open()
        now = SystemClock().now()
        for phase in (Phase.SUCCEEDED, Phase.FAILED):
            for days in (1, 40):
                at = now - days * _DAY
                run = a_run(f"{phase}-{days}", created_at=at, finished_at=at, phase=phase)
                place = {"type": "local", "config": {"path": "report.txt"}}
                large = b'["' + b"x" * 400_000 + b'"]'
                task = a_task(0, phase=phase, outputs=large)
                if (phase, days) == (Phase.SUCCEEDED, 40):
                    task.artifacts_out = encode_json({"report": place})
                await committed(store, creating(run, tasks=[task]))
        await committed(store, creating(a_run("busy", created_at=1, phase=Phase.RUNNING)))
        await store.close()

    asyncio.run(fill())
    artifact = tmp_path / "data" / "artifacts" / "report.txt"
    artifact.parent.mkdir(parents=True)
    artifact.write_text("a report")
    return path


@pytest.fixture
def vacuum(path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: str, code: int = exits.OK) -> str:
        found = run_cli(["db", "vacuum", *arguments, "--db", f"sqlite:///{path}"])
        out, err = capsys.readouterr()
        assert found == code, out + err
        return out + err

    return call


def left(path: Path) -> set[str]:
    async def look() -> set[str]:
        store = SqliteStore(path, read_only=True)
        await store.open()
        try:
            return {run.run_id for run in (await store.runs(RunQuery())).runs}
        finally:
            await store.close()

    return asyncio.run(look())


def test_old_runs_go_with_their_artifacts_and_the_file_shrinks(vacuum: Call, path: Path) -> None:
    before = path.stat().st_size
    said = vacuum("--older-than", "30d")
    assert said.startswith("2 runs deleted: 1 Failed, 1 Succeeded\n")
    assert left(path) == {"Succeeded-1", "Failed-1", "busy"}
    assert path.stat().st_size < before - 500_000
    assert not (path.parent / "data" / "artifacts" / "report.txt").exists()


def test_phase_narrows_what_goes(vacuum: Call, path: Path) -> None:
    vacuum("--older-than", "30d", "--phase", "failed")
    assert left(path) == {"Succeeded-1", "Succeeded-40", "Failed-1", "busy"}


def test_dry_run_changes_nothing_and_says_what_would_go(vacuum: Call, path: Path) -> None:
    before = path.read_bytes()
    said = vacuum("--older-than", "30d", "--dry-run")
    assert said == "2 runs would be deleted: 1 Failed, 1 Succeeded\n"
    assert path.read_bytes() == before
    assert (path.parent / "data" / "artifacts" / "report.txt").exists()


def test_without_an_age_nothing_is_deleted(vacuum: Call, path: Path) -> None:
    assert "bytes before" in vacuum()
    assert len(left(path)) == 5
    assert "nothing to do" in vacuum("--dry-run")


def test_scripts_get_json(vacuum: Call) -> None:
    told = json.loads(vacuum("--older-than", "30d", "--json"))
    assert told["deleted"] == {"Failed": 1, "Succeeded": 1}
    assert told["bytesAfter"] < told["bytesBefore"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--older-than", "soon"], "is no age"), (["--phase", "Failed"], "--older-than too")],
)
def test_options_that_make_no_sense_are_refused(
    vacuum: Call, path: Path, arguments: list[str], says: str
) -> None:
    assert says in vacuum(*arguments, code=exits.USAGE)
    assert len(left(path)) == 5


async def test_database_of_a_running_engine_is_left_alone(vacuum: Call, path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    try:
        said = await asyncio.to_thread(vacuum, "--older-than", "30d", code=exits.USAGE)
        assert "store-locked" in said
        assert "2 runs would be deleted" in await asyncio.to_thread(
            vacuum, "--older-than", "30d", "--dry-run"
        )
        assert "store-locked" in await asyncio.to_thread(vacuum, code=exits.USAGE)
    finally:
        await store.close()


def test_database_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'none.db'}"
    assert run_cli(["db", "vacuum", "--db", url]) == exits.USAGE
    assert "store-missing" in capsys.readouterr().err
