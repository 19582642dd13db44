"""Functions under way in a process that will be killed: steps, activities, timers, signals, children, branches.

`python -m crash.functions_workload URL EFFECTS TIER LIFE [--finish]`: it goes on with every run that an earlier
life has asked for, and then with others of its own, until it is killed. It notes what came of each, and appends
a line to EFFECTS whenever a step or an activity is executed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

import msgspec

from aether import Aether, Context, Retry, activity
from aether.app.parts import store_for
from crash.fault_points import STORE_CALLS, VARIABLE, Fuse, Fused, die

COUNT = 16
_BATCHES = 1000
CHAIN = 4
BRANCHES = 3


class Effects:
    """A file that several lives append to. One line is one write, so that none is torn."""

    fd = -1

    def __init__(self, path: str) -> None:
        Effects.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    @staticmethod
    def note(run: str, chain: str, index: int) -> None:
        os.write(Effects.fd, f"{run} {chain} {index}\n".encode())


async def work(run: str, chain: str, index: int) -> int:
    await asyncio.sleep(0)
    Effects.note(run, chain, index)
    return index


def plain_work(run: str, chain: str, index: int) -> int:
    Effects.note(run, chain, index)
    return index


@activity("charge", retry=Retry(attempts=5, initial="10ms", factor=1, jitter=0))
def charge(run: str, index: int) -> int:
    if index == 1 and activity.info().attempt == 1:
        raise ConnectionError("the line is busy")
    Effects.note(run, "2-charge", index)
    return index


async def letter(ctx: Context, run: str) -> str:
    for index in range(2):
        await ctx.step(f"letter{index}", work, run, "4-child", index)
    return f"letter to {run}"


async def program(ctx: Context, run: str) -> dict[str, object]:
    first = [await ctx.step(f"a{n}", work, run, "1-a", n) for n in range(CHAIN)]
    paid = [await charge(run, n) for n in range(2)]  # type: ignore[misc]  # awaitable in a workflow
    await ctx.sleep(0.02)
    told = await ctx.wait_for("go")
    sent = await ctx.child("letter", run=run)

    async def branch(number: int) -> int:
        total = 0
        for n in range(CHAIN):
            total += await ctx.step(f"p{n}", plain_work, run, f"5-branch{number}", n)
        return total

    sums = await ctx.parallel([lambda n=n: branch(n) for n in range(BRANCHES)])
    last = [await ctx.step("z", work, run, "6-z", n) for n in range(2)]
    return {"first": first, "paid": paid, "told": told, "sent": sent, "sums": sums, "last": last}


def expected(run: str) -> dict[str, object]:
    return {
        "first": list(range(CHAIN)),
        "paid": [0, 1],
        "told": f"go {run}",
        "sent": f"letter to {run}",
        "sums": [sum(range(CHAIN))] * BRANCHES,
        "last": [0, 1],
    }


class Diary:
    """The runs that were asked for, and how they ended: what later lives must go on with."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        lines = [line.split(" ", 2) for line in Path(path).read_text().splitlines()]
        over = {run for word, run, *_ in lines if word == "ended"}
        self.open = [run for word, run, *_ in lines if word == "asked" and run not in over]

    def note(self, *words: str) -> None:
        os.write(self._fd, (" ".join(words) + "\n").encode())


async def main(url: str, effects: str, tier: str, life: str, *more: str) -> None:
    Effects(effects)
    diary = Diary(effects + ".diary")
    point = os.environ.get(VARIABLE, "")
    store = store_for(url, history=True)
    if point:
        store = Fused(store, STORE_CALLS, Fuse(point, die))  # type: ignore[assignment]
    app = Aether(url, store=store, tier=tier, finish=False, lease=timedelta(seconds=1))
    runs = app.workflow("program")(program)
    children = app.workflow("letter")(letter)
    await app.serve([runs, children, charge])
    os.write(1, b"ready\n")

    async def one(run: str) -> None:
        handle = await runs.start(run, id=run)
        await handle.signal("go", f"go {run}", key=f"go-{run}")
        diary.note("ended", run, msgspec.json.encode(await handle.result()).decode())

    batch = diary.open
    for number in range(_BATCHES):
        await asyncio.gather(*map(one, batch))
        if more:
            break
        batch = [f"r-{life}-{number}-{n}" for n in range(COUNT)]
        for run in batch:
            diary.note("asked", run)
    await app.stop()
    os.write(1, b"finished\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
