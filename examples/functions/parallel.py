"""Three ways to do many things at once: ctx.parallel, ctx.map, and plain asyncio.

python parallel.py
"""

import asyncio

from aether import Aether, Context

app = Aether("memory:")


@app.step
async def square(n: int) -> int:
    await asyncio.sleep(0.001 * (n % 7))  # results come in any order; what you get is in yours
    return n * n


@app.workflow("sum-of-squares")
async def sum_of_squares(ctx: Context, count: int) -> dict[str, int]:
    few = await ctx.parallel([lambda: square(1), lambda: square(2), lambda: square(3)])
    many = await ctx.map("square", square, range(count), limit=50)
    async with asyncio.TaskGroup() as group:
        a = group.create_task(square(10))
        b = group.create_task(square(20))
    c, d = await asyncio.gather(square(30), square(40))
    return {"few": sum(few), "many": sum(many), "asyncio": a.result() + b.result() + c + d}


async def main() -> None:
    async with app:
        print(await sum_of_squares.start_and_wait(200))


if __name__ == "__main__":
    asyncio.run(main())
