"""`aether serve` as a process of its own, asked over HTTP on the same two cores."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aether.adapters.store import SqliteStore
from aether.ports import Commit
from aether.record import Phase, RunRow

from ..case import Sample, Stopwatch, case, percentile
from ..harness import chain, run
from .sqlite import TIER, folder, limits

URL = "sqlite:"
LISTED, ASKED = 100_000, 300
RUNS, LANES = 1_000, 64
READERS, STUCK = 450, 50


class Served:
    def __init__(self, process: subprocess.Popen[str], port: int, ready: float) -> None:
        self.process = process
        self.port = port
        self.ready = ready  # seconds from the start of the process to an answer

    def rss_mb(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(path: Path) -> Iterator[Served]:
    flags = ["--db", str(path / "aether.db"), "--http-port", "0", "--no-metrics"]
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "aether.cli", "serve", *flags],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        port = int(process.stdout.readline().rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/readyz")
        connection.getresponse().read()
        connection.close()
        try:
            yield Served(process, port, time.perf_counter() - began)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


async def fill(path: Path, count: int) -> None:
    store = SqliteStore(path / "aether.db")
    await store.open()
    names = ("import", "etl", "report", "order", "nightly")
    for first in range(0, count, 1000):
        batch = [_over(number, names[number % 5]) for number in range(first, first + 1000)]
        await store.commit(batch)
    await store.close()


def _over(number: int, name: str) -> Commit:
    at = 1_700_000_000_000_000 + number * 1_000_000
    phase = Phase.FAILED if number % 50 == 0 else Phase.SUCCEEDED
    row = RunRow(
        run_id=f"run-{number:06}",
        name=name,
        document=b"digest",
        labels={"team": f"t{number % 20}"},
        created_at=at,
        phase=phase,
        started_at=at,
        finished_at=at + 500_000,
        total=5,
        done=5,
    )
    return Commit(run_id=row.run_id, expected=None, run=row, document=(b"digest", b"{}"))


@case("server-list-100000", "pages", bar="p99 at most 25 ms", url=URL, tier=TIER)
def list_100000() -> Sample:
    """The first page over REST, by each kind of filter in turn."""
    queries = ("", "?name=etl", "?phase=Failed", "?label=team=t7", "?state=completed&name=order")
    with folder() as path:
        run(fill(path, LISTED))
        with served(path) as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            latencies = []
            before = server.cpu_s()
            with Stopwatch() as watch:
                for number in range(ASKED):
                    began = time.perf_counter()
                    connection.request("GET", f"/runs{queries[number % len(queries)]}")
                    runs = json.loads(connection.getresponse().read())["runs"]
                    latencies.append((time.perf_counter() - began) * 1000)
                    assert len(runs) == 100
            return Sample(
                n=ASKED,
                seconds=watch.seconds,
                cpu_s=server.cpu_s() - before,
                p50_ms=percentile(latencies, 0.5),
                p99_ms=percentile(latencies, 0.99),
                rss_mb=server.rss_mb(),
            )


@case("server-start", "starts", bar="at most 1 s, 80 MB", url=URL, tier=TIER)
def start() -> Sample:
    """From the start of the process until `/readyz` answers; the memory is that of the idle server."""
    with folder() as path:
        with served(path):
            pass  # byte code is compiled once
        with served(path) as server:
            return Sample(n=1, seconds=server.ready, rss_mb=server.rss_mb(), cpu_s=server.cpu_s())


def _documents() -> bytes:
    document = chain(3)
    text = json.dumps(document).replace('"noop"', '"echo"')
    return text.encode()


@case("server-rest-runs", "runs", url=URL, tier=TIER)
def rest_runs() -> Sample:
    """1,000 runs of a chain of 3, 64 in flight, each a POST and a GET that waits for the result."""
    body = _documents()

    async def main(server: Served) -> Sample:
        latencies: list[float] = []
        todo = iter(range(RUNS))

        async def lane() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            for _ in todo:
                began = time.perf_counter()
                made = await _ask(reader, writer, "POST", "/runs", body)
                result = await _ask(reader, writer, "GET", f"/runs/{made['runId']}/result?wait=30s")
                assert result["status"] == "Succeeded", result
                latencies.append((time.perf_counter() - began) * 1000)
            writer.close()

        before = server.cpu_s()
        with Stopwatch() as watch:
            await asyncio.gather(*(lane() for _ in range(LANES)))
        return Sample(
            n=RUNS,
            in_flight=LANES,
            seconds=watch.seconds,
            cpu_s=server.cpu_s() - before,
            p50_ms=percentile(latencies, 0.5),
            p99_ms=percentile(latencies, 0.99),
            rss_mb=server.rss_mb(),
        )

    with folder() as path:
        with served(path) as server:
            sample = run(main(server))
        sample.extra = limits(path)
        return sample


@case("server-readers-500", "events", bar="no delay, memory bounded", url=URL, tier=TIER)
def readers_500() -> Sample:
    """500 followers of everything, of which 50 never read, while 300 runs go through: how long after its submit
    was asked for a reader hears of a run. `extra` has what the server grew by."""
    body = _documents()
    runs = 300

    async def main(server: Served) -> Sample:
        latencies: list[float] = []
        asked: dict[str, float] = {}
        seen = [0] * READERS
        pairs = [
            await asyncio.open_connection("127.0.0.1", server.port) for _ in range(READERS + STUCK)
        ]
        for _, writer in pairs:
            writer.write(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n")

        async def read(index: int, reader: asyncio.StreamReader) -> None:
            known: set[str] = set()
            while len(known) < runs:
                line = await reader.readline()
                if line.startswith(b'data: {"runId'):
                    run_id = json.loads(line[6:])["runId"]
                    if run_id not in known:
                        known.add(run_id)
                        if run_id in asked and index < 20:
                            latencies.append((time.perf_counter() - asked[run_id]) * 1000)
            seen[index] = len(known)

        readers = [
            asyncio.ensure_future(read(n, pair[0])) for n, pair in enumerate(pairs[:READERS])
        ]
        await asyncio.sleep(0.5)
        grown, before = server.rss_mb(), server.cpu_s()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        with Stopwatch() as watch:
            for number in range(runs):
                run_id = f"seen-{number}"
                asked[run_id] = time.perf_counter()
                wrapped = b'{"runId": "%s", "document": %s}' % (run_id.encode(), body)
                await _ask(reader, writer, "POST", "/runs", wrapped)
            await asyncio.gather(*readers)
        for _, each in (*pairs, (None, writer)):
            each.close()
        return Sample(
            n=runs * READERS,
            in_flight=READERS + STUCK,
            seconds=watch.seconds,
            cpu_s=server.cpu_s() - before,
            p50_ms=percentile(latencies, 0.5),
            p99_ms=percentile(latencies, 0.99),
            rss_mb=server.rss_mb(),
            extra={"grown_mb": server.rss_mb() - grown},
        )

    with folder() as path, served(path) as server:
        return run(main(server))


async def _ask(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    method: str,
    path: str,
    body: bytes = b"",
) -> Any:
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    length = 0
    while (line := await reader.readline()) != b"\r\n":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return json.loads(await reader.readexactly(length))
