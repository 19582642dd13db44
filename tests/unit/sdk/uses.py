"""Good and bad uses, as type checkers see them; never run. See test_types.py.

A line with `# error` must be refused, every other must not; `# is: T` says what `reveal_type` reveals.
"""
# ruff: noqa: F841

import asyncio
from dataclasses import dataclass
from typing import reveal_type

from aether import Aether, BlockingContext, Context, Retry, activity, step, workflow

app = Aether("memory:")


@dataclass
class Receipt:
    order: str
    cents: int


@app.step
async def look_up(order: str) -> int:
    return len(order)


@app.step("count", retry=Retry(attempts=2), timeout="5s")
def count(order: str, extra: int = 0) -> int:
    return len(order) + extra


@app.activity(retry=Retry(attempts=5, initial="1s"), timeout="30s", heartbeat="10s")
def charge(order: str, cents: int) -> Receipt:
    return Receipt(order, cents)


@app.activity
async def ship(order: str) -> str:
    return order


@step
def bare_step(a: int) -> str:
    return str(a)


@activity
async def bare_activity(a: int) -> str:
    return str(a)


def plain(a: int, b: str) -> float:
    return a + len(b)


async def not_plain(a: int) -> bytes:
    return bytes(a)


@app.workflow("inner")
async def inner(ctx: Context, order: str, times: int = 1) -> Receipt:
    return Receipt(order, times)


@app.workflow
def blocking(ctx: BlockingContext, order: str) -> int:
    reveal_type(ctx.step("a", plain, 1, "b"))  # is: float
    reveal_type(ctx.step("a", not_plain, 1))  # is: bytes
    reveal_type(ctx.step("a", count, "b", extra=3))  # is: int
    reveal_type(ctx.activity(charge, order, 3))  # is: Receipt
    reveal_type(ctx.child(inner, order))  # is: Receipt
    reveal_type(ctx.map("m", count, ["a", "b"]))  # is: list[int]
    reveal_type(ctx.map("m", not_plain, [1, 2]))  # is: list[bytes]
    reveal_type(ctx.parallel([lambda: ctx.step("a", len, "x"), lambda: 2]))  # is: list[int]
    reveal_type(ctx.wait_for("go", type=Receipt))  # is: Receipt
    ctx.step("a", plain, 1, 2)  # error
    ctx.activity(charge, order)  # error
    ctx.child(inner)  # error
    charge(order, "three")  # error
    receipt: Receipt = charge(order, 3)  # a plain activity has its value at once here
    ctx.sleep("1h")
    ctx.sleep(seconds=1, minutes=2, hours=3, days=4)
    ctx.sleep(weeks=1)  # error
    return receipt.cents


@app.workflow("order")
async def order(ctx: Context, order: str, cents: int) -> dict[str, int]:
    reveal_type(await look_up(order))  # is: int
    reveal_type(await ship(order))  # is: str
    reveal_type(await bare_activity(1))  # is: str
    reveal_type(await ctx.step("a", plain, 1, "b"))  # is: float
    reveal_type(await ctx.step("a", plain, a=1, b="b"))  # is: float
    reveal_type(await ctx.step("a", not_plain, 1))  # is: bytes
    reveal_type(await ctx.step("a", lambda: len(order)))  # is: int
    reveal_type(await ctx.step("a", look_up, order))  # is: int
    reveal_type(await ctx.step("a", count, order))  # is: int
    reveal_type(await ctx.step("a", plain, 1, "b", retry=Retry(attempts=3)))  # is: float
    reveal_type(await ctx.step("a", count, order, timeout="1s"))  # is: int
    reveal_type(await ctx.activity(charge, order, cents))  # is: Receipt
    reveal_type(await ctx.activity(ship, order))  # is: str
    reveal_type(await ctx.activity("by-name", text="x"))  # is: Any
    reveal_type(await ctx.child(inner, order, times=2))  # is: Receipt
    reveal_type(await ctx.child(inner, order, id="c-1"))  # is: Receipt
    reveal_type(await ctx.child(blocking, order))  # is: int
    reveal_type(await ctx.child("template@1", item="x"))  # is: Any
    reveal_type(await ctx.wait_for("go", type=int, timeout="2d"))  # is: int
    reveal_type(await ctx.wait_for("go", type=list[int]))  # is: list[int]
    reveal_type(await ctx.wait_for("go"))  # is: Any
    maybe: int | None = await ctx.wait_for("go", type=int | None)
    reveal_type(await ctx.parallel([lambda: look_up("a"), lambda: look_up("b")]))  # is: list[int]
    reveal_type(await ctx.parallel([look_up("a"), look_up("b")], limit=1))  # is: list[int]
    reveal_type(await ctx.map("m", look_up, ["a"]))  # is: list[int]
    reveal_type(await ctx.map("m", count, ["a"], limit=3))  # is: list[int]
    reveal_type(await asyncio.gather(look_up("a"), look_up("b")))  # is: tuple[int, int]

    receipt: Receipt = await charge(order, cents)  # a plain activity is awaited here
    text: str = await bare_step(3)
    await ctx.sleep(3)

    await look_up(3)  # error
    await look_up()  # error
    await charge(order, "cents")  # error
    await ship(order, 3)  # error
    await bare_step("x")  # error
    await bare_activity("x")  # error
    await ctx.step("a", plain, 1, 2)  # error
    await ctx.step("a", plain)  # error
    await ctx.step(plain, 1, "b")  # error
    await ctx.step("a", count, 3)  # error
    await ctx.step("a", look_up, 3)  # error
    await ctx.activity(charge, order)  # error
    await ctx.activity(ship, 3)  # error
    await ctx.child(inner, 3)  # error
    await ctx.child(inner, order, 1, 2)  # error
    await ctx.map("m", look_up, [1, 2])  # error
    await ctx.map("m", count, [1, 2])  # error
    wrong: str = await look_up(order)  # error
    wrong_too: str = await ctx.activity(charge, order, cents)  # error
    wrong_still: int = await ctx.wait_for("go", type=str)  # error
    wrong_list: list[str] = await ctx.parallel([look_up("a")])  # error
    ctx.set_attributes(customer=3)  # error
    return {receipt.order: receipt.cents, text: 1}


@workflow("unbound")
async def unbound(ctx: Context) -> None: ...


@app.workflow  # error
async def without_context(order: str) -> None: ...


@app.workflow("nightly", cron="0 3 * * *", timezone="Europe/Berlin", catch_up="last")
async def nightly(ctx: Context, day: str = "today") -> None: ...


async def main() -> None:
    async with app:
        handle = await order.start("o-1", 3)
        reveal_type(handle)  # is: Handle[dict[str, int]]
        reveal_type(await handle.result(timeout=3))  # is: dict[str, int]
        reveal_type(await handle)  # is: dict[str, int]
        reveal_type(await order.start_and_wait("o-1", cents=3))  # is: dict[str, int]
        reveal_type(await order.start("o-1", 3, id="o-1"))  # is: Handle[dict[str, int]]
        reveal_type(await blocking.start_and_wait("o-1"))  # is: int
        found = await order.start_and_wait("o-1", 3, id="o-1", on_existing="fail")
        reveal_type(found)  # is: dict[str, int]
        prepared = order.options(id="o-1", on_existing="restart_failed", labels={"team": "a"})
        reveal_type(await prepared.start("o-1", 3))  # is: Handle[dict[str, int]]
        reveal_type(await prepared.start_and_wait("o-1", 3))  # is: dict[str, int]
        reveal_type(app.handle("o-1", int))  # is: Handle[int]
        await app.serve([order, inner, charge, ship, bare_activity, unbound])
        await handle.signal("go", {"a": 1}, key="k")
        await unbound.start()

        await order.start("o-1")  # error
        await order.start("o-1", "3")  # error
        await order.start("o-1", 3, 4)  # error
        await order.start("o-1", 3, nothing=1)  # error
        await order.start_and_wait(3, 3)  # error
        await prepared.start("o-1")  # error
        await prepared.start_and_wait("o-1", cents="3")  # error
        order.options(on_existing="nothing")  # error
        order.options(colour="red")  # error
        await order("o-1", 3)  # error
        await app.serve([plain])  # error
        wrong: str = await order.start_and_wait("o-1", 3)  # error
        wrong_handle: int = await app.handle("o-1", str)  # error


def script() -> None:
    with app.sync as sync:
        reveal_type(sync.start_and_wait(order, "o-1", 3))  # is: dict[str, int]
        reveal_type(sync.start(order, "o-1", 3).result())  # is: dict[str, int]
        reveal_type(sync.start(order, "o-1", 3, id="o-1").result(timeout=3))  # is: dict[str, int]
        begun = sync.start(order.options(id="o-1"), "o-1", 3)
        reveal_type(begun)  # is: BlockingHandle[dict[str, int]]
        sync.start(order, "o-1")  # error
        sync.start_and_wait(order, 3, 3)  # error
        sync.start(order.options(id="o-1"), "o-1", "3")  # error


def outside() -> None:
    receipt: Receipt = charge("o-1", 3)
    charge(3, 3)  # error


async def outside_too() -> None:
    reveal_type(await ship("o-1"))  # is: str
