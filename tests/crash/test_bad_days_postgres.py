"""A PostgreSQL server whose disk is full: its runs wait, and end when there is space."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest

from aether.adapters.errors import CollectingSink
from aether.adapters.store import PostgresStore
from aether.adapters.store.postgres import database
from aether.app import Aether
from aether.ports import Fault
from aether.testing.postgres import PostgresServer, binaries, no_server
from crash.checks import faults_of_effects, faults_of_log, faults_of_rows
from crash.disks import fill, small_disk_of
from crash.driving import Effects, equip
from crash.kinds import KINDS

SMALL = 256 << 20
RUNS = 100
SMALL_LOG = {"max_wal_size": "48MB", "min_wal_size": "32MB"}


class FirstFault(CollectingSink):
    def __init__(self) -> None:
        super().__init__()
        self.said = asyncio.Event()

    def on_error(self, fault: Fault, error: BaseException | None = None) -> None:
        super().on_error(fault, error)
        self.said.set()


@pytest.mark.slow
async def test_runs_wait_while_the_disk_of_the_server_is_full_and_end_when_there_is_space(
    tmp_path: Path,
) -> None:
    where = binaries()
    if where is None:
        no_server()
        raise AssertionError("skipped or failed")
    with small_disk_of(SMALL) as disk, PostgresServer(where, SMALL_LOG, parent=disk) as server:
        sink = FirstFault()
        effects = Effects(tmp_path / "effects")
        app = Aether(server.dsn, error_sink=sink)
        equip(app, effects)
        accepted: list[str] = []

        async def one(number: int) -> str:
            run_id = f"run-{number}"
            labels = {"large": os.urandom(40_000).hex()}  # which nobody can pack tighter
            await app.submit(KINDS["chain"], {"n": 1}, run_id=run_id, labels=labels)
            accepted.append(run_id)
            return str((await app.wait(run_id)).status)

        async with app:
            filler = fill(disk, leave=3 << 20)
            runs = asyncio.gather(*(one(number) for number in range(RUNS)))
            await asyncio.wait_for(sink.said.wait(), 60)
            assert not runs.done()
            assert len(accepted) < RUNS
            filler.unlink()
            with suppress(RuntimeError):  # without space for its log a server ends itself
                await asyncio.to_thread(server.start)
            assert set(await asyncio.wait_for(runs, 60)) == {"Succeeded"}
        effects.close()
        assert not [fault for fault in sink.faults if fault.severity == "critical"]
        assert await database.check(server.dsn) == []
        assert await faults_in(server.dsn, tmp_path / "effects") == []


async def faults_in(dsn: str, effects: Path) -> list[str]:
    """What is wrong with the runs that a store holds."""
    store = PostgresStore(dsn, read_only=True)
    await store.open()
    found, runs = [], {}
    for number in range(RUNS):
        (rows,) = await store.load([f"run-{number}"])
        assert rows is not None
        runs[rows.run.run_id] = rows
        log = await store.history(rows.run.run_id)
        found += [*faults_of_rows(rows), *faults_of_log(rows, log)]
    found += [f"{due.run_id} is unfinished" for due in await store.unfinished()]
    await store.close()
    return [*found, *faults_of_effects(effects.read_text().splitlines(), runs)]
