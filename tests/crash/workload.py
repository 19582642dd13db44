"""The process that is killed: `python -m crash.workload URL EFFECTS LIFE [--finish]`.

In: a store that earlier lives have left behind. Out: on its standard output a line for whatever was
acknowledged to it. Never: a line before the acknowledgement.

A life takes up what is there and starts new runs until it is killed; with `--finish` it starts none, and
ends when every run has ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

from aether.adapters.broker import LocalBroker
from aether.adapters.store import PostgresStore, SqliteStore, sqlite_path
from aether.app import Aether
from aether.errors import Refused
from aether.ports import RunQuery, Store
from aether.record import ACTION_LOG, Phase
from crash.driving import Effects, act, equip
from crash.fault_points import BROKER_CALLS, STORE_CALLS, VARIABLE, Fuse, Fused, die
from crash.kinds import ACTED_UPON, BY_CLOCK, BY_HAND, KINDS, TEMPLATE
from crash.places import store_in_files

LANES = 8
RUNS = 300
"""At most so many new runs in one life, however late it is killed."""

FIRES = 20
"""Times that one life fires the cron by hand."""

TIER = "AETHER_CRASH_TIER"

LEASE = timedelta(milliseconds=500)
"""Where engines share a store, the next life may take up the runs of a killed one after so long."""

OPEN = tuple(phase for phase in Phase if not phase.is_terminal)
FIRST_FIRE = datetime(2026, 1, 1, tzinfo=UTC)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def store_of(url: str) -> Store:
    if url.startswith("files:"):
        return store_in_files(Path(url.removeprefix("files:")))
    return SqliteStore(sqlite_path(url)) if url.startswith("sqlite:") else PostgresStore(url)


def open_app(url: str) -> Aether:
    """As anybody would, unless a fault point is asked for."""
    wanted, tier = os.environ.get(VARIABLE, ""), os.environ.get(TIER, ACTION_LOG)
    if not wanted:
        own = store_of(url) if url.startswith("files:") else None
        return Aether("memory:" if own else url, store=own, tier=tier, lease=LEASE)
    fuse = Fuse(wanted, die)
    store = Fused(store_of(url), STORE_CALLS, fuse)
    broker = Fused(LocalBroker(), BROKER_CALLS, fuse)
    return Aether(store=store, broker=broker, tier=tier, lease=LEASE)  # type: ignore[arg-type]


class Life:
    def __init__(self, app: Aether, number: int) -> None:
        self._app = app
        self._number = number
        self._acts: set[asyncio.Task[None]] = set()

    # What earlier lives have left

    async def take_over(self) -> None:
        for run_id, name in await self.open_runs():
            if name in ACTED_UPON:
                self._act_soon(run_id)

    async def open_runs(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        cursor = None
        while cursor != "":
            page = await self._app.list(RunQuery(phases=OPEN, after=cursor or "", limit=500))
            found += [(row.run_id, row.name) for row in page.runs]
            cursor = page.cursor
        return found

    def _act_soon(self, run_id: str) -> None:
        token = f"life-{self._number}"
        task = asyncio.create_task(act(self._app, run_id, token, say), name=f"act on {run_id}")
        self._acts.add(task)

    def check(self) -> None:
        """Whatever failed in an act is a fault, and ends the process with a traceback."""
        for task in [task for task in self._acts if task.done()]:
            self._acts.discard(task)
            task.result()

    # New work

    async def work(self) -> None:
        cron_id = await self._settle_definitions()
        kinds, numbers = cycle(KINDS), iter(range(RUNS))

        async def lane() -> None:
            for number in numbers:
                await self._one(next(kinds), number)

        await asyncio.gather(*(lane() for _ in range(LANES)), self._fire(cron_id))

    async def _settle_definitions(self) -> str:
        await self._app.put_template(TEMPLATE)
        names = {cron.name: cron.cron_id for cron in await self._app.engine.list_crons()}
        for document in (BY_HAND, BY_CLOCK):
            name = document["metadata"]["name"]
            if name not in names:
                names[name] = await self._app.submit_cron(document)
                say(f"accepted-cron {names[name]}")
        return names["by-hand"]

    async def _one(self, kind: str, number: int) -> None:
        run_id = f"{kind}-{self._number}-{number}"
        n = number // len(KINDS) % 3
        await self._app.submit(KINDS[kind], {"n": n}, run_id=run_id)
        say(f"accepted {run_id} {n}")
        if kind in ACTED_UPON:
            self._act_soon(run_id)
        run = await self._app.wait(run_id)
        say(f"ended {run_id} {run.status} {run.seq}")
        self.check()

    async def _fire(self, cron_id: str) -> None:
        """Those of the life before this one are asked for again: some may have got lost."""
        first = max(0, self._number - 1) * FIRES
        for number in range(first, (self._number + 1) * FIRES):
            at = FIRST_FIRE + timedelta(minutes=number)
            answer = await self._app.trigger_cron(cron_id, at)
            say(f"fired {cron_id} {int(at.timestamp())} {answer.run_id}")
            if not answer.reason:
                await self._app.wait(answer.run_id)

    # The end

    async def finish(self) -> None:
        while True:
            self.check()
            waiting = await self.open_runs()
            pending = [row for row in await self._app.engine._store.crons() if row.pending]
            unfinished = await self._app.engine._store.unfinished()
            if not (waiting or pending or unfinished or self._acts):
                return
            await asyncio.sleep(0.02)


async def main() -> None:
    url, effects_path, number, *rest = sys.argv[1:]
    effects = Effects(Path(effects_path))
    app = open_app(url)
    equip(app, effects)
    say("opening")
    try:
        async with app:
            say("open")
            life = Life(app, int(number))
            await life.take_over()
            if rest != ["--finish"]:
                await life.work()
                await asyncio.Event().wait()
            await life.finish()
    except Refused as error:
        say(f"refused {error.code}")
        raise
    effects.close()
    say("finished")


if __name__ == "__main__":
    asyncio.run(main())
