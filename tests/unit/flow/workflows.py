"""Workflow functions that use everything, and what comes of each. `done` is where steps leave their names."""

import asyncio
from datetime import timedelta

from aether.flow import Retry

done: list[str] = []


async def work(name, value=None, turns=0):
    for _ in range(turns):
        await asyncio.sleep(0)
    done.append(name)
    return value if value is not None else name


def plain(name):
    done.append(name)
    return name


async def fails(name):
    done.append(name)
    raise ValueError(name)


async def sequence(ctx):
    out = [await ctx.step(f"s{n}", work, f"s{n}", n) for n in range(5)]
    return [*out, await ctx.step("plain", plain, "plain")]


async def gathered(ctx):
    order = []

    async def branch(name, turns):
        a = await ctx.step(f"{name}-a", work, f"{name}-a", None, turns)
        order.append(a)
        b = await ctx.step(f"{name}-b", work, f"{name}-b", None, 5 - turns)
        order.append(b)
        return a + b

    results = await asyncio.gather(*(branch(f"g{n}", 5 - n) for n in range(5)))
    return [results, sorted(order)]


async def same_names_in_branches(ctx):
    async def branch(n):
        return [await ctx.step("a", work, f"a{n}{i}", [n, i], 3 - n) for i in range(2)]

    return await asyncio.gather(*(branch(n) for n in range(3)))


async def task_group(ctx):
    seen = []
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ctx.step(f"t{n}", work, f"t{n}", n, 4 - n)) for n in range(4)]
        group.create_task(ctx.sleep(5))
    seen += [task.result() for task in tasks]
    return seen


async def completed_first(ctx):
    calls = [ctx.step(f"c{n}", work, f"c{n}", n, 6 - 2 * n) for n in range(4)]
    return sorted([await future for future in asyncio.as_completed(calls)])


async def queues_and_events(ctx):
    queue, ready, lock = asyncio.Queue(2), asyncio.Event(), asyncio.Lock()
    out = []

    async def produce():
        for n in range(4):
            await queue.put(await ctx.step(f"q{n}", work, f"q{n}", n))
        ready.set()

    async def consume():
        while not (ready.is_set() and queue.empty()):
            async with lock:
                out.append(await queue.get())

    await asyncio.gather(produce(), consume())
    return out


async def nested_tasks(ctx):
    async def inner(n):
        task = asyncio.create_task(ctx.step("deep", work, f"deep{n}", n))
        return await task + await ctx.step("own", work, f"own{n}", 10 * n)

    outer = [asyncio.create_task(inner(n)) for n in (1, 2)]
    return [await task for task in outer]


async def timers(ctx):
    await asyncio.sleep(0.5)
    await ctx.step("between", work, "between")
    await ctx.sleep(hours=1)
    await ctx.sleep_until(ctx.now() + timedelta(days=2))
    return await ctx.step("after", work, "after")


async def deadline_passes(ctx):
    try:
        async with asyncio.timeout(10):
            await ctx.sleep(hours=1)
    except TimeoutError:
        return await ctx.step("too-late", work, "too-late")


async def deadline_holds(ctx):
    async with asyncio.timeout(3600):
        first = await ctx.step("in-time", work, "in-time")
    second = await asyncio.wait_for(ctx.step("also", work, "also"), 60)
    try:
        await asyncio.wait_for(ctx.sleep(100), 5)
    except TimeoutError:
        return [first, second]


async def parallel_and_map(ctx):
    pair = await ctx.parallel(
        [lambda: ctx.step("x", work, "x", 1, 3), lambda: ctx.step("y", work, "y", 2)]
    )
    many = await ctx.map("item", square, range(20), limit=3)
    return [pair, many]


async def square(n):
    await asyncio.sleep(0)
    return n * n


async def failing_branch(ctx):
    async def slow():
        try:
            await ctx.sleep(1000)
        except asyncio.CancelledError:
            await ctx.step("cleanup", work, "cleanup")
            raise

    try:
        await ctx.parallel([slow, lambda: ctx.step("bad", fails, "bad")])
    except ValueError as error:
        return str(error)


async def tried_again(ctx):
    tries = []

    async def flaky():
        tries.append(1)
        if len(tries) < 3:
            raise OSError("not yet")
        return "at last"

    retry = Retry(attempts=20, initial="10ms", factor=1, jitter=0)
    slow = Retry(attempts=3, initial="10m", jitter=0)
    results = await asyncio.gather(
        ctx.step("flaky", flaky, retry=retry),
        ctx.step("steady", work, "steady"),
        ctx.step("doomed", fails, "doomed2", retry=slow),
        return_exceptions=True,
    )
    return [str(result) for result in results]


async def waits(ctx):
    first = await ctx.wait_for("go")
    try:
        await ctx.wait_for("never", timeout="1h")
        late = False
    except TimeoutError:
        late = True
    paid = await ctx.activity("charge", amount=5)
    child = await ctx.child("mailing@1", to="you")
    return [first, late, paid, child, await ctx.step("end", work, "end")]


async def race_of_waits(ctx):
    step = asyncio.create_task(ctx.step("s", work, "s", None, 3))
    signal = asyncio.create_task(ctx.wait_for("go"))
    timer = asyncio.create_task(ctx.sleep(3600))
    finished, pending = await asyncio.wait({step, signal, timer}, return_when="FIRST_COMPLETED")
    for task in pending:
        task.cancel()
    return [len(finished), await ctx.step("then", work, "then")]


async def saga(ctx):
    await ctx.step("book", work, "book")
    ctx.compensate_with(work, "unbook")
    await ctx.step("pay", work, "pay")
    ctx.compensate_with(work, "refund")
    await ctx.step("ship", fails, "ship")


async def drawn(ctx):
    here = [ctx.random(), str(ctx.uuid()), ctx.now().isoformat()]
    await ctx.step("s", work, "s")
    return [*here, ctx.random(), str(ctx.uuid()), ctx.now().isoformat(), ctx.patched("new")]


def plain_workflow(ctx):
    a = ctx.step("a", plain, "a")
    ctx.sleep(hours=1)
    b = ctx.parallel([lambda: ctx.step("p", plain, "p1"), lambda: nested(ctx)])
    return [a, b, ctx.map("m", len, ["x", "yy"]), ctx.wait_for("go")]


def nested(ctx):
    return [ctx.step("p", plain, "p2"), ctx.step("q", work, "q")]


CASES = [
    (sequence, [0, 1, 2, 3, 4, "plain"]),
    (gathered, None),
    (same_names_in_branches, [[[n, 0], [n, 1]] for n in range(3)]),
    (task_group, [0, 1, 2, 3]),
    (completed_first, None),
    (queues_and_events, [0, 1, 2, 3]),
    (nested_tasks, [11, 22]),
    (timers, "after"),
    (deadline_passes, "too-late"),
    (deadline_holds, ["in-time", "also"]),
    (parallel_and_map, [[1, 2], [n * n for n in range(20)]]),
    (failing_branch, "bad"),
    (tried_again, ["at last", "steady", "doomed2"]),
    (waits, ["green", True, 7, {"sent": 1}, "end"]),
    (race_of_waits, [1, "then"]),
    (saga, "ValueError('ship')"),
    (drawn, None),
    (plain_workflow, ["a", ["p1", ["p2", "q"]], [1, 2], "green"]),
]
