"""What SQLite keeps when its process ends at any instruction: real processes, real kills."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from aether.adapters.store import SqliteStore
from aether.errors import Refused
from aether.ports import RunQuery

# Moves LANES runs at once, one task and one log entry a decision, and says what was acknowledged.
LOAD = """
import asyncio, sys
from aether.adapters.store import SqliteStore
from aether.ports import Commit, LogEntry
from aether.record import RunPatch, RunRow, TaskRow

DIGEST, LANES, LENGTH = b"d" * 16, 16, 12

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    moving, started = {}, 0
    while True:
        while len(moving) < LANES:
            started += 1
            moving[f"{sys.argv[2]}-{started:06}"] = (0, None)
        batch = []
        for run_id, (seq, token) in moving.items():
            task = TaskRow(ordinal=seq, task_name=f"t{seq}", created_at=1, inputs=b"x" * 300)
            log = LogEntry(seq + 1, 1, b"%d" % (seq + 1))
            run = RunPatch(seq=seq + 1, total=seq + 1)
            document = None
            if token is None:
                run = RunRow(run_id=run_id, name="load", document=DIGEST, created_at=1, seq=1, total=1)
                document = (DIGEST, b"{}")
            batch.append(Commit(run_id=run_id, expected=token, run=run, tasks=[task], log=log,
                                document=document))
        lines = []
        for commit, outcome in zip(batch, await store.commit(batch)):
            seq = commit.log.seq
            lines.append(f"{commit.run_id} {seq}")
            moving[commit.run_id] = (seq, outcome.token)
            if seq == LENGTH:
                del moving[commit.run_id]
        sys.stdout.write("\\n".join(lines) + "\\n")
        sys.stdout.flush()

asyncio.run(main())
"""

HOLD = """
import asyncio, sys
from aether.adapters.store import SqliteStore

async def main():
    await SqliteStore(sys.argv[1]).open()
    print("open", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def killed_after(lines: int, path: Path, name: str) -> dict[str, int]:
    """Load a store, kill its process once it has acknowledged so much; answers all it acknowledged."""
    acknowledged: dict[str, int] = {}
    with start(LOAD, str(path), name) as process:
        assert process.stdout is not None
        for number, line in enumerate(process.stdout):
            if number == lines:
                process.kill()
            if line.endswith("\n"):
                run_id, seq = line.split()
                acknowledged[run_id] = int(seq)
    assert process.returncode == -9
    return acknowledged


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_every_acknowledged_commit_survives_kills_at_random_and_none_is_half_there(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    path = tmp_path / "aether.db"
    acknowledged: dict[str, int] = {}
    for life in range(4):
        acknowledged |= killed_after(chance.randrange(1, 3000), path, f"life{life}")
    store = SqliteStore(path)
    await store.open()
    try:
        page = await store.runs(RunQuery(limit=100_000))
        kept = {row.run_id: row.seq for row in page.runs}
        assert acknowledged.keys() <= kept.keys()
        assert all(kept[run_id] >= seq for run_id, seq in acknowledged.items())
        for run_id, seq in kept.items():
            (rows,) = await store.load([run_id])
            assert rows is not None
            assert (rows.run.total, list(rows.tasks)) == (seq, list(range(seq)))
            assert [entry.seq for entry in await store.history(run_id)] == list(range(1, seq + 1))
    finally:
        await store.close()


async def test_a_second_engine_is_told_which_process_has_the_database(tmp_path: Path) -> None:
    path = tmp_path / "aether.db"
    with start(HOLD, str(path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(Refused) as caught:
            await SqliteStore(path).open()
        assert caught.value.code == "store-locked"
        assert f"process {process.pid}" in str(caught.value)
        process.kill()
    store = SqliteStore(path)  # the lock has ended with the process
    await store.open()
    await store.close()


async def test_a_database_is_read_beside_the_engine_of_another_process(tmp_path: Path) -> None:
    path = tmp_path / "aether.db"
    with start(LOAD, str(path), "busy") as process:
        assert process.stdout is not None
        run_id, seq = process.stdout.readline().split()
        store = SqliteStore(path, read_only=True)
        await store.open()
        row = await store.run(run_id)
        assert row is not None
        assert row.seq >= int(seq)
        assert (await store.runs(RunQuery(limit=5))).runs
        await store.close()
        process.kill()


async def test_a_database_is_read_after_its_engine_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "aether.db"
    acknowledged = killed_after(200, path, "gone")
    store = SqliteStore(path, read_only=True)
    await store.open()
    for run_id, seq in acknowledged.items():
        row = await store.run(run_id)
        assert row is not None
        assert row.seq >= seq
    await store.close()
