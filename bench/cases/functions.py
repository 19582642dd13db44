"""Runs of workflow functions, each commit on disk before anybody hears of it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aether import Context
from aether.app import Aether
from aether.flow import Runtime

from ..case import Sample, Stopwatch, case, peak_rss_mb, percentile, rss_bytes
from ..harness import hand_overs, in_flight, run, settle_collector
from .postgres import limits as postgres_limits
from .postgres import server
from .sqlite import folder, limits

RUNS, LANES, LENGTH = 1_000, 64, 3
SLEEPERS = 100_000
MEMORY, SQLITE, POSTGRES, TIER = "memory:", "sqlite:", "postgresql:", "state-action-log"

late: list[float] = []  # milliseconds between the instant a sleeper asked for and its awakening


class Count:
    """Tells when something has happened often enough."""

    def __init__(self) -> None:
        self._left = 0
        self._over = asyncio.Event()

    def expect(self, times: int) -> Awaitable[bool]:
        self._left, self._over = times, asyncio.Event()
        return self._over.wait()

    def down(self) -> None:
        self._left -= 1
        if not self._left:
            self._over.set()


about_to_wait = Count()
woken = Count()


async def nothing(number: int) -> int:
    """A step that does nothing: what is left is what a step costs."""
    return number


async def in_order(ctx: Context, steps: int) -> int:
    for number in range(steps):
        await ctx.step("nothing", nothing, number)
    return steps


async def side_by_side(ctx: Context, steps: int) -> int:
    calls = [ctx.step("nothing", nothing, number) for number in range(steps)]
    return len(await asyncio.gather(*calls))


async def long_story(ctx: Context, steps: int) -> int:
    """Has much behind it when it waits."""
    for number in range(steps):
        await ctx.step("nothing", nothing, number)
    about_to_wait.down()
    return int(await ctx.wait_for("go"))


async def sleeper(ctx: Context, until: float) -> None:
    about_to_wait.down()
    await ctx.sleep_until(datetime.fromtimestamp(until, UTC))
    late.append((time.time() - until) * 1000)
    woken.down()


Function = Callable[..., Awaitable[Any]]


@asynccontextmanager
async def serving(url: str, function: Function) -> AsyncIterator[tuple[Aether, Any]]:
    app = Aether(url)
    workflow: Any = app.workflow(function.__name__)(function)
    async with app:
        settle_collector()
        yield app, workflow


async def _timed(url: str, function: Function, steps: int, runs: int, lanes: int) -> Sample:
    """From the call that starts a run to its result in the caller's hands."""
    latencies: list[float] = []
    async with serving(url, function) as (_, workflow):

        async def one() -> None:
            began = time.perf_counter()
            await workflow.start_and_wait(steps)
            latencies.append((time.perf_counter() - began) * 1000)

        await in_flight(max(lanes * 2, 200) if runs > 1 else 1, lanes, one)
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


def _on_disk(function: Function, steps: int, runs: int = 1, lanes: int = 1) -> Sample:
    with folder() as path:
        url = f"sqlite:{path / 'aether.db'}"
        sample = run(_timed(url, function, steps, runs, lanes))
        sample.extra = limits(path)
    return sample


def _one(function: Function, steps: int) -> Sample:
    """One run, counted in steps."""
    sample = _on_disk(function, steps)
    sample.n = steps
    sample.p50_ms = sample.p99_ms = None
    return sample


# Many runs


@case("functions-memory", "runs", tier="memory")
def in_memory() -> Sample:
    """What the engine and the function's loop cost, without a disk."""
    sample = run(_timed(MEMORY, in_order, LENGTH, RUNS, LANES))
    # A run is handed to a worker, each step to a task and back, and the result to whoever waits.
    sample.limit = hand_overs(RUNS * (2 * LENGTH + 2), LANES) / (2 * LENGTH + 2)
    return sample


@case("functions-runs", "runs", bar="6,000 runs/s", url=SQLITE, tier=TIER)
def runs() -> Sample:
    sample = _on_disk(in_order, LENGTH, RUNS, LANES)
    # A run writes its own row and its log four times, and a task row six times.
    sample.limit = sample.extra["bare_rows_per_s"] / 14
    return sample


@case("functions-postgres", "runs", bar="4,000 runs/s", url=POSTGRES, tier=TIER)
def on_postgres() -> Sample:
    with server() as started:
        sample = run(_timed(started.dsn, in_order, LENGTH, RUNS, LANES))
        sample.extra = asyncio.run(postgres_limits(started.dsn))
    sample.limit = sample.extra["bare_rows_per_s"] / 14
    return sample


@case("functions-one-step", "runs", bar="p50 0.45 ms", url=SQLITE, tier=TIER)
def one_step() -> Sample:
    sample = _on_disk(in_order, 1, RUNS)
    sample.limit = sample.extra["fsyncs_per_s"] / 2  # started; done and over
    return sample


# One large run


@case("functions-steps-1000", "steps", bar="200 ms", url=SQLITE, tier=TIER)
def steps_1000() -> Sample:
    sample = _one(in_order, 1_000)
    sample.limit = sample.extra["fsyncs_per_s"]
    return sample


@case("functions-steps-5000", "steps", bar="5.25 times functions-steps-1000", url=SQLITE, tier=TIER)
def steps_5000() -> Sample:
    sample = _one(in_order, 5_000)
    sample.limit = sample.extra["fsyncs_per_s"]
    return sample


@case("functions-parallel-1000", "steps", bar="40 ms", url=SQLITE, tier=TIER)
def parallel_1000() -> Sample:
    sample = _one(side_by_side, 1_000)
    sample.limit = sample.extra["bare_rows_per_s"]
    return sample


# Taken up again


@case("functions-replay-10000", "steps", bar="load and replay 100 ms", url=SQLITE, tier=TIER)
def replay_10000() -> Sample:
    """By a process that has never seen the run: its rows are read, and its function led through them."""
    steps = 10_000

    async def history(url: str) -> str:
        async with serving(url, long_story) as (_, workflow):
            there = about_to_wait.expect(1)
            handle = await workflow.start(steps)
            await there
            return str(handle.id)

    async def again(url: str, run_id: str) -> Sample:
        async with serving(url, long_story) as (app, workflow):
            engine = app.engine
            runtime = Runtime(
                journal=engine.journal, clock=engine._clock, offload=None, threads=None
            )  # type: ignore[arg-type]  # nothing begins in a replay
            with Stopwatch() as watch:
                began = time.perf_counter()
                rows = await engine.journal.rows(run_id)
                loaded = time.perf_counter() - began
                misfit = await runtime.fits(workflow.definition, run_id, rows)
            assert not misfit, misfit
            assert len(rows) >= steps
            del rows
            began = time.perf_counter()
            handle = app.handle(run_id)
            await handle.signal("go", 1)
            assert await handle.result() == 1
            whole = time.perf_counter() - began
        extra = {"load_ms": loaded * 1000, "signal_to_result_ms": whole * 1000}
        return Sample(n=steps, seconds=watch.seconds, cpu_s=watch.cpu_s, extra=extra)

    with folder() as path:
        url = f"sqlite:{path / 'aether.db'}"
        sample = run(again(url, run(history(url))))
        sample.rss_mb = peak_rss_mb()
        sample.limit = bare_reads(path, steps)
    return sample


def bare_reads(path: Path, rows: int) -> float:
    """Bare SQLite: rows of 200 bytes a second, read in one statement."""
    import apsw

    db = apsw.Connection(str(path / "bare.db"))
    try:
        db.execute("CREATE TABLE bare (number INTEGER PRIMARY KEY, body BLOB)").fetchall()
        with db:
            db.executemany(
                "INSERT INTO bare (body) VALUES (?)", ((bytes(200),) for _ in range(rows))
            )
        began = time.perf_counter()
        assert len(db.execute("SELECT number, body FROM bare").fetchall()) == rows
        return rows / (time.perf_counter() - began)
    finally:
        db.close()


# Asleep


@case(
    "functions-sleepers",
    "runs",
    bar="400 MB with 100,000 asleep, woken on time",
    url=SQLITE,
    tier=TIER,
)
def sleepers() -> Sample:
    """All of them sleep at once; then one after the other is due, as many in a second as can be served."""
    with folder() as path:
        return run(_asleep(f"sqlite:{path / 'aether.db'}", SLEEPERS, 200.0, 60.0))


async def _asleep(url: str, count: int, after: float, within: float) -> Sample:
    """`after` seconds from now the first is due, and the last `within` seconds later."""
    async with serving(url, sleeper) as (_, workflow):
        before = rss_bytes()
        first = time.time() + after
        numbers = iter(range(count))

        async def one() -> None:
            await workflow.start(first + next(numbers) * within / count)

        all_there, all_back = about_to_wait.expect(count), woken.expect(count)
        with Stopwatch() as watch:
            await in_flight(count, 256, one)
            await all_there
        await asyncio.sleep(2)  # the last of them are still on their way to bed
        assert not late, "some were woken before the last had gone to sleep"
        gc.collect()
        asleep = rss_bytes()
        with Stopwatch() as waking:
            await all_back
    return Sample(
        n=count,
        in_flight=count,
        seconds=watch.seconds,
        cpu_s=watch.cpu_s,
        rss_mb=peak_rss_mb(),
        extra={
            "asleep_mb": asleep / 1e6,
            "bytes_per_run": (asleep - before) / count,
            "late_p50_ms": percentile(late, 0.5),
            "late_p99_ms": percentile(late, 0.99),
            "late_max_ms": max(late),
            "waking_cpu_us": waking.cpu_s / count * 1_000_000,
        },
    )
