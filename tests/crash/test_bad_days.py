"""Real disks that are full, pages that are damaged, and processes beside the one that has the database."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from aether.adapters.errors import CollectingSink
from aether.adapters.store import SqliteStore
from aether.adapters.store.sqlite import database
from aether.app import Aether
from aether.errors import ProblemError, StoreUnavailable
from aether.ports import Fault, RunQuery
from aether.testing.rows import a_run, a_task, committed, creating
from crash.checks import faults_of_effects, faults_of_log, faults_of_rows
from crash.disks import fill, small_disk_of
from crash.driving import Effects, equip
from crash.harness import TESTS
from crash.kinds import KINDS

SMALL = 96 << 20


class WordSink(CollectingSink):
    """Says when a fault first names `word`."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self._word = word
        self.said = asyncio.Event()

    def on_error(self, fault: Fault, error: BaseException | None = None) -> None:
        super().on_error(fault, error)
        if self._word in fault.what:
            self.said.set()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own in memory, of SMALL bytes."""
    with small_disk_of(SMALL) as place:
        yield place


def workload(path: Path, effects: Path, life: int, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "crash.workload", f"sqlite:{path}", str(effects), str(life), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(TESTS)},
    )


async def faults_in(path: Path, effects: Path) -> list[str]:
    """What is wrong with the runs that a store holds."""
    found = database.check(path)
    store = SqliteStore(path, read_only=True)
    await store.open()
    runs = {}
    after = ""
    while page := await store.unfinished(after):
        after = page[-1].run_id
        found += [f"{due.run_id} is unfinished" for due in page]
    for row in (await store.runs(RunQuery(limit=10_000))).runs:
        (rows,) = await store.load([row.run_id])
        assert rows is not None
        runs[row.run_id] = rows
        found += [*faults_of_rows(rows), *faults_of_log(rows, await store.history(row.run_id))]
    await store.close()
    assert runs
    return [*found, *faults_of_effects(effects.read_text().splitlines(), runs)]


@pytest.mark.slow
async def test_an_engine_waits_while_its_disk_is_full_and_goes_on_when_there_is_space(
    small_disk: Path, tmp_path: Path
) -> None:
    path, sink = small_disk / "aether.db", WordSink("no space left")
    effects = Effects(tmp_path / "effects")
    app = Aether(f"sqlite:{path}", error_sink=sink)
    equip(app, effects)
    large = {"large": "x" * 60_000}

    async def one(number: int) -> str:
        run_id = f"run-{number}"
        await app.submit(KINDS["chain"], {"n": 1}, run_id=run_id, labels=large)
        return str((await app.wait(run_id)).status)

    async with app:
        filler = fill(small_disk, leave=1 << 20)
        runs = asyncio.gather(*(one(number) for number in range(100)))
        await asyncio.wait_for(sink.said.wait(), 30)
        assert not runs.done()
        filler.unlink()
        assert set(await asyncio.wait_for(runs, 60)) == {"Succeeded"}
    effects.close()
    assert not [fault for fault in sink.faults if fault.severity == "critical"]
    assert await faults_in(path, tmp_path / "effects") == []


@pytest.mark.slow
async def test_a_process_killed_on_a_full_disk_goes_on_when_there_is_space(
    small_disk: Path, tmp_path: Path
) -> None:
    path, effects = small_disk / "aether.db", tmp_path / "effects"
    filler = fill(small_disk, leave=1 << 20)
    with workload(path, effects, 0) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "no space left" in line:
                break
        process.kill()
        assert process.stdout is not None
        said = process.stdout.read().splitlines()
    accepted = [line.split()[1] for line in said if line.startswith("accepted ")]
    filler.unlink()
    with workload(path, effects, 1, "--finish") as process:
        said, told = process.communicate(timeout=60)
    assert said.endswith("finished\n"), told
    assert await faults_in(path, effects) == []
    store = SqliteStore(path, read_only=True)
    await store.open()
    assert [run_id for run_id in accepted if await store.run(run_id) is None] == []
    await store.close()


def aether(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aether.cli", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


async def test_a_second_engine_is_refused_by_name_and_looking_beside_the_first_works(
    tmp_path: Path,
) -> None:
    path = tmp_path / "aether.db"
    with workload(path, tmp_path / "effects", 0) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("ended "):
                run_id = line.split()[1]
                break
        second = Aether(f"sqlite:{path}")
        with pytest.raises(ProblemError) as caught:
            await second.start()
        assert caught.value.code == "store-locked"
        assert f"process {process.pid}" in str(caught.value)
        url = f"sqlite:{path}"
        for look in (["status", run_id], ["show", run_id], ["log", run_id], ["list"]):
            looked = aether(*look, "--db", url)
            assert (looked.returncode, looked.stderr) == (0, ""), look
            assert run_id.split("-")[0] in looked.stdout, look
        looked = aether("db", "status", "--db", url, "--json")
        assert json.loads(looked.stdout)["runs"] > 0
        assert process.poll() is None
        process.kill()
    third = Aether(f"sqlite:{path}")  # the lock has ended with its process
    equip(third, effects := Effects(tmp_path / "effects"))
    async with third:
        assert (await third.get(run_id)).status.is_terminal
    effects.close()


@pytest.mark.parametrize("damaged", ["run_open", "run", "task", "run_by_id", "log"])
async def test_a_damaged_page_is_told_and_never_written_over(tmp_path: Path, damaged: str) -> None:
    path = tmp_path / "aether.db"
    store = SqliteStore(path)
    await store.open()
    for number in range(200):
        run = a_run(f"r{number}", total=1)
        await committed(store, creating(run, tasks=[a_task(0, inputs=bytes(500))]))
    await store.close()
    page = root_page(path, damaged)
    garbage = bytes(range(256)) * 16
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(garbage)
    sink = WordSink("damaged")
    app = Aether(f"sqlite:{path}", error_sink=sink)
    told = ""
    try:
        await app.start()
        await asyncio.wait_for(sink.said.wait(), 20)
    except (ProblemError, StoreUnavailable) as error:
        told = str(error)  # found before the start was over
    finally:
        with suppress(StoreUnavailable):  # its goodbye cannot be written
            await app.stop()
    assert sink.said.is_set() or "damaged" in told
    assert database.check(path) != []
    with path.open("rb") as file:
        file.seek((page - 1) * 4096)
        assert file.read(4096) == garbage


def root_page(path: Path, name: str) -> int:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchall()
    db.close()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return int(found[0][0])
