"""The same work on SQLite, each commit on disk before anybody hears of it."""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aether.app import Aether
from aether.ports import Executor

from ..case import Sample, Stopwatch, case, peak_rss_mb, percentile
from ..harness import WAIT, NoOp, Uneven, chain, fan_out, in_flight, run

RUNS, LANES, LENGTH = 1_000, 64, 3
URL, TIER = "sqlite:", "state-action-log"


@contextmanager
def folder() -> Iterator[Path]:
    """Beside the output and not in a place for temporary files, which may lie in memory."""
    Path("out").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="out", prefix="bench-") as name:
        yield Path(name)


@asynccontextmanager
async def open_app(
    path: Path, tier: str = TIER, executor: Executor | None = None
) -> AsyncIterator[Aether]:
    app = Aether(f"sqlite:{path / 'aether.db'}", tier=tier)
    app.register(executor or NoOp())
    async with app:
        # What a server does after its start: what lives for ever is not looked at again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        yield app


def fsyncs_per_second(path: Path, count: int = 200) -> float:
    """What the disk alone can do: 4 KB written over, and a barrier."""
    handle = os.open(path / "raw", os.O_RDWR | os.O_CREAT)
    try:
        os.write(handle, bytes(4096 * 64))
        os.fsync(handle)
        began = time.perf_counter()
        for n in range(count):
            os.pwrite(handle, os.urandom(4096), 4096 * (n % 64))
            os.fdatasync(handle)
        return count / (time.perf_counter() - began)
    finally:
        os.close(handle)


def bare_commits(path: Path, rows: int, count: int) -> float:
    """Bare SQLite: rows a second, `rows` of 200 bytes in each of `count` commits."""
    import apsw

    db = apsw.Connection(str(path / "bare.db"))
    try:
        db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").fetchall()
        db.execute("CREATE TABLE IF NOT EXISTS bare (body BLOB)").fetchall()
        body = bytes(200)
        began = time.perf_counter()
        for _ in range(count):
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO bare VALUES (?)", ((body,) for _ in range(rows)))
            db.execute("COMMIT")
        return rows * count / (time.perf_counter() - began)
    finally:
        db.close()


def limits(path: Path) -> dict[str, float]:
    return {
        "fsyncs_per_s": fsyncs_per_second(path),
        "bare_commits_per_s": bare_commits(path, 1, 300),
        "bare_rows_per_s": bare_commits(path, 1000, 30),
    }


async def _timed(app: Aether, document: Mapping[str, Any], runs: int, lanes: int) -> Sample:
    latencies: list[float] = []

    async def one() -> None:
        began = time.perf_counter()
        await app.wait(await app.submit(document), WAIT)
        latencies.append((time.perf_counter() - began) * 1000)

    await in_flight(max(lanes * 2, 20 if runs > 20 else 1), lanes, one)
    latencies.clear()
    with Stopwatch() as watch:
        await in_flight(runs, lanes, one)
    return Sample(
        n=runs,
        in_flight=lanes,
        seconds=watch.seconds,
        cpu_s=watch.cpu_s,
        p50_ms=percentile(latencies, 0.5),
        p99_ms=percentile(latencies, 0.99),
        rss_mb=peak_rss_mb(),
    )


def _measure(
    document: Mapping[str, Any],
    runs: int,
    lanes: int = 1,
    tier: str = TIER,
    executor: Executor | None = None,
) -> Sample:
    with folder() as path:

        async def main() -> Sample:
            async with open_app(path, tier, executor) as app:
                return await _timed(app, document, runs, lanes)

        sample = run(main())
        sample.extra = limits(path)
    return sample


@case("sqlite-chains", "runs", bar="5,300 runs/s", url=URL, tier=TIER)
def chains() -> Sample:
    sample = _measure(chain(LENGTH), RUNS, LANES)
    # A run writes its own row and its log four times, and a task row eight times.
    sample.limit = sample.extra["bare_rows_per_s"] / 16
    return sample


@case("sqlite-uneven-chains", "runs", bar="3,000 runs/s", url=URL, tier=TIER)
def uneven_chains() -> Sample:
    """The same with 0 to 4 ms in each task: what is ready together is little."""
    sample = _measure(chain(LENGTH), RUNS, LANES, executor=Uneven())
    sample.limit = sample.extra["bare_rows_per_s"] / 16
    return sample


@case("sqlite-l1-chains", "runs", bar="6,000 runs/s", url=URL, tier="snapshot")
def snapshot_chains() -> Sample:
    """Two writes of each run: when it is submitted, and when it ends."""
    sample = _measure(chain(LENGTH), RUNS, LANES, "snapshot")
    sample.limit = sample.extra["bare_rows_per_s"] / 7
    return sample


@case("sqlite-chain-1000", "tasks", bar="250 ms", url=URL, tier=TIER)
def chain_1000() -> Sample:
    return _sequential(1_000)


@case("sqlite-chain-10000", "tasks", bar="10.5 times sqlite-chain-1000", url=URL, tier=TIER)
def chain_10000() -> Sample:
    return _sequential(10_000)


def _sequential(length: int) -> Sample:
    """One run of tasks that wait for each other: a commit after each."""
    sample = _measure(chain(length), 1)
    sample.n = length
    sample.p50_ms = sample.p99_ms = None
    sample.limit = sample.extra["fsyncs_per_s"]
    return sample


@case("sqlite-fan-1000", "tasks", bar="50 ms", url=URL, tier=TIER)
def fan_1000() -> Sample:
    sample = _measure(fan_out(1_000), 1)
    sample.n = 1_000
    sample.p50_ms = sample.p99_ms = None
    sample.limit = sample.extra["bare_rows_per_s"] / 2
    return sample


@case("sqlite-one-task", "runs", bar="p50 0.5 ms", url=URL, tier=TIER)
def one_task() -> Sample:
    sample = _measure(chain(1), RUNS)
    sample.limit = sample.extra["fsyncs_per_s"] / 2  # accepted, and done
    return sample
