"""Conditions and loops are Python's own.

python conditional.py
"""

import asyncio

from aether import Aether, Context

app = Aether("memory:")


@app.step
async def risk_of(amount: int) -> str:
    return "high" if amount > 1000 else "low"


@app.step
async def check(amount: int, round_: int) -> bool:
    return round_ * 1000 >= amount


@app.workflow("payment")
async def payment(ctx: Context, amount: int) -> str:
    if await risk_of(amount) == "low":
        return "paid at once"
    for round_ in range(1, 10):
        if await check(amount, round_):
            return f"paid after {round_} checks"
        await ctx.sleep(0.01)
    return "refused"


async def main() -> None:
    async with app:
        for amount in (50, 2500, 50_000):
            print(amount, await payment.start_and_wait(amount))


if __name__ == "__main__":
    asyncio.run(main())
