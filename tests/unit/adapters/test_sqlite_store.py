"""What the SQLite store does beyond what every store promises: memory, pace, size, and the ladder."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace

from aether.adapters.store import MemoryStore, SqliteStore
from aether.adapters.store.sqlite import database, parts, writer
from aether.adapters.store.sqlite.checkpoints import LONG, Checkpoints
from aether.adapters.store.sqlite.pace import ALONE, MOST, QUICK, Pace
from aether.app import Aether
from aether.errors import NotFound, Refused
from aether.ports import Commit, CommitOutcome, Committed, RunQuery, Store
from aether.record import HookPatch, Phase, RunPatch, RunRow, TaskPatch
from aether.testing.rows import a_hook, a_run, a_task, changing, committed, creating, loaded

PHASES = list(Phase)


# Beside the memory store


def some_commits(chance: random.Random, tokens: dict[str, int]) -> list[Commit]:
    """A batch over a few runs, some of it impossible. Tokens are those of each run's last commit."""
    batch: list[Commit] = []
    for _ in range(chance.randrange(1, 6)):
        run_id = f"r{chance.randrange(6)}"
        tasks = [
            chance.choice(
                (
                    a_task(ordinal, phase=chance.choice(PHASES)),
                    TaskPatch(ordinal, phase=chance.choice(PHASES), message=str(chance.random())),
                )
            )
            for ordinal in chance.sample(range(5), chance.randrange(4))
        ]
        hooks = [
            chance.choice(
                (
                    a_hook(number, phase=chance.choice(PHASES)),
                    HookPatch(number=number, phase=chance.choice(PHASES)),
                )
            )
            for number in chance.sample(range(2), chance.randrange(2))
        ]
        if run_id in tokens and chance.random() < 0.9:
            patch = RunPatch(message=str(chance.random()), due_at=chance.randrange(9))
            if chance.random() < 0.3:
                patch.phase = chance.choice(PHASES)
            batch.append(changing(run_id, tokens[run_id], patch, tasks, hooks))
        else:
            size = chance.choice((1, 5000))
            row = a_run(run_id, created_at=chance.randrange(9), arguments=bytes(size))
            batch.append(creating(row, tasks=tasks, hooks=hooks))
    return batch


async def everything(store: Store) -> object:
    def told(row: RunRow) -> RunRow:
        return replace(row, token=0)  # each store has tokens of its own

    rows = [
        (told(each.run), each.tasks, each.hooks)
        for each in await store.load([f"r{n}" for n in range(6)])
        if each is not None
    ]
    unfinished = await store.unfinished()
    listed = [told(row) for row in (await store.runs(RunQuery())).runs]
    failed = (await store.runs(RunQuery(phases=(Phase.FAILED, Phase.ERROR)))).runs
    busy = (await store.runs(RunQuery(phases=(Phase.RUNNING, Phase.READY)))).runs
    return rows, unfinished, listed, [told(row) for row in failed], [told(row) for row in busy]


def in_step(batch: list[Commit], ours: dict[str, int], theirs: dict[str, int]) -> list[Commit]:
    """The same batch, with the tokens of the other store."""
    known = {token: theirs[run_id] for run_id, token in ours.items()}
    return [
        commit if commit.expected is None else replace(commit, expected=known[commit.expected])
        for commit in batch
    ]


def kinds(outcomes: Sequence[CommitOutcome]) -> list[type[CommitOutcome]]:
    return [type(outcome) for outcome in outcomes]


@pytest.mark.parametrize("seed", range(8))
async def test_it_agrees_with_the_memory_store_also_when_it_remembers_nothing(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if seed % 2:  # half of the time no row stays in memory
        monkeypatch.setattr(writer, "_LOOK_EVERY", -1)
        monkeypatch.setattr(writer, "_MOST_ROWS", 0)
    chance = random.Random(seed)
    memory, sqlite = MemoryStore(), SqliteStore(tmp_path / "aether.db", durability="normal")
    await memory.open()
    await sqlite.open()
    ours: dict[str, int] = {}
    theirs: dict[str, int] = {}
    for step in range(120):
        batch = some_commits(chance, ours)
        expected = await memory.commit(batch)
        found = await sqlite.commit(in_step(batch, ours, theirs))
        assert kinds(found) == kinds(expected)
        for commit, one, other in zip(batch, expected, found, strict=True):
            if isinstance(one, Committed) and isinstance(other, Committed):
                ours[commit.run_id], theirs[commit.run_id] = one.token, other.token
        if chance.random() < 0.1:
            run_id = f"r{chance.randrange(6)}"
            assert await sqlite.delete(run_id) == await memory.delete(run_id)
            ours.pop(run_id, None)
            theirs.pop(run_id, None)
        if step % 10 == 0:
            assert await everything(sqlite) == await everything(memory)
    assert await everything(sqlite) == await everything(memory)
    await sqlite.close()


# Sizes


async def test_large_arguments_stay_beside_the_row_and_are_always_there(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "aether.db")
    await store.open()
    row = a_run("run", arguments=bytes(70_000), variables=b"{}")
    token = await committed(store, creating(row))
    token = await committed(store, changing("run", token, RunPatch(seq=2)))
    await store.close()
    await store.open()
    expected = replace(row, token=token, seq=2)
    assert await store.run("run") == expected
    assert (await loaded(store, "run")).run == expected
    assert (await store.runs(RunQuery())).runs == [expected]
    assert await store.delete("run")
    again = await committed(store, creating(a_run("run")))
    assert await store.run("run") == a_run("run", token=again)
    await store.close()


async def test_a_run_with_many_tasks_is_read_whole(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "aether.db")
    await store.open()
    count = parts.FEW + 1
    tasks = [a_task(ordinal) for ordinal in range(count)]
    await committed(store, creating(a_run("run", total=count), tasks=tasks))
    assert list((await loaded(store, "run")).tasks.values()) == tasks
    await store.close()


async def test_many_runs_are_loaded_at_once(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "aether.db")
    await store.open()
    ids = [f"r{n}" for n in range(200)]
    await store.commit([creating(a_run(run_id)) for run_id in ids])
    found = await store.load([*ids, "nobody"])
    assert [rows and rows.run.run_id for rows in found] == [*ids, None]
    await store.close()


async def test_the_log_begins_again_from_its_start_and_loses_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "aether.db", durability="normal")
    await store.open()
    token = await committed(store, creating(a_run("run"), tasks=[a_task(0)]))
    for number in range(60):  # some hundred pages each, so many times the length of a checkpoint
        patch = TaskPatch(0, inputs=bytes([number]) * 400_000)
        token = await committed(store, changing("run", token, tasks=[patch]))
    await store.close()
    assert not (tmp_path / "aether.db-wal").exists()
    await store.open()
    assert (await loaded(store, "run")).tasks[0].inputs == bytes([59]) * 400_000
    await store.close()


def test_the_log_begins_again_while_the_writer_never_pauses(tmp_path: Path) -> None:
    path = tmp_path / "aether.db"
    db, _ = database.prepare(path, 1, "normal")
    checkpoints = Checkpoints(path, "normal")
    lengths = [0]

    def grown(connection: apsw.Connection, name: str, pages: int) -> int:
        lengths.append(pages)
        return checkpoints.grown(connection, name, pages)

    db.set_wal_hook(grown)
    for _ in range(5000):
        db.execute("INSERT INTO document_text VALUES (randomblob(16), zeroblob(160000))")
        if lengths[-1] < lengths[-2]:
            break
    assert lengths[-1] < LONG <= lengths[-2]
    checkpoints.close()
    db.close()


# Pace


def quick_pace() -> Pace:
    pace = Pace()
    pace.took(1, QUICK / 10)
    return pace


def test_while_other_runs_move_a_commit_is_made_on_the_loop_only_after_many_that_came_alone() -> (
    None
):
    pace = quick_pace()
    alone = [pace.may_run_inline(1, moving=9) for _ in range(ALONE + 1)]
    assert alone == [False] * ALONE + [True]
    assert not pace.may_run_inline(2, moving=9)
    assert not pace.may_run_inline(1, moving=9)


def test_commits_of_all_runs_that_move_are_made_on_the_loop_unless_they_are_many() -> None:
    pace = quick_pace()
    assert pace.may_run_inline(1, moving=0)
    assert pace.may_run_inline(5, moving=5)
    assert not pace.may_run_inline(5, moving=6)
    assert pace.may_run_inline(MOST, moving=MOST)
    assert not pace.may_run_inline(MOST + 1, moving=MOST + 1)


def test_a_slow_disk_keeps_commits_off_the_loop_until_it_was_quick_for_a_while() -> None:
    pace = Pace()
    assert not pace.may_run_inline(1, moving=1)
    pace.took(1, QUICK * 50)
    for _ in range(ALONE + 1):
        assert not pace.may_run_inline(1, moving=1)
    for _ in range(40):
        pace.took(1, QUICK / 10)
    assert pace.may_run_inline(1, moving=1)


def test_commits_that_come_together_may_take_longer() -> None:
    for commits, seconds, is_quick in ((64, QUICK * 2, True), (64, QUICK * 4, False)):
        pace = quick_pace()
        pace.took(commits, seconds)
        assert pace.may_run_inline(1, moving=1) is is_quick


# The ladder


def document(executor: str) -> dict[str, Any]:
    return {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "hello"},
        "spec": {
            "entrypoint": "main",
            "templates": [{"task": {"name": "main", "executor": {"type": executor}}}],
        },
    }


async def test_a_run_is_there_again_in_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with Aether("sqlite:///data/aether.db") as app:
        run_id = (await app.submit_and_wait(document("echo"), timeout=10)).run_id
    async with Aether(f"sqlite:///{tmp_path}/data/aether.db") as app:
        assert (await app.get(run_id)).status is Phase.SUCCEEDED
        assert len(await app.history(run_id)) >= 2
        await app.delete(run_id)
        with pytest.raises(NotFound):
            await app.get(run_id)


async def test_a_run_that_was_under_way_goes_on_with_the_next_engine(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/aether.db"
    async with Aether(url) as app:
        run_id = await app.submit(document("later"))
    app = Aether(url)
    app.executor("later")(lambda: None)
    async with app:
        assert (await app.wait(run_id, 10)).status is Phase.SUCCEEDED


def test_a_url_of_no_store_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        Aether("mysql://host/db")
    assert caught.value.code == "unknown-store"
