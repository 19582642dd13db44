"""Retries for what may pass, and a saga for what must be undone.

python error_handling.py
"""

import asyncio

from aether import Aether, Context, Retry, WorkflowFailed, activity

app = Aether("memory:")
booked: list[str] = []


class NoSeat(Exception):
    pass


@app.activity(retry=Retry(attempts=4, initial="10ms", factor=1))
async def flaky() -> int:
    attempt = activity.info().attempt
    if attempt < 3:
        raise ConnectionError("the line is busy")
    return attempt


@app.step
async def book(what: str) -> str:
    if what == "flight":
        raise NoSeat("the plane is full")
    booked.append(what)
    return what


@app.step
async def unbook(what: str) -> None:
    booked.remove(what)


@app.workflow("travel")
async def travel(ctx: Context) -> str:
    tries = await flaky()
    assert tries == 3
    for what in ("hotel", "car", "flight"):
        await book(what)
        ctx.compensate_with(unbook, what)  # runs in reverse if the workflow fails
    return "bon voyage"


async def main() -> None:
    async with app:
        try:
            print(await travel.start_and_wait())
        except WorkflowFailed as failed:
            print(f"failed in step '{failed.step}': {failed.message}")
            print(f"still booked: {booked}")


if __name__ == "__main__":
    asyncio.run(main())
