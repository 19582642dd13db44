"""Limits: at most two reports of one customer at once, and turns between customers.

python examples/functions/limits.py
"""

from __future__ import annotations

import asyncio

from aether import Aether, Context, Limit

app = Aether("memory:")
under_way: dict[str, int] = {}
most: dict[str, int] = {}


@app.activity(limits=[Limit("printer", concurrency=3, fair="{customer}")])
async def render(customer: str, number: int) -> str:
    under_way[customer] = under_way.get(customer, 0) + 1
    most[customer] = max(most.get(customer, 0), under_way[customer])
    await asyncio.sleep(0.01)
    under_way[customer] -= 1
    return f"{customer}-{number}"


@app.workflow("report", limits=[Limit("customer:{customer}", concurrency=2)])
async def report(ctx: Context, customer: str, number: int) -> str:
    return await render(customer, number)


async def main() -> None:
    async with app:
        await app.serve([report])
        handles = [await report.start("ann", n) for n in range(4)]
        handles.append(await report.start("bob", 0))
        for reason in (await app.get(handles[2].id)).waiting_for:
            print("the third:", reason.partition(" held by")[0])
        print(" ".join([await handle.result() for handle in handles]))
        print("at most", most["ann"], "of ann at once")


asyncio.run(main())
