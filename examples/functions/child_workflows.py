"""A workflow that starts others, and waits for them without holding a slot.

python child_workflows.py
"""

import asyncio

from aether import Aether, Context

app = Aether("memory:", slots=1)  # one slot is enough: a parent that waits gives its slot back


@app.step
async def resize(name: str, width: int) -> str:
    return f"{name}@{width}"


@app.workflow("thumbnails")
async def thumbnails(ctx: Context, name: str) -> list[str]:
    return await ctx.parallel([resize(name, width) for width in (64, 128, 256)])


@app.workflow("album")
async def album(ctx: Context, names: list[str]) -> dict[str, list[str]]:
    made = await ctx.parallel([ctx.child(thumbnails, name) for name in names])
    return dict(zip(names, made, strict=True))


async def main() -> None:
    async with app:
        print(await album.start_and_wait(["cat.png", "dog.png"]))


if __name__ == "__main__":
    asyncio.run(main())
