"""Documents and functions call each other: one engine runs both.

python mixed.py
"""

import asyncio

from aether import Aether, Context, graph

app = Aether("memory:")


@app.activity
def price_of(item: str) -> int:
    return {"tea": 4, "cake": 6}[item]


shop = graph.Workflow("shop", version="1")
item = shop.argument("item", str)
priced = shop.task("price", "price_of", {"item": item})  # a task that runs a Python function
shop.output("price", priced.outputs["result"])


@app.workflow("party")
async def party(ctx: Context, items: list[str]) -> int:
    prices = await ctx.parallel([ctx.child("shop@1", item=item) for item in items])
    return sum(outputs["price"] for outputs in prices)  # a function that runs a stored document


async def main() -> None:
    async with app:
        await app.put_template(shop.template())
        print("the party costs", await party.start_and_wait(["tea", "cake", "cake"]))


if __name__ == "__main__":
    asyncio.run(main())
