"""`aether audit` as a user calls it, on a real SQLite file."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from aether.adapters.store import SqliteStore
from aether.app import Aether
from aether.cli import exits
from aether.cli.main import run_cli
from aether.testing.rows import a_run, committed, creating

HELLO = """
apiVersion: aether/v1
kind: Workflow
metadata: {name: hello}
spec:
  entrypoint: main
  templates:
    - dag:
        name: main
        tasks:
          - {name: a, executor: {type: echo}, inputs: {parameters: [{name: text, value: hi}]}}
          - {name: b, executor: {type: echo}, dependencies: [a]}
          - {name: c, executor: {type: echo}, dependencies: [b]}
"""
KEY = b"secret of the auditors"

Call = Callable[..., str]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs, `ada` and `eve`, signed."""
    path = tmp_path_factory.mktemp("audit") / "aether.db"

    async def live() -> None:
        store = SqliteStore(path, durability="normal")
        async with Aether(store=store, audit_key=KEY) as app:
            for name in ("ada", "eve"):
                await app.wait(await app.submit(HELLO, run_id=name))

    asyncio.run(live())
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(original, tmp_path / "aether.db"))


@pytest.fixture
def key(tmp_path: Path) -> str:
    file = tmp_path / "audit.key"
    file.write_bytes(KEY + b"\n")
    return str(file)


@pytest.fixture
def audit(path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: str, code: int = exits.OK, db: Path = path) -> str:
        found = run_cli(["audit", *arguments, "--db", f"sqlite:///{db}"])
        out, err = capsys.readouterr()
        assert found == code, out + err
        return out + err

    return call


def change(path: Path, statement: str) -> None:
    db = apsw.Connection(str(path))
    db.execute(statement).fetchall()
    db.close()


def test_all_runs_are_verified_when_none_is_named(audit: Call) -> None:
    assert audit("verify") == "2 runs read: every log holds\n"
    assert audit("verify", "--all") == "2 runs read: every log holds\n"


def test_named_run_is_shown_with_its_head(audit: Call) -> None:
    assert "entries, head " in audit("verify", "ada")
    assert audit("verify", "nobody", code=exits.NOT_FOUND).startswith("error[run-not-found]")


def test_runs_and_all_together_are_refused(audit: Call) -> None:
    assert "not both" in audit("verify", "ada", "--all", code=exits.USAGE)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM log WHERE run = 1 AND seq = 2", "a gap, 2 missing"),
        (
            "DELETE FROM log WHERE run = 1 AND seq = (SELECT max(seq) FROM log WHERE run = 1)",
            "tail",
        ),
        ("UPDATE log SET at = at + 1 WHERE run = 1 AND seq = 2", "another place or time"),
        ("UPDATE document_text SET text = CAST('{}' AS BLOB)", "its document was changed"),
        ("DELETE FROM task WHERE run = 1", "in the log and not in the store"),
    ],
)
def test_tampering_with_the_file_is_found(
    audit: Call, path: Path, statement: str, says: str
) -> None:
    change(path, statement)
    out = audit("verify", code=exits.VERIFY)
    assert says in out
    assert "of them do not hold" in out
    assert says in audit("verify", "ada", code=exits.VERIFY)


async def test_runs_without_a_log_are_counted_apart(audit: Call, path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    await committed(store, creating(a_run("ira", seq=3, tier="snapshot")))
    await store.close()
    said = await asyncio.to_thread(audit, "verify")
    assert said == "2 runs read: every log holds\n1 more of another tier keep no log\n"
    assert "`snapshot`" in await asyncio.to_thread(audit, "verify", "ira", code=exits.INVALID)


def test_entries_of_two_runs_that_were_swapped_are_found(audit: Call, path: Path) -> None:
    change(path, "UPDATE log SET run = 103 - run WHERE seq = 2")
    change(path, "UPDATE log SET run = run - 100 WHERE run > 100")
    out = audit("verify", code=exits.VERIFY)
    assert "ada: entry 2" in out
    assert "eve: entry 2" in out


def test_key_is_asked_for_every_signature(audit: Call, key: str, tmp_path: Path) -> None:
    assert "every log holds" in audit("verify", "--key", key)
    other = tmp_path / "other.key"
    other.write_text("another")
    assert "not one by this key" in audit("verify", "--key", str(other), code=exits.VERIFY)
    other.write_text("\n")
    assert "is empty" in audit("verify", "--key", str(other), code=exits.USAGE)
    assert "cannot be read" in audit("verify", "--key", "no/such/key", code=exits.USAGE)


def test_scripts_get_a_line_of_json_for_each_run(audit: Call, path: Path) -> None:
    change(path, "DELETE FROM log WHERE run = 1 AND seq = 2")
    told = [json.loads(line) for line in audit("verify", "--json", code=exits.VERIFY).splitlines()]
    assert [(run["runID"], run["holds"]) for run in told] == [("ada", False), ("eve", True)]
    assert told[0]["faults"][0].endswith("a gap, 2 missing")


def test_exported_run_is_imported_into_another_database(
    audit: Call, key: str, tmp_path: Path
) -> None:
    file, other = tmp_path / "ada.jsonl", tmp_path / "other" / "aether.db"
    audit("export", "ada", "--out", str(file))
    assert audit("export", "ada") == file.read_text()
    assert "ada: " in audit("import", str(file), db=other)
    assert json.loads(audit("import", str(file), "--json", db=other))["runID"] == "ada"
    assert "1 run read: every log holds" in audit("verify", "--key", key, db=other)


def test_export_that_fails_leaves_the_file_as_it_was(
    audit: Call, path: Path, tmp_path: Path
) -> None:
    change(path, "DELETE FROM log WHERE run = 1 AND seq = 2")
    file = tmp_path / "ada.jsonl"
    file.write_text("before")
    assert "error[audit-broken]" in audit("export", "ada", "--out", str(file), code=exits.INVALID)
    assert file.read_text() == "before"
    assert [each.name for each in tmp_path.glob("*.part")] == []
    nowhere = str(tmp_path / "no" / "such" / "folder")
    assert "error[file-unwritable]" in audit("export", "eve", "--out", nowhere, code=exits.INVALID)


def test_import_says_what_is_wrong_with_a_file(audit: Call, tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    file.write_text("no json")
    said = audit("import", str(file), code=exits.INVALID)
    assert said.startswith("error[bad-audit-file]")
    assert f"{file}:1" in said
    assert "cannot be read" in audit("import", "no-such-file", code=exits.USAGE)


async def test_import_refuses_a_file_that_an_engine_has_open(
    audit: Call, path: Path, tmp_path: Path
) -> None:
    file = tmp_path / "ada.jsonl"
    await asyncio.to_thread(audit, "export", "ada", "--out", str(file))
    store = SqliteStore(path)
    await store.open()
    try:
        said = await asyncio.to_thread(audit, "import", str(file), code=exits.USAGE)
        assert "error[store-locked]" in said
        assert "every log holds" in await asyncio.to_thread(audit, "verify")
    finally:
        await store.close()
