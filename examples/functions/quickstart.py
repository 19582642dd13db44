"""The smallest durable program: python quickstart.py

Kill it between two steps and run it again: it goes on at the step where it was.
"""

import asyncio

from aether import Aether, Context

app = Aether()  # state is kept in data/aether.db


@app.step
def greet(name: str) -> str:
    return f"Hello, {name}!"


@app.workflow("hello")
async def hello(ctx: Context, name: str) -> str:
    greeting = await ctx.step("greet", greet, name)
    await ctx.sleep(0.1)
    return await ctx.step("shout", lambda: greeting.upper() + "!!")


async def main() -> None:
    async with app:
        print(await hello.start_and_wait("Ada", id="hello-ada"))


if __name__ == "__main__":
    asyncio.run(main())
