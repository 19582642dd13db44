"""The engine converges whatever SQLite does to a commit: refused, torn, in doubt, slow, again and again.

The store is the real one. Its writer's connection fails on demand, so that all between the driver and the
engine is put to the test: the translation of errors, the roll-back, the look after an unknown outcome.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from aether.adapters.errors import CollectingSink
from aether.adapters.store import SqliteStore
from aether.app import Aether
from aether.record import RunRows
from aether.testing import FakeClock
from crash.checks import (
    Signature,
    differences,
    faults_of_acks,
    faults_of_effects,
    faults_of_log,
    faults_of_rows,
    signature,
)
from crash.driving import Effects, act, equip
from crash.kinds import ACTED_UPON, KINDS, TEMPLATE
from crash.reference import Reference, without_kills

STEP = timedelta(milliseconds=5)


class Shaky:
    """The writer's connection. `mishap(n)` names what happens to the n-th transaction, or is ""."""

    def __init__(self, inner: apsw.Connection, mishap: Callable[[int], str]) -> None:
        self._inner = inner
        self._mishap = mishap
        self._now = ""
        self.transactions = 0
        self.mishaps = 0
        self.go_on = threading.Event()  # a slow commit waits for it

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def executemany(self, text: str, rows: Any) -> Any:
        self._tear("torn" if "UPDATE" in text else "")
        return self._inner.executemany(text, rows)

    def execute(self, text: str, values: Any = ()) -> Any:
        if text.startswith("BEGIN"):
            self.transactions += 1
            self._now = self._mishap(self.transactions)
            self.mishaps += bool(self._now)
            if self._now == "refused":
                raise apsw.BusyError("database is locked")
        elif text == "COMMIT":
            return self._commit()
        elif "INTO log" in text:
            self._tear("torn")  # the rows are written, and their log is not
        return self._inner.execute(text, values)

    def _tear(self, what: str) -> None:
        if what and self._now == what:
            self._now = ""
            raise apsw.IOError("disk I/O error")

    def _commit(self) -> Any:
        match self._now:
            case "lost":
                self._inner.execute("ROLLBACK")
                raise apsw.IOError("disk I/O error")
            case "kept":
                self._inner.execute("COMMIT")
                raise apsw.IOError("disk I/O error")
            case "slow":
                assert self.go_on.wait(20), "nobody let the slow commit go on"
        return self._inner.execute("COMMIT")


@pytest.fixture(scope="module")
def reference() -> Reference:
    return asyncio.run(without_kills())


class Bench:
    """One engine on one file, with a run of each kind, until all have ended."""

    def __init__(self, folder: Path, mishap: Callable[[int], str]) -> None:
        self._folder = folder
        self._mishap = mishap
        self.clock = FakeClock()
        self.errors = CollectingSink()
        self.said: list[list[str]] = []
        self.runs: dict[str, RunRows] = {}
        self.findings: list[str] = []

    async def run(self, reference: Reference) -> Shaky:
        store = SqliteStore(self._folder / "aether.db")
        effects = Effects(self._folder / "effects")
        app = Aether(store=store, clock=self.clock, error_sink=self.errors)
        equip(app, effects)
        async with app:
            await app.put_template(TEMPLATE)
            parts = store._open
            assert parts is not None
            writer = parts.changes().writer
            shaky = Shaky(writer._db, self._mishap)
            writer._db = shaky  # type: ignore[assignment]  # all that the writer asks of it
            await self._until(asyncio.gather(*(self._one(app, kind) for kind in KINDS)), shaky)
            while await store.unfinished():  # hooks
                await self._until(asyncio.ensure_future(asyncio.sleep(0)), shaky)
            for kind in KINDS:
                (rows,) = await store.load([kind])
                assert rows is not None
                self.runs[kind] = rows
                log = await store.history(kind)
                self._look(rows, log, reference[kind, 1])
            writer._db = shaky._inner  # the end of the process is not what is put to the test
        effects.close()
        self._look_at_effects()
        return shaky

    async def _one(self, app: Aether, kind: str) -> None:
        await app.submit(KINDS[kind], {"n": 1}, run_id=kind)
        if kind in ACTED_UPON:
            await act(app, kind, "me", lambda line: self.said.append(line.split()[1:]))
        run = await app.wait(kind)
        self.said.append(["ended", kind, str(run.status), str(run.seq)])

    async def _until(self, work: asyncio.Future[Any], shaky: Shaky) -> None:
        while not work.done():
            await self.clock.advance(STEP)
            if shaky._now == "slow" and self.clock.waiting:
                shaky.go_on.set()
        await work

    def _look(self, rows: RunRows, log: Any, wanted: Signature) -> None:
        found = differences(signature(rows), wanted)
        for what in (*found, *faults_of_rows(rows), *faults_of_log(rows, log)):
            self.findings.append(f"{rows.run.run_id}: {what}")

    def _look_at_effects(self) -> None:
        lines = (self._folder / "effects").read_text().splitlines()
        self.findings += faults_of_effects(lines, self.runs)
        acks = [ack for ack in self.said if ack[0] not in ("pause", "unpause")]
        self.findings += faults_of_acks(acks, self.runs)
        for fault in self.errors.faults:
            if fault.severity == "critical":
                self.findings.append(f"{fault.operation}: {fault.what}")


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("mishap", ["refused", "torn", "lost", "kept", "slow"])
async def test_a_mishap_to_any_commit_changes_nothing_about_how_runs_end(
    tmp_path: Path, reference: Reference, mishap: str, number: int
) -> None:
    bench = Bench(tmp_path, lambda n: mishap if n == number else "")
    shaky = await bench.run(reference)
    assert shaky.mishaps == 1
    assert bench.findings == []
    if mishap != "slow":
        assert any(fault.operation == "commit" for fault in bench.errors.faults)


@pytest.mark.parametrize("mishap", ["refused", "torn", "lost", "kept"])
async def test_a_store_that_fails_every_other_time_only_takes_longer(
    tmp_path: Path, reference: Reference, mishap: str
) -> None:
    bench = Bench(tmp_path, lambda n: mishap if n % 2 else "")
    shaky = await bench.run(reference)
    assert shaky.mishaps > 5
    assert bench.findings == []


async def test_mishaps_of_all_sorts_one_after_the_other_lose_nothing(
    tmp_path: Path, reference: Reference
) -> None:
    sorts = ("", "kept", "torn", "", "lost", "refused", "kept", "kept", "")
    bench = Bench(tmp_path, lambda n: sorts[n % len(sorts)])
    shaky = await bench.run(reference)
    assert shaky.mishaps > 5
    assert bench.findings == []
