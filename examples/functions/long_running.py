"""A long activity that says how far it is, and goes on from there after a failure.

python long_running.py
"""

import asyncio

from aether import Aether, Context, Retry, activity

app = Aether("memory:")


@app.activity(timeout="1h", heartbeat="30s", retry=Retry(attempts=3, initial="10ms"))
async def copy_rows(count: int) -> int:
    done = activity.details() or 0  # what the last attempt said before it ended
    for row in range(done, count):
        if row == 60 and activity.info().attempt == 1:
            raise ConnectionError("the disk was away for a moment")
        await asyncio.sleep(0)
        activity.heartbeat(row + 1)
    return count - done


@app.workflow("copy")
async def copy(ctx: Context, count: int) -> str:
    copied = await copy_rows(count)
    return f"the last attempt copied {copied} of {count} rows"


async def main() -> None:
    async with app:
        print(await copy.start_and_wait(100))


if __name__ == "__main__":
    asyncio.run(main())
