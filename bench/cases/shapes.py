"""One large run at a time: wide, long, looping."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aether.app import Aether

from ..case import Sample, Stopwatch, case, peak_rss_mb, rss_bytes
from ..harness import WAIT, chain, fan_out, hand_overs, loop_over, open_app, run


async def _timed(app: Aether, document: dict[str, Any]) -> Stopwatch:
    """Submit to end, without the view of the finished run: that is made for whoever asks."""
    with Stopwatch() as watch:
        run_id = await app.submit(document)
        await _ended(app, run_id)
    return watch


async def _ended(app: Aether, run_id: str) -> None:
    await app.engine._runs.wait(run_id, None)


def _fan(width: int) -> Sample:
    async def main() -> Sample:
        document = fan_out(width)
        async with open_app() as app:
            await app.wait(await app.submit(document), WAIT)  # checked and compiled once
            watch = await _timed(app, document)
        return Sample(
            n=width,
            in_flight=width,
            seconds=watch.seconds,
            cpu_s=watch.cpu_s,
            rss_mb=peak_rss_mb(),
        )

    sample = run(main())
    sample.limit = hand_overs(width * 2, 64) / 2
    return sample


@case("memory-fan-1000", "tasks", bar="at most 30 ms")
def fan_1000() -> Sample:
    return _fan(1_000)


@case("memory-fan-10000", "tasks", bar="at most 10.5 times memory-fan-1000")
def fan_10000() -> Sample:
    return _fan(10_000)


@case("memory-loop-100000", "tasks", bar="at most 1.5 KB a task run; others wait at most 100 ms")
def loop_100000() -> Sample:
    return _loop(100_000)


@case("memory-loop-10000", "tasks", bar="a tenth of memory-loop-100000")
def loop_10000() -> Sample:
    return _loop(10_000)


def _loop(count: int) -> Sample:
    async def main() -> Sample:
        small = chain(1)
        document = loop_over(count)
        async with open_app() as app:
            await app.wait(await app.submit(small), WAIT)
            await app.engine._documents.prepare(document)
            before = peak = rss_bytes()
            worst = 0.0
            with Stopwatch() as watch:
                run_id = await app.submit(document)
                waiter = asyncio.ensure_future(_ended(app, run_id))
                while not waiter.done():
                    began = time.perf_counter()
                    await _ended(app, await app.submit(small))
                    worst = max(worst, time.perf_counter() - began)
                    peak = max(peak, rss_bytes())
                    await asyncio.wait([waiter], timeout=0.005)
        return Sample(
            n=count,
            in_flight=count,
            seconds=watch.seconds,
            cpu_s=watch.cpu_s,
            rss_mb=peak_rss_mb(),
            extra={"bytes_per_task": (peak - before) / count, "others_worst_ms": worst * 1000},
        )

    sample = run(main())
    sample.limit = hand_overs(min(count, 20_000) * 2, 64) / 2
    return sample


@case("memory-chain-5000", "tasks", bar="15,000 tasks/s, no slower at its end than at its start")
def chain_5000() -> Sample:
    length = 5_000

    async def main() -> Sample:
        document = chain(length)
        async with open_app() as app:
            await app.wait(await app.submit(document), WAIT)
            run_id = await app.submit(document)
            with Stopwatch() as watch:
                await _ended(app, run_id)
            tasks = (await app.get(run_id)).tasks[1:]
        ends = [task.metrics.finished_at for task in tasks]
        tenth = length // 10
        first = (ends[tenth] - ends[0]).total_seconds()  # type: ignore[operator]  # all have ended
        last = (ends[-1] - ends[-1 - tenth]).total_seconds()  # type: ignore[operator]
        return Sample(
            n=length,
            seconds=watch.seconds,
            cpu_s=watch.cpu_s,
            rss_mb=peak_rss_mb(),
            extra={"last_tenth_to_first": last / first},
        )

    sample = run(main())
    sample.limit = hand_overs(length * 2, 1) / 2
    return sample
