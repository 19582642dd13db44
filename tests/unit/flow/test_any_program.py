"""Programs made by chance out of everything a workflow can do: cut anywhere, they go on to their end."""

import asyncio
import random

import pytest

from aether.flow import Retry
from unit.flow.flow_world import crash_everywhere

done: list[str] = []


def program(chance: random.Random, depth: int = 0):
    """A tree of (kind, …)."""
    leaves = ["step", "step", "plain", "sleep", "nap", "wait", "drawn", "flaky"]
    nodes = ["seq", "seq", "gather", "group", "parallel", "race", "timeout", "caught", "map"]
    kind = chance.choice(nodes if depth < 2 else leaves + nodes if depth < 5 else leaves)
    name = f"{kind}{chance.randrange(10**6)}"
    if kind in ("seq", "gather", "group", "parallel", "race"):
        return (kind, name, [program(chance, depth + 1) for _ in range(chance.randrange(1, 4))])
    if kind in ("timeout", "caught"):
        return (kind, chance.choice([0.5, 5, 5000]), program(chance, depth + 1))
    return (kind, name, chance.randrange(4))


async def work(name, turns):
    for _ in range(turns):
        await asyncio.sleep(0)
    done.append(name)
    return name


def plain_work(name):
    done.append(name)
    return name


async def item(name, n):
    done.append(f"{name}.{n}")
    return n


async def perform(ctx, node):
    kind, name, rest = node
    match kind:
        case "step":
            return await ctx.step(name, work, name, rest)
        case "plain":
            return await ctx.step(name, plain_work, name)
        case "flaky":
            return await ctx.step(name, Flaky(name), retry=Retry(9, initial=0.01 + rest, jitter=0))
        case "sleep":
            await ctx.sleep(rest * 100 + 2)
        case "nap":
            await asyncio.sleep(rest / 10 + 0.1)
        case "wait":
            try:
                return await ctx.wait_for("go", timeout=None if rest else "10s") and "went"
            except TimeoutError:
                return "late"
        case "drawn":
            return [ctx.random(), str(ctx.uuid())]
        case "map":
            return await ctx.map(name, lambda n: n, range(rest * 3), limit=2)
        case "seq":
            return [await perform(ctx, inner) for inner in rest]
        case "gather":
            return await asyncio.gather(*(perform(ctx, inner) for inner in rest))
        case "parallel":
            return await ctx.parallel([lambda i=i: perform(ctx, i) for i in rest], limit=2)
        case "group":
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(perform(ctx, inner)) for inner in rest]
            return [task.result() for task in tasks]
        case "race":
            tasks = [asyncio.create_task(perform(ctx, inner)) for inner in rest]
            await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return "raced"
        case "timeout":
            try:
                async with asyncio.timeout(name):
                    await perform(ctx, rest)
            except TimeoutError:
                pass
            return "in time or not"
        case "caught":
            try:
                await asyncio.wait_for(perform(ctx, rest), name)
            except TimeoutError:
                await ctx.step("too late", work, f"late{name}", 1)
            return "waited for"
    return None


class Flaky:
    """Fails once in each process."""

    def __init__(self, name) -> None:
        self.name = name
        self.failed = False

    async def __call__(self):
        if not self.failed:
            self.failed = True
            raise OSError("not yet")
        return self.name


@pytest.mark.parametrize("seed", range(120))
async def test_program_cut_anywhere_ends_the_same(seed):
    tree = program(random.Random(seed))

    async def flow(ctx):
        return await perform(ctx, tree)

    await crash_everywhere(flow, auto={"go": "green"}, done=done)
