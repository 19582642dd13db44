"""The schema, its migrations and the statements over it agree with each other."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from aether.adapters.listings import branches, few, within
from aether.adapters.migrations import Applied, Migration, read_migrations, still_to_apply
from aether.adapters.store.sqlite import database, sql, sqlite_path
from aether.adapters.store.sqlite.reader import _spelled
from aether.errors import EngineBug, Refused
from aether.ports import RunQuery
from aether.record import Phase

FILES = ("writing", "reading", "definitions", "cluster")


def objects(db: apsw.Connection) -> list[tuple[str, ...]]:
    text = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    return [
        tuple(" ".join(str(part).split()) for part in row) for row in db.execute(text).fetchall()
    ]


def test_the_schema_is_the_sum_of_its_migrations(tmp_path: Path) -> None:
    migrated, _ = database.prepare(tmp_path / "aether.db", 1)
    whole = apsw.Connection(":memory:")
    whole.execute(sql.schema()).fetchall()
    assert objects(migrated) == objects(whole)
    migrated.close()
    whole.close()


def test_every_table_is_strict() -> None:
    db = apsw.Connection(":memory:")
    db.execute(sql.schema()).fetchall()
    tables = db.execute(
        "SELECT name, strict FROM pragma_table_list WHERE type = 'table'"
    ).fetchall()
    lax = {name for name, strict in tables if not strict and not str(name).startswith("sqlite_")}
    assert not lax
    db.close()


@pytest.mark.parametrize("file", FILES)
def test_every_statement_fits_the_schema(file: str) -> None:
    db = apsw.Connection(":memory:")
    db.execute(sql.schema()).fetchall()
    assert sql.statements(file)
    for name, text in sql.statements(file).items():
        if name == "begin":
            continue
        if "{conditions}" in text:
            text = text.format(index="run_by_creation", conditions="1", order="ASC")
        if "rows(" in text:
            text = sql.for_rows(file, name, 3)
            assert text.count("), (") == 2
        db.execute(f"EXPLAIN {text}", can_bind_none(text)).fetchall()
    db.close()


def can_bind_none(text: str) -> list[None]:
    return [None] * (text.count("?") if "?1" not in text else 2 if "?2" in text else 1)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (RunQuery(), "run_by_creation"),
        (RunQuery(phases=(Phase.SUCCEEDED,)), "run_by_creation"),
        (RunQuery(phases=(Phase.READY, Phase.RUNNING)), "run_open"),
        (RunQuery(phases=(Phase.FAILED,), name="flow"), "run_unsuccessful"),
        (RunQuery(phases=(Phase.FAILED, Phase.ERROR), created_from=1), "run_unsuccessful"),
        (RunQuery(id_prefix="0190", phases=(Phase.FAILED,)), "run_by_id"),
        (RunQuery(labels={"team": "etl"}, created_from=1, created_to=9), "run_label"),
        (RunQuery(created_from=1, finished_to=9), "run_by_creation"),
        (RunQuery(text="flow"), "run_by_creation"),
        (RunQuery(cron_id="cron", name="flow"), "run_by_cron"),
        (RunQuery(name="flow", namespace="default"), "run_by_name"),
        (RunQuery(name="flow", phases=(Phase.SUCCEEDED,), newest_first=False), "run_by_name"),
    ],
)
def test_a_page_of_runs_is_found_by_an_index(query: RunQuery, index: str) -> None:
    db = apsw.Connection(":memory:")
    db.execute(sql.schema()).fetchall()
    small = few(query)
    for branch in [small] if small else branches(query):
        name = "few_runs" if small else "labelled_runs" if index == "run_label" else "runs"
        branch = within(branch, query, (5, "behind"))
        conditions, values = _spelled(branch)
        order = "DESC" if query.newest_first else "ASC"
        text = sql.statements("reading")[name].format(
            index=branch.through, conditions=conditions, order=order
        )
        plan = [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {text}", (*values, 20))]
        kind = "SCAN" if index == "run_open" else "SEARCH"  # a partial index is read whole
        assert any(step.startswith(kind) and index in step for step in plan)
        if not small and index != "run_label":
            assert not any("TEMP B-TREE" in step for step in plan), "the index gives the order too"
    db.close()


@pytest.mark.parametrize(
    "name", ["add_runs", "touch_runs", "move_runs", "put_tasks", "put_hooks", "add_log"]
)
def test_no_statement_of_a_decision_makes_a_table_of_its_own(name: str) -> None:
    """SQLite makes one for `IN (…)` with more than two members, anew for each row that is written."""
    db = apsw.Connection(":memory:")
    db.execute(sql.schema()).fetchall()
    text = sql.for_rows("writing", name, 1)
    steps = db.execute(f"EXPLAIN {text}", can_bind_none(text)).fetchall()
    assert "OpenEphemeral" not in [step[1] for step in steps]
    db.close()


@pytest.mark.parametrize("file", FILES)
def test_every_statement_has_a_sentence(file: str) -> None:
    path = Path(database.__file__).parent / "statements" / f"{file}.sql"
    heads = [line for line in path.read_text("utf-8").splitlines() if line.startswith("-- ")]
    assert len([line for line in heads if ": " in line]) >= len(sql.statements(file))


def test_a_database_is_migrated_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "aether.db"
    known = len(database.known())
    assert database.status(path).pending
    assert database.migrate(path, 1) == known
    assert database.migrate(path, 2) == 0
    found = database.status(path)
    assert (found.exists, found.schema, found.known, found.pending) == (True, known, known, [])
    assert database.check(path) == []


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "aether.db"
    database.migrate(path, 1)
    bad = Migration(2, "bad", "CREATE TABLE half (a INTEGER) STRICT; SELECT nonsense;", "x")
    both = [*database.known(), bad]
    monkeypatch.setattr(database, "known", lambda: both)
    with pytest.raises(apsw.SQLError):
        database.migrate(path, 2)
    assert database.status(path).pending == ["0002_bad"]
    db = database.connect(path, read_only=True)
    assert db.execute("SELECT name FROM sqlite_schema WHERE name = 'half'").fetchall() == []
    db.close()


# Rules of every dialect


def steps(count: int) -> list[Migration]:
    return [Migration(n, f"m{n}", "", f"sum{n}") for n in range(1, count + 1)]


def applied(*numbers: int) -> list[Applied]:
    return [Applied(n, f"m{n}", f"sum{n}") for n in numbers]


def test_what_was_not_applied_is_applied_in_order() -> None:
    assert [m.number for m in still_to_apply(steps(3), applied(1), "db")] == [2, 3]
    assert list(still_to_apply(steps(2), applied(2, 1), "db")) == []


@pytest.mark.parametrize(
    ("done", "code"),
    [
        (applied(1, 2, 3), "store-newer"),
        ([Applied(1, "m1", "other")], "store-migration-changed"),
        (applied(2), "store-migration-changed"),
    ],
)
def test_a_past_that_we_do_not_know_is_refused(done: list[Applied], code: str) -> None:
    with pytest.raises(Refused) as caught:
        still_to_apply(steps(2), done, "the database")
    assert caught.value.code == code
    assert "the database" in str(caught.value)


def test_migrations_are_read_in_order_and_whatever_the_line_ends(tmp_path: Path) -> None:
    (tmp_path / "0002_second.sql").write_bytes(b"SELECT 2;\r\n")
    (tmp_path / "0001_first.sql").write_bytes(b"SELECT 1;\n")
    (tmp_path / "notes.txt").write_text("not a migration")
    first, second = read_migrations(tmp_path)
    assert (first.name, second.name, second.text) == ("first", "second", "SELECT 2;\n")
    (tmp_path / "0002_second.sql").write_bytes(b"SELECT 2;\n")
    assert read_migrations(tmp_path)[1].checksum == second.checksum


def test_a_gap_between_migrations_is_a_bug(tmp_path: Path) -> None:
    (tmp_path / "0002_second.sql").write_text("SELECT 2;")
    with pytest.raises(EngineBug):
        read_migrations(tmp_path)


# URLs


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///data/aether.db", "data/aether.db"),
        ("sqlite:////var/lib/aether.db", "/var/lib/aether.db"),
        ("sqlite:data/aether.db", "data/aether.db"),
        ("sqlite:/var/lib/aether.db", "/var/lib/aether.db"),
        ("sqlite:///my%20data/a.db", "my data/a.db"),
    ],
)
def test_a_url_names_a_file(url: str, path: str) -> None:
    assert sqlite_path(url) == Path(path)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:",
        "sqlite:///",
        "sqlite://data/aether.db",
        "sqlite:///a.db?mode=ro",
        "sqlite:///data/",
        "sqlite:///:memory:",
        "sqlite::memory:",
        "sqlite:///a.db#x",
    ],
)
def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(Refused) as caught:
        sqlite_path(url)
    assert caught.value.code == "bad-store-url"
    assert url in str(caught.value)
