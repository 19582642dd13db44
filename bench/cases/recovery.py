"""A start with much left to do, and work in a database that has seen much.

The databases are made once, by commits of rows that an engine has made, and are kept under `out/`.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from aether.adapters.ids import UuidV7Ids
from aether.adapters.store import MemoryStore, SqliteStore
from aether.app import Aether
from aether.ports import Commit, LogEntry, Outcome, Request, RunQuery, Schema
from aether.record import Phase, RunRow, RunRows, encode_changes

from ..case import Sample, case, peak_rss_mb, percentile
from ..harness import WAIT, NoOp, chain, run
from .sqlite import TIER, URL, folder, open_app
from .sqlite import _timed as timed

LANES, LENGTH, RUNS = 64, 3, 1_000
BATCH = 2_000
KEPT = Path("out/recovery")


class Waits:
    """Gives a task back as suspended: it waits for somebody."""

    schema = Schema(type="waits")

    async def execute(self, request: Request) -> Outcome:
        return Outcome.suspended("for an answer")


class Hangs(NoOp):
    """A task whose worker is busy for ever: what a killed process leaves as running."""

    async def execute(self, request: Request) -> Outcome:
        await asyncio.Event().wait()
        return Outcome()


# Making the databases


async def _example(document: dict[str, Any], until: Phase) -> tuple[RunRows, bytes]:
    """The rows of a run as an engine leaves it once it, or one of its tasks, has come to a phase; of a
    terminal one, the run itself."""
    store = MemoryStore()
    app = Aether(store=store)
    app.register(NoOp() if until is Phase.SUCCEEDED else Hangs())
    app.register(Waits())
    async with app:
        run_id = await app.submit(document)
        async for view in app.watch(run_id):
            tasks = () if until.is_terminal else view.tasks[1:]
            if view.status is until or any(task.status is until for task in tasks):
                break
        (rows,) = await store.load([run_id])
        assert rows is not None
        text = await store.document(rows.run.document)
        assert text is not None
        rows = deepcopy(rows)
        await app.cancel(run_id) if not rows.run.phase.is_terminal else None
        return rows, text


def _copies(of: Sequence[tuple[RunRows, bytes]], count: int) -> Iterator[Commit]:
    """Commits that create `count` runs like those, each with an entry in its log."""
    ids = UuidV7Ids()
    now = time.time_ns() // 1000 - count
    for number in range(count):
        rows, text = of[number % len(of)]
        members = {name: getattr(rows.run, name) for name in rows.run.__struct_fields__}
        own = {"run_id": ids.generate("Workflow", "bench"), "created_at": now}
        if number % 1000 == 0:
            own["labels"] = {"team": "bench"}
        row = RunRow(**members | own)
        now += 1
        tasks = list(rows.tasks.values())
        yield Commit(
            run_id=row.run_id,
            expected=None,
            run=row,
            tasks=tasks,
            document=(row.document, text),
            log=LogEntry(row.seq, row.created_at, encode_changes([row, *tasks])),
        )


def database(name: str, count: int, *examples: tuple[dict[str, Any], Phase]) -> Path:
    """The path of a database of `count` runs; made unless it lies there from another time. An older
    schema is migrated when it is opened."""
    path = KEPT / f"{name}-{count}" / "aether.db"
    if path.exists():
        return path
    raw = KEPT / f"{name}-{count}.part" / "aether.db"
    shutil.rmtree(raw.parent, ignore_errors=True)
    raw.parent.mkdir(parents=True)

    async def fill() -> None:
        kinds = [await _example(*example) for example in examples]
        store = SqliteStore(raw, durability="normal")
        await store.open()
        batch: list[Commit] = []
        for commit in _copies(kinds, count):
            batch.append(commit)
            if len(batch) == BATCH:
                await store.commit(batch)
                batch = []
        if batch:
            await store.commit(batch)
        await store.close()

    asyncio.run(fill())
    raw.parent.rename(path.parent)
    return path


# Many unfinished runs


def _waiting() -> dict[str, Any]:
    document = chain(LENGTH)
    document["spec"]["templates"][0]["dag"]["tasks"][0]["executor"]["type"] = "waits"
    return document


async def _take_up(path: Path, count: int) -> Sample:
    gc.collect()
    gc.freeze()
    app = Aether(f"sqlite:{path}")
    app.register(NoOp())
    app.register(Waits())
    latencies: list[float] = []
    began = time.perf_counter()
    async with app:
        opened = time.perf_counter() - began
        await app.wait(await app.submit(chain(LENGTH)), WAIT)
        first = time.perf_counter() - began
        recovery = app.engine._runs.recovery
        while not recovery.done:
            asked = time.perf_counter()
            await app.wait(await app.submit(chain(LENGTH)), WAIT)
            latencies.append((time.perf_counter() - asked) * 1000)
        taken_up = time.perf_counter() - began
    return Sample(
        n=count,
        seconds=taken_up,
        cpu_s=time.process_time(),
        p50_ms=percentile(latencies, 0.5) if latencies else None,
        p99_ms=percentile(latencies, 0.99) if latencies else None,
        rss_mb=peak_rss_mb(),
        extra={
            "first_run_ms": first * 1000,
            "open_ms": opened * 1000,
            "rss_mb": peak_rss_mb(),
            "new_runs": len(latencies),
        },
    )


@case(
    "sqlite-recovery",
    "runs",
    bar="first new run within 2,000 ms, 200 MB",
    url=URL,
    tier=TIER,
)
def recovery() -> Sample:
    """Half of the runs wait for somebody, half had a task at a worker that is gone."""
    count = 100_000
    waiting, running = (_waiting(), Phase.SUSPENDED), (chain(LENGTH), Phase.RUNNING)
    kept = database("unfinished", count, waiting, running)
    with folder() as path:
        shutil.copy(kept, path / "aether.db")
        return run(_take_up(path / "aether.db", count))


# Many finished runs


async def _first_pages(app: Aether) -> dict[str, float]:
    """Milliseconds that the first page of each kind of listing takes, the slowest of a few tries."""
    queries = {
        "list_ms": RunQuery(limit=20),
        "list_failed_ms": RunQuery(limit=20, phases=(Phase.FAILED, Phase.ERROR)),
        "list_open_ms": RunQuery(limit=20, phases=(Phase.READY, Phase.RUNNING, Phase.SUSPENDED)),
        "list_succeeded_ms": RunQuery(limit=20, phases=(Phase.SUCCEEDED,)),
        "list_name_ms": RunQuery(limit=20, name="bench"),
        "list_no_such_name_ms": RunQuery(limit=20, name="nobody"),
        "list_label_ms": RunQuery(limit=20, labels={"team": "bench"}),
        "list_since_ms": RunQuery(limit=20, created_from=1, created_to=time.time_ns() // 1000),
        "list_finished_ms": RunQuery(limit=20, finished_to=time.time_ns() // 1000),
        "list_prefix_ms": RunQuery(limit=6, id_prefix="0"),
        "list_no_such_id_ms": RunQuery(limit=6, id_prefix="nobody"),
        "list_text_ms": RunQuery(limit=20, text="BENCH"),
    }
    found = {}
    for name, query in queries.items():
        worst = 0.0
        for _ in range(5):
            began = time.perf_counter()
            await app.list(query)
            worst = max(worst, (time.perf_counter() - began) * 1000)
        found[name] = worst
    return found


@case(
    "sqlite-full-house",
    "runs",
    bar="within 10% of an empty database, first page 20 ms",
    url=URL,
    tier=TIER,
)
def full_house() -> Sample:
    """Chains in a database of 1,000,000 finished runs, in turns with an empty one: the better of three
    each, since the disk's own mood is larger than what is looked for."""
    kept = database("finished", 1_000_000, (chain(LENGTH), Phase.SUCCEEDED))

    async def chains(path: Path) -> Sample:
        async with open_app(path) as app:
            sample = await timed(app, chain(LENGTH), RUNS, LANES)
            if path == kept.parent:
                sample.extra = await _first_pages(app)
            return sample

    full: list[Sample] = []
    empty: list[Sample] = []
    for _ in range(3):
        with folder() as path:
            empty.append(run(chains(path)))
        full.append(run(chains(kept.parent)))
    best = min(full, key=lambda sample: sample.seconds)
    other = min(empty, key=lambda sample: sample.seconds)
    best.limit = other.per_second
    best.extra |= {"empty_per_s": other.per_second, "to_empty": best.per_second / other.per_second}
    best.extra["megabytes"] = kept.stat().st_size / 1e6
    return best
