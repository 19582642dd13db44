"""Many small runs at a time."""

from __future__ import annotations

import time

from ..case import Sample, Stopwatch, case, peak_rss_mb, percentile
from ..harness import WAIT, chain, hand_overs, in_flight, open_app, run

RUNS, LANES, LENGTH = 1_000, 64, 3


@case("memory-chains", "runs", bar="7,000 runs/s (21,000 tasks/s)")
def chains() -> Sample:
    async def main() -> Sample:
        document = chain(LENGTH)
        latencies: list[float] = []
        async with open_app() as app:

            async def one() -> None:
                began = time.perf_counter()
                await app.wait(await app.submit(document), WAIT)
                latencies.append((time.perf_counter() - began) * 1000)

            await in_flight(LANES * 2, LANES, one)
            latencies.clear()
            with Stopwatch() as watch:
                await in_flight(RUNS, LANES, one)
        return Sample(
            n=RUNS,
            in_flight=LANES,
            seconds=watch.seconds,
            cpu_s=watch.cpu_s,
            p50_ms=percentile(latencies, 0.5),
            p99_ms=percentile(latencies, 0.99),
            rss_mb=peak_rss_mb(),
            extra={"tasks_per_s": RUNS * LENGTH / watch.seconds},
        )

    sample = run(main())
    # Each task is handed over twice, to a worker and back, and each run once to whoever waits.
    sample.limit = hand_overs(RUNS * (2 * LENGTH + 1), LANES) / (2 * LENGTH + 1)
    return sample


@case("memory-one-task", "runs")
def one_task() -> Sample:
    """One run after the other: what a single caller waits for."""

    async def main() -> Sample:
        document = chain(1)
        latencies: list[float] = []
        async with open_app() as app:

            async def one() -> None:
                began = time.perf_counter()
                await app.wait(await app.submit(document), WAIT)
                latencies.append((time.perf_counter() - began) * 1000)

            await in_flight(200, 1, one)
            latencies.clear()
            with Stopwatch() as watch:
                await in_flight(RUNS, 1, one)
        return Sample(
            n=RUNS,
            seconds=watch.seconds,
            cpu_s=watch.cpu_s,
            p50_ms=percentile(latencies, 0.5),
            p99_ms=percentile(latencies, 0.99),
            rss_mb=peak_rss_mb(),
        )

    sample = run(main())
    sample.limit = hand_overs(RUNS * 3, 1) / 3
    return sample
